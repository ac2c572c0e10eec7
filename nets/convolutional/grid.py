"""Windows of a pool: their positions, and the number of inputs in each."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from nets.convolutional.geometry import (
    Pairs,
    dilated_size,
    flatten_batch,
    format_shape,
    output_sizes,
    per_axis,
    window_size,
    window_slices,
)
from nets.convolutional.padding import pad, padding_pairs


class Grid(NamedTuple):
    """Geometry of the windows of a pool, one value or pair per axis."""

    space: Sequence[int]
    size: Sequence[int]
    strides: Sequence[int]
    dilation: Sequence[int]
    given: Pairs  # padding
    pairs: Pairs  # padding, including that added by ceil_mode
    sizes: Sequence[int]  # numbers of windows


def pool_windows(xs, window, strides, padding, dilation, ceil_mode):
    """Return the input with one batch axis, the shape of the batch, and the windows."""
    size = window_size("window", window)
    axes = len(size)
    if isinstance(padding, str) and padding not in ("valid", "same"):
        raise ValueError(
            "expected a padding of valid, same, an integer, or a pair (before, after) "
            f"for each spatial axis in a pool; got {padding!r}"
        )
    xs, batch = flatten_batch(xs, axes, f"a pool with a {format_shape(size)} window")
    space = xs.shape[1:-1]
    strides = size if strides is None else per_axis("strides", strides, axes)
    dilation = per_axis("dilation", dilation, axes)
    given = padding_pairs(padding, space, size, strides, dilation)
    pairs = given
    if ceil_mode:
        each = zip(space, size, strides, dilation, given, strict=True)
        pairs = tuple(_ceil_padding(*axis) for axis in each)
    sizes = output_sizes(space, size, strides, dilation, pairs, what="window")
    grid = Grid(space, size, strides, dilation, given, pairs, sizes)
    for n, pair, counts in zip(space, given, counts_per_axis(grid), strict=True):
        if not counts.all():
            raise ValueError(
                f"expected every window to overlap the input; on an axis of length "
                f"{n}, padded by {pair}, window {int(np.argmin(counts))} covers "
                "only padding"
            )
    return xs, batch, grid


def _ceil_padding(n, k, s, d, pair):
    """Extend the padding of one axis for a last, partial window, by PyTorch's rule."""
    before, after = pair
    (size,) = dilated_size((k,), (d,))
    windows = -(-(n + before + after - size) // s) + 1
    if (windows - 1) * s >= n + before:
        windows -= 1
    return before, max(after, (windows - 1) * s + size - n - before)


def counts_per_axis(grid, count_padding=False):
    """Count the inputs (and counted padding) of each window, one array per axis."""
    counts = []
    for n, k, s, d, (before, after), windows in zip(
        grid.space,
        grid.size,
        grid.strides,
        grid.dilation,
        grid.given,
        grid.sizes,
        strict=True,
    ):
        offsets = np.arange(windows)[:, None] * s + np.arange(k) * d - before
        first, last = (-before, n + after) if count_padding else (0, n)
        counts.append(((first <= offsets) & (offsets < last)).sum(axis=1))
    return counts


def window_counts(grid, count_padding):
    """Count the inputs (and counted padding) of each window, [1, *sizes, 1]."""
    counts = functools.reduce(np.multiply.outer, counts_per_axis(grid, count_padding))
    return counts[None, ..., None]


def grid_slices(xs, grid, fill):
    """Return the inputs at each offset within the window."""
    padded = pad(xs, grid.pairs, fill=fill)
    return window_slices(padded, grid.size, grid.strides, grid.dilation, grid.sizes)


def reduce_windows(operation, xs, start, grid):
    """Apply XLA's `reduce_window` to the windows of one or several arrays."""
    return jax.lax.reduce_window(
        xs,
        jax.tree.map(lambda x, start: np.asarray(start, x.dtype), xs, start),
        operation,
        (1, *grid.size, 1),
        (1, *grid.strides, 1),
        ((0, 0), *grid.pairs, (0, 0)),
        window_dilation=(1, *grid.dilation, 1),
    )
