"""Global and adaptive pools, whose output has a given size."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped

from nets.convolutional.dtypes import mean_dtypes
from nets.convolutional.geometry import IntLike, flatten_batch, is_integer, per_axis
from nets.convolutional.maxima import global_argmax, is_better, maxima
from nets.convolutional.pooling import max_pool


def global_max_pool(xs: Shaped[Array, "..."], axes: IntLike) -> Shaped[Array, "..."]:
    """Maximum of each channel.

        y[c] = max over all positions p of x[p, c]

    Among equal maxima, the first receives the gradient; among NaNs, the last.

    Args:
        xs: Input, [*batch, *space, channels].
        axes: Number of spatial axes: 1 for sequences, 2 for images.

    Returns:
        Maxima, [*batch, channels], of xs's dtype.

    Raises:
        ValueError: `xs` has fewer axes.

    Example:
        >>> global_max_pool(jnp.arange(24.0).reshape(3, 4, 2), axes=2).tolist()
        [22.0, 23.0]

    References:
        Oquab, Bottou, Laptev and Sivic 2015, Is object localization for free?, CVPR.
    """
    axes = _count(axes)
    xs, batch = flatten_batch(xs, axes, "a global pool")
    largest = functools.partial(jnp.max, axis=tuple(range(1, axes + 1)))
    return maxima(largest, global_argmax, xs).reshape(*batch, xs.shape[-1])


def global_mean_pool(xs: Shaped[Array, "..."], axes: IntLike) -> Shaped[Array, "..."]:
    """Mean of each channel.

        y[c] = mean over all positions p of x[p, c]

    Args:
        xs: Input, [*batch, *space, channels].
        axes: Number of spatial axes: 1 for sequences, 2 for images.

    Returns:
        Means, [*batch, channels], of xs's dtype, or float32 for integers.

    Raises:
        ValueError: `xs` has fewer axes.

    Example:
        >>> global_mean_pool(jnp.arange(24.0).reshape(3, 4, 2), axes=2).tolist()
        [11.0, 12.0]

    References:
        Lin, Chen and Yan 2014, Network in network, ICLR,
        https://arxiv.org/abs/1312.4400
    """
    axes = _count(axes)
    xs, batch = flatten_batch(xs, axes, "a global pool")
    dtype, wide = mean_dtypes(xs)
    ys = xs.mean(tuple(range(1, axes + 1)), dtype=wide)
    return ys.astype(dtype).reshape(*batch, xs.shape[-1])


def adaptive_max_pool(
    xs: Shaped[Array, "..."], sizes: Sequence[IntLike | None]
) -> Shaped[Array, "..."]:
    """Max pool with a given output size.

        y[i, c] = max of x[p, c] over floor(i n / o) <= p < ceil((i + 1) n / o)

    along each axis of n inputs and o outputs. If o does not divide n, the windows
    differ in size and overlap. The gradient goes to the same inputs as in `max_pool`.

    Args:
        xs: Input, [*batch, *space, channels], with one spatial axis per size.
        sizes: Output size o of each axis; None keeps the input size.

    Returns:
        Maxima, [*batch, *sizes, channels], of xs's dtype.

    Raises:
        ValueError: `sizes` are not positive integers, or there are more sizes than
            spatial axes.

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
    xs: Shaped[Array, "..."], sizes: Sequence[IntLike | None]
) -> Shaped[Array, "..."]:
    """Mean pool with a given output size.

        y[i, c] = mean of x[p, c] over floor(i n / o) <= p < ceil((i + 1) n / o)

    along each axis of n inputs and o outputs.

    Args:
        xs: Input, [*batch, *space, channels], with one spatial axis per size.
        sizes: Output size o of each axis; None keeps the input size.

    Returns:
        Means, [*batch, *sizes, channels], of xs's dtype, or float32 for integers.

    Raises:
        ValueError: `sizes` are not positive integers, or there are more sizes than
            spatial axes.

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
            positions = np.arange(n)[:, None]
            ys = weighted_sum(
                ys, ((first <= positions) & (positions < last)) / (last - first), axis
            )
    return ys.astype(dtype).reshape(*batch, *ys.shape[1:])


def weighted_sum(
    xs: Float[Array, "..."], weights: Float[np.ndarray, "inputs outputs"], axis: int
) -> Float[Array, "..."]:
    """Compute weighted sums along one axis, as a product with a small matrix.

    Args:
        xs: Array of any shape.
        weights: Weight of each input in each output, [inputs, outputs], where inputs is
            the size of the axis.
        axis: Axis to sum along.

    Returns:
        xs with the outputs along the axis.

    Example:
        >>> weighted_sum(jnp.ones((4, 3)), np.full((4, 2), 0.25), axis=0).shape
        (2, 3)
    """
    ys = jnp.tensordot(
        xs,
        jnp.asarray(weights, xs.dtype),
        (axis, 0),
        precision=jax.lax.Precision.HIGHEST,  # copied numbers stay exact
    )
    return jnp.moveaxis(ys, -1, axis)


def _count(axes: Any) -> int:
    if not is_integer(axes) or int(axes) not in (1, 2, 3):
        raise ValueError(
            "expected the number of spatial axes of a global pool to be 1, 2 or 3; "
            f"got {axes!r}"
        )
    return int(axes)


def _sized(xs, sizes):
    """Input with one batch axis, shape of the batch, and sizes of the output."""
    if not isinstance(sizes, Sequence) or not sizes:
        raise ValueError(
            "expected sizes of an adaptive pool, a tuple with one for each spatial "
            f"axis; got {sizes!r}"
        )
    axes = len(sizes)
    xs, batch = flatten_batch(xs, axes, "an adaptive pool")
    lengths = xs.shape[1:-1]
    sizes = [n if o is None else o for n, o in zip(lengths, sizes, strict=True)]
    return xs, batch, per_axis("sizes", sizes, axes)


def _spans(n, o):
    """Start (inclusive) and end (exclusive) of each window along an axis."""
    i = np.arange(o)
    return i * n // o, -(-(i + 1) * n // o)


def _maxima(xs, spans):
    """Return the maximum of each window and its index."""
    space = xs.shape[1:-1]
    at = jnp.arange(math.prod(space), dtype=jnp.int32).reshape(1, *space, 1)
    best = xs
    # The last axis comes first, so that the first row wins, and in it the first column.
    for axis in reversed(range(1, xs.ndim - 1)):
        best, at = _maxima_along(best, at, axis, *spans[axis - 1])
    return best, at + jnp.zeros_like(best, jnp.int32)  # sharded like best


def _maxima_along(numbers, indices, axis, first, last):
    """Return the maximum of each window along one axis, and its index."""
    # A window shorter than the longest repeats its last input.
    steps = [np.minimum(first + p, last - 1) for p in range(int((last - first).max()))]
    best, at = (jnp.take(a, steps[0], axis, mode="clip") for a in (numbers, indices))
    for step in steps[1:]:
        new, here = (jnp.take(a, step, axis, mode="clip") for a in (numbers, indices))
        later = is_better(best, new)
        best, at = jnp.where(later, new, best), jnp.where(later, here, at)
    return best, at
