"""The windows of a pool over an input: where each lies, and how much of it is real."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from nets.convolutional.geometry import (
    Pairs,
    by,
    one_batch,
    output_sizes,
    per_axis,
    window_slices,
)
from nets.convolutional.geometry import window as window_size
from nets.convolutional.padding import pad, pads


class Grid(NamedTuple):
    """Where the windows lie, with a number or a pair for each axis."""

    space: Sequence[int]
    size: Sequence[int]
    strides: Sequence[int]
    dilation: Sequence[int]
    given: Pairs  # the padding
    pairs: Pairs  # and what ceil_mode adds behind it
    sizes: Sequence[int]  # how many windows


def place(xs, window, strides, padding, dilation, ceil_mode):
    """The input with one batch axis, the shape of the batch, and the windows."""
    size = window_size("window", window)
    axes = len(size)
    if isinstance(padding, str) and padding not in ("valid", "same"):
        raise ValueError(
            "expected a padding of valid, same, an integer, or a pair (before, after) "
            f"for each spatial axis in a pool; got {padding!r}"
        )
    xs, batch = one_batch(xs, axes, f"a pool with a {by(size)} window")
    space = xs.shape[1:-1]
    strides = size if strides is None else per_axis("strides", strides, axes)
    dilation = per_axis("dilation", dilation, axes)
    given = pads(padding, space, size, strides, dilation)
    pairs = given
    if ceil_mode:
        each = zip(space, size, strides, dilation, given, strict=True)
        pairs = tuple(_one_more(*axis) for axis in each)
    sizes = output_sizes(space, size, strides, dilation, pairs, what="window")
    grid = Grid(space, size, strides, dilation, given, pairs, sizes)
    for n, pair, counts in zip(space, given, each_count(grid), strict=True):
        if not counts.all():
            raise ValueError(
                f"expected every window to see some of the input; on an axis of length "
                f"{n}, padded by {pair}, window {int(np.argmin(counts))} sees padding "
                "alone"
            )
    return xs, batch, grid


def _one_more(n, k, s, d, pair):
    """The padding of one axis that makes room for a last window, PyTorch's rule."""
    before, after = pair
    extent = (k - 1) * d + 1
    windows = -(-(n + before + after - extent) // s) + 1
    if (windows - 1) * s >= n + before:
        windows -= 1
    return before, max(after, (windows - 1) * s + extent - n - before)


def each_count(grid, count_padding=False):
    """How many places of each window count, one array for each axis."""
    found = []
    for n, k, s, d, (before, after), windows in zip(
        grid.space,
        grid.size,
        grid.strides,
        grid.dilation,
        grid.given,
        grid.sizes,
        strict=True,
    ):
        places = np.arange(windows)[:, None] * s + np.arange(k) * d - before
        first, last = (-before, n + after) if count_padding else (0, n)
        found.append(((first <= places) & (places < last)).sum(axis=1))
    return found


def counts_of(grid, count_padding):
    """How many places of each window count, [1, *sizes, 1]."""
    counts = functools.reduce(np.multiply.outer, each_count(grid, count_padding))
    return counts[None, ..., None]


def taps_of(xs, grid, fill):
    """What each place of the window sees."""
    padded = pad(xs, grid.pairs, fill=fill)
    return window_slices(padded, grid.size, grid.strides, grid.dilation, grid.sizes)


def reduced(operation, xs, start, grid):
    """XLA's `reduce_window` over the windows of one array or several."""
    return jax.lax.reduce_window(
        xs,
        jax.tree.map(lambda x, start: np.asarray(start, x.dtype), xs, start),
        operation,
        (1, *grid.size, 1),
        (1, *grid.strides, 1),
        ((0, 0), *grid.pairs, (0, 0)),
        window_dilation=(1, *grid.dilation, 1),
    )
