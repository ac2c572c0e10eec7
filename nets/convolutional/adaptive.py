"""Pools whose output has a given size: one number a channel, or so many windows."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped

from nets.convolutional.dtypes import mean_dtypes
from nets.convolutional.geometry import Whole, one_batch, per_axis, whole_number
from nets.convolutional.maxima import better, global_places, maxima
from nets.convolutional.pooling import max_pool


def global_max_pool(xs: Shaped[Array, "..."], axes: Whole) -> Shaped[Array, "..."]:
    """The largest number of each channel.

        y[c] = max over all places p of x[p, c]

    Of equal numbers the first is the maximum, and gets the gradient; where there are
    NaNs, the last of them.

    Args:
        xs: [*batch, *space, channels].
        axes: How many spatial axes there are: 1 in sequences, 2 in images.

    Returns:
        [*batch, channels], of xs's dtype.

    Raises:
        ValueError: There are not so many axes.

    Example:
        >>> global_max_pool(jnp.arange(24.0).reshape(3, 4, 2), axes=2).tolist()
        [22.0, 23.0]

    References:
        Oquab, Bottou, Laptev and Sivic 2015, Is object localization for free?, CVPR.
    """
    axes = _count(axes)
    xs, batch = one_batch(xs, axes, "a global pool")
    largest = functools.partial(jnp.max, axis=tuple(range(1, axes + 1)))
    return maxima(largest, global_places, xs).reshape(*batch, xs.shape[-1])


def global_mean_pool(xs: Shaped[Array, "..."], axes: Whole) -> Shaped[Array, "..."]:
    """The mean of each channel.

        y[c] = mean over all places p of x[p, c]

    Args:
        xs: [*batch, *space, channels].
        axes: How many spatial axes there are: 1 in sequences, 2 in images.

    Returns:
        [*batch, channels], of xs's dtype, or float32 where that is of integers.

    Raises:
        ValueError: There are not so many axes.

    Example:
        >>> global_mean_pool(jnp.arange(24.0).reshape(3, 4, 2), axes=2).tolist()
        [11.0, 12.0]

    References:
        Lin, Chen and Yan 2014, Network in network, ICLR,
        https://arxiv.org/abs/1312.4400
    """
    axes = _count(axes)
    xs, batch = one_batch(xs, axes, "a global pool")
    dtype, wide = mean_dtypes(xs)
    ys = xs.mean(tuple(range(1, axes + 1)), dtype=wide)
    return ys.astype(dtype).reshape(*batch, xs.shape[-1])


def adaptive_max_pool(
    xs: Shaped[Array, "..."], sizes: Sequence[Whole | None]
) -> Shaped[Array, "..."]:
    """The largest numbers, with as many outputs as are asked for.

        y[i, c] = max of x[p, c] over floor(i n / o) <= p < ceil((i + 1) n / o)

    along each axis of n inputs and o outputs. Where o does not divide n, the windows
    differ in size and overlap. The gradient goes where that of `max_pool` would.

    Args:
        xs: [*batch, *space, channels], as many spatial axes as there are sizes.
        sizes: o of each axis; None keeps it as it is.

    Returns:
        [*batch, *sizes, channels], of xs's dtype.

    Raises:
        ValueError: The sizes are no positive integers, or too many for the input.

    Example:
        >>> adaptive_max_pool(jnp.arange(5.0)[:, None], (2,))[:, 0].tolist()
        [2.0, 4.0]

    References:
        PyTorch's AdaptiveMaxPool1d, 2d and 3d have these windows.
    """
    xs, batch, sizes = _sized(xs, sizes)
    space = xs.shape[1:-1]
    if all(n % o == 0 for n, o in zip(space, sizes, strict=True)):
        ys = max_pool(xs, [n // o for n, o in zip(space, sizes, strict=True)])
    else:
        spans = [_spans(n, o) for n, o in zip(space, sizes, strict=True)]
        ys = maxima(
            lambda xs: _maxima(xs, spans)[0], lambda xs: _maxima(xs, spans)[1], xs
        )
    return ys.reshape(*batch, *ys.shape[1:])


def adaptive_mean_pool(
    xs: Shaped[Array, "..."], sizes: Sequence[Whole | None]
) -> Shaped[Array, "..."]:
    """The means, with as many outputs as are asked for.

        y[i, c] = mean of x[p, c] over floor(i n / o) <= p < ceil((i + 1) n / o)

    along each axis of n inputs and o outputs.

    Args:
        xs: [*batch, *space, channels], as many spatial axes as there are sizes.
        sizes: o of each axis; None keeps it as it is.

    Returns:
        [*batch, *sizes, channels], of xs's dtype, or float32 where that is of integers.

    Raises:
        ValueError: The sizes are no positive integers, or too many for the input.

    Example:
        >>> adaptive_mean_pool(jnp.arange(5.0)[:, None], (2,))[:, 0].tolist()
        [1.0, 3.0]

    References:
        He, Zhang, Ren and Sun 2014, Spatial pyramid pooling in deep convolutional
        networks for visual recognition, ECCV, https://arxiv.org/abs/1406.4729
        PyTorch's AdaptiveAvgPool1d, 2d and 3d have these windows.
    """
    xs, batch, sizes = _sized(xs, sizes)
    dtype, wide = mean_dtypes(xs)
    ys = xs.astype(wide)
    for axis, o in enumerate(sizes, start=1):
        n = xs.shape[axis]
        if o != n:
            first, last = _spans(n, o)
            places = np.arange(n)[:, None]
            ys = weighted_sum(
                ys, ((first <= places) & (places < last)) / (last - first), axis
            )
    return ys.astype(dtype).reshape(*batch, *ys.shape[1:])


def weighted_sum(
    xs: Float[Array, "..."], weights: Float[np.ndarray, "inputs outputs"], axis: int
) -> Float[Array, "..."]:
    """Weighted sums along one axis, as a product with a small matrix.

    Args:
        xs: An array with so many inputs along the axis.
        weights: How much of each input there is in each output.
        axis: Which.

    Returns:
        xs, with the outputs along the axis.

    Example:
        >>> mix(jnp.ones((4, 3)), np.full((4, 2), 0.25), axis=0).shape
        (2, 3)
    """
    ys = jnp.tensordot(
        xs,
        jnp.asarray(weights, xs.dtype),
        (axis, 0),
        precision=jax.lax.Precision.HIGHEST,  # numbers that are only moved stay exact
    )
    return jnp.moveaxis(ys, -1, axis)


def _count(axes: Any) -> int:
    if not whole_number(axes) or int(axes) not in (1, 2, 3):
        raise ValueError(
            "expected a global pool to be told how many spatial axes there are: 1, 2 "
            f"or 3; got {axes!r}"
        )
    return int(axes)


def _sized(xs, sizes):
    """The input with one batch axis, the batch's shape, and the output's sizes."""
    if not isinstance(sizes, Sequence) or not sizes:
        raise ValueError(
            "expected sizes of an adaptive pool, a tuple with one for each spatial "
            f"axis; got {sizes!r}"
        )
    axes = len(sizes)
    xs, batch = one_batch(xs, axes, "an adaptive pool")
    lengths = xs.shape[1:-1]
    sizes = [n if o is None else o for n, o in zip(lengths, sizes, strict=True)]
    return xs, batch, per_axis("sizes", sizes, axes)


def _spans(n, o):
    """Where the windows along an axis begin, and where they end."""
    i = np.arange(o)
    return i * n // o, -(-(i + 1) * n // o)


def _maxima(xs, spans):
    """The largest number of each window, and its place."""
    space = xs.shape[1:-1]
    at = jnp.arange(math.prod(space), dtype=jnp.int32).reshape(1, *space, 1)
    best = xs
    # The last axis first: then the first row wins, and in it the first column.
    for axis in reversed(range(1, xs.ndim - 1)):
        best, at = _maxima_along(best, at, axis, *spans[axis - 1])
    return best, at + jnp.zeros_like(best, jnp.int32)  # sharded as best is


def _maxima_along(numbers, places, axis, first, last):
    """The largest number of each window along one axis, and its place."""
    # A window that is shorter than the longest sees its last place again.
    steps = [np.minimum(first + p, last - 1) for p in range(int((last - first).max()))]
    best, at = (jnp.take(a, steps[0], axis, mode="clip") for a in (numbers, places))
    for step in steps[1:]:
        found, here = (jnp.take(a, step, axis, mode="clip") for a in (numbers, places))
        later = better(best, found)
        best, at = jnp.where(later, found, best), jnp.where(later, here, at)
    return best, at
