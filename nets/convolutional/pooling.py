"""Pools: the largest, the mean or the norm of what a window sees in each channel."""

import functools
import math
import operator
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Shaped

from nets.convolutional.dtypes import mean_dtypes
from nets.convolutional.geometry import Sizes, Whole
from nets.convolutional.grid import counts_of, place, reduced, taps_of
from nets.convolutional.maxima import least, maxima, window_places
from nets.convolutional.padding import Padding

# The pools are XLA's own `reduce_window` wherever that can be: unlike its convolution,
# it is fast on a CPU too, in loops and over stacked seeds. Folding slices of the input
# is 1.5 to 5 times slower in the gradient.


def max_pool(
    xs: Shaped[Array, "..."],
    window: Sequence[Whole],
    *,
    strides: Sizes | None = None,
    padding: Padding = "valid",
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest number that a window of the input shows, channel by channel.

        y[o, c] = max over p of x[o s + p d - before, c]

    with the stride s and the dilation d. The padding is smaller than any number. Of
    equal numbers the first is the maximum, and gets the gradient; where there are NaNs,
    the last of them, as in PyTorch.

    Args:
        xs: [*batch, *space, channels], as many spatial axes as the window has sizes.
        window: A tuple of sizes: (2, 2) for images, (2,) for sequences. A single number
            is refused: it does not tell which axes are space.
        strides: How far the window moves, for all axes or one an axis; by default as
            far as it is wide.
        padding: "valid" (none), "same" (ceil(n / s) outputs), an integer, or a pair
            (before, after) for each axis.
        dilation: The distance between the places of the window.
        ceil_mode: Where the windows do not fill the input, one more sees the rest of
            it, if it starts inside the input or the padding before it: the number of
            windows is rounded up, not down.
        return_indices: Also return where the maxima are, for `unpool`.

    Returns:
        ys, [*batch, *space', channels], of xs's dtype; with `return_indices` (ys,
        indices), int32 of ys's shape: the place in the input without its padding,
        row-major over the spatial axes, in each example and channel.

    Raises:
        ValueError: The shapes do not fit each other, the padding is no pool's, or a
            window would see padding alone.

    Example:
        >>> xs = jnp.array([1.0, 5.0, 2.0, 3.0])[:, None]
        >>> max_pool(xs, (2,))[:, 0].tolist()
        [5.0, 3.0]
        >>> ys, indices = max_pool(xs, (2,), return_indices=True)
        >>> indices[:, 0].tolist()
        [1, 3]

    References:
        Zhou and Chellappa 1988, Computation of optical flow using a neural network,
        IEEE International Conference on Neural Networks.
        Riesenhuber and Poggio 1999, Hierarchical models of object recognition in
        cortex, Nature Neuroscience 2.
    """
    xs, batch, grid = place(xs, window, strides, padding, dilation, ceil_mode)
    ys = _largest(xs, grid)
    ys = ys.reshape(*batch, *ys.shape[1:])
    if not return_indices:
        return ys
    indices = window_places(jax.lax.stop_gradient(xs), grid)
    return ys, indices.reshape(ys.shape)


def mean_pool(
    xs: Shaped[Array, "..."],
    window: Sequence[Whole],
    *,
    strides: Sizes | None = None,
    padding: Padding = "valid",
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    count_padding: bool = False,
) -> Shaped[Array, "..."]:
    """The mean of what a window of the input shows, channel by channel.

        y[o, c] = sum over p of x[o s + p d - before, c] / count[o]

    Args:
        xs: [*batch, *space, channels], as many spatial axes as the window has sizes.
        window: A tuple of sizes, as in `max_pool`.
        strides: Likewise.
        padding: Likewise.
        dilation: Likewise.
        ceil_mode: Likewise.
        count_padding: Whether the padding counts, as zeros, in the mean: as in Flax,
            and by default in PyTorch. Otherwise a window has the mean of what it sees
            of the input, as in Keras. What `ceil_mode` adds behind the padding never
            counts.

    Returns:
        [*batch, *space', channels], of xs's dtype, or float32 where that is of
        integers; summed in float32 at the least.

    Raises:
        ValueError: As in `max_pool`.

    Example:
        >>> xs = jnp.array([1.0, 2.0, 3.0])[:, None]
        >>> mean_pool(xs, (3,), strides=1, padding="same")[:, 0].tolist()
        [1.5, 2.0, 2.5]
        >>> ys = mean_pool(xs, (3,), strides=1, padding="same", count_padding=True)
        >>> ys[:, 0].tolist()
        [1.0, 2.0, 1.6666666269302368]

    References:
        LeCun et al. 1990, Handwritten digit recognition with a back-propagation
        network, NeurIPS.
    """
    xs, batch, grid = place(xs, window, strides, padding, dilation, ceil_mode)
    dtype, wide = mean_dtypes(xs)
    totals = reduced(jax.lax.add, xs.astype(wide), 0, grid)
    counts = jnp.asarray(counts_of(grid, count_padding), wide)
    return (totals / counts).astype(dtype).reshape(*batch, *totals.shape[1:])


def lp_pool(
    xs: Shaped[Array, "..."],
    window: Sequence[Whole],
    p: int | float = 2.0,
    *,
    strides: Sizes | None = None,
    padding: Padding = "valid",
    ceil_mode: bool = False,
) -> Shaped[Array, "..."]:
    """The p-norm of what a window of the input shows, channel by channel.

        y[o, c] = (sum over q of |x[o s + q - before, c]|^p)^(1 / p)

    from the sum of what it sees at p = 1 to the largest at p = inf. PyTorch leaves out
    the absolute value, and so differs for an odd p and numbers below 0. The padding is
    zero. As in PyTorch, a window that `ceil_mode` lets reach beyond the padding is
    taken for whole: its sum grows by k / (k - beyond), with k places in the window.

    Each window is scaled by its largest number first, so that no power overflows. The
    gradient where all of a window is zero is zero.

    Args:
        xs: [*batch, *space, channels], as many spatial axes as the window has sizes.
        window: A tuple of sizes, as in `max_pool`.
        p: A number above 0, or infinity.
        strides: As in `max_pool`.
        padding: Likewise.
        ceil_mode: Likewise.

    Returns:
        [*batch, *space', channels], of xs's dtype, or float32 where that is of
        integers.

    Raises:
        ValueError: p is not above 0; otherwise as in `max_pool`.

    Example:
        >>> lp_pool(jnp.array([3.0, -4.0])[:, None], (2,))[:, 0].tolist()
        [5.0]

    References:
        Sermanet, Chintala and LeCun 2012, Convolutional neural networks applied to
        house numbers digit classification, ICPR, https://arxiv.org/abs/1204.3968
    """
    if not p > 0:
        raise ValueError(f"expected p to be a number above 0, or infinity; got {p}")
    xs, batch, grid = place(xs, window, strides, padding, 1, ceil_mode)
    dtype, wide = mean_dtypes(xs)
    absolute = _power(jnp.abs(xs.astype(wide)), 1)  # JAX's |x| has a slope of 1 at 0
    if math.isinf(p):
        ys = _largest(absolute, grid)
        return ys.astype(dtype).reshape(*batch, *ys.shape[1:])
    seen = taps_of(absolute, grid, fill=0)
    largest = jax.lax.stop_gradient(functools.reduce(jnp.maximum, seen))
    scale = jnp.where(jnp.isfinite(largest) & (largest > 0), largest, 1)
    power = int(p) if p == int(p) else p  # a whole one is a product
    total = functools.reduce(operator.add, (_power(s / scale, power) for s in seen))
    counts = counts_of(grid, count_padding=True)
    whole = jnp.asarray((math.prod(grid.size) / counts) ** (1 / p), wide)
    ys = _power(total, 1 / p) * scale * whole
    return ys.astype(dtype).reshape(*batch, *ys.shape[1:])


def _largest(xs, grid):
    """The maximum of each window."""
    largest = functools.partial(reduced, jax.lax.max, start=least(xs.dtype), grid=grid)
    return maxima(largest, functools.partial(window_places, grid=grid), xs)


def _power(x, p):
    """x^p for x >= 0, with a slope of 0 at 0 for any p above 0."""
    zero = x == 0
    return jnp.where(zero, 0, jnp.where(zero, 1, x) ** p)
