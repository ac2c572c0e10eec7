"""Pools: the maximum, the mean or the norm of each channel in a window."""

import functools
import math
import operator
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Shaped

from nets.convolutional.dtypes import mean_dtypes
from nets.convolutional.geometry import IntLike, Sizes
from nets.convolutional.grid import (
    grid_slices,
    pool_windows,
    reduce_windows,
    window_counts,
)
from nets.convolutional.maxima import lowest, maxima, window_argmax
from nets.convolutional.padding import Padding

# The pools use XLA's `reduce_window` where possible. Unlike XLA's convolution, it is
# also fast on CPUs, in loops and over stacked seeds. With folds over slices of the
# input, the gradient is 1.5 to 5 times slower.


def max_pool(
    xs: Shaped[Array, "..."],
    window: Sequence[IntLike],
    *,
    strides: Sizes | None = None,
    padding: Padding = "valid",
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Max pool: the maximum of each channel in a window.

        y[o, c] = max over p of x[o s + p d - before, c]

    with stride s and dilation d. The padding is smaller than any number. Among equal
    maxima, the first receives the gradient; among NaNs, the last, as in PyTorch.

    Args:
        xs: Input, [*batch, *space, channels], with one spatial axis per size of the
            window.
        window: Tuple of sizes: (2, 2) for images, (2,) for sequences. A single number
            is an error, because it does not determine the number of spatial axes.
        strides: Distance between neighboring windows, one for all axes or one per axis.
            Default: the sizes of the window.
        padding: "valid" (none), "same" (ceil(n / s) outputs), an integer, or a pair
            (before, after) for each axis.
        dilation: Distance between neighboring inputs of a window.
        ceil_mode: Whether the number of windows is rounded up instead of down. The
            additional window covers the rest of the input; it must start inside the
            input or the padding before it.
        return_indices: Whether to return also the indices of the maxima, for `unpool`.

    Returns:
        Maxima ys, [*batch, *space', channels], of xs's dtype. With `return_indices`, a
        pair (ys, indices), where indices is int32 with the shape of ys. Each index is
        row-major over the spatial axes of the input without its padding.

    Raises:
        ValueError: The shapes do not match, the padding is not supported by pools, or a
            window would contain only padding.

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
    xs, batch, grid = pool_windows(xs, window, strides, padding, dilation, ceil_mode)
    ys = _largest(xs, grid)
    ys = ys.reshape(*batch, *ys.shape[1:])
    if not return_indices:
        return ys
    indices = window_argmax(jax.lax.stop_gradient(xs), grid)
    return ys, indices.reshape(ys.shape)


def mean_pool(
    xs: Shaped[Array, "..."],
    window: Sequence[IntLike],
    *,
    strides: Sizes | None = None,
    padding: Padding = "valid",
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    count_padding: bool = False,
) -> Shaped[Array, "..."]:
    """Mean pool: the mean of each channel in a window.

        y[o, c] = sum over p of x[o s + p d - before, c] / count[o]

    Args:
        xs: Input, [*batch, *space, channels], with one spatial axis per size of the
            window.
        window: Tuple of sizes, as in `max_pool`.
        strides: Strides, as in `max_pool`.
        padding: Padding, as in `max_pool`.
        dilation: Dilation, as in `max_pool`.
        ceil_mode: Rounding of the number of windows, as in `max_pool`.
        count_padding: Whether the padding counts as zeros in the mean, as in Flax, and
            by default in PyTorch. Otherwise the mean is over the inputs in the window
            only, as in Keras. The padding that `ceil_mode` adds never counts.

    Returns:
        Means, [*batch, *space', channels], of xs's dtype, or float32 for integers. Sums
        are computed in at least float32.

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
    xs, batch, grid = pool_windows(xs, window, strides, padding, dilation, ceil_mode)
    dtype, wide = mean_dtypes(xs)
    totals = reduce_windows(jax.lax.add, xs.astype(wide), 0, grid)
    counts = jnp.asarray(window_counts(grid, count_padding), wide)
    return (totals / counts).astype(dtype).reshape(*batch, *totals.shape[1:])


def lp_pool(
    xs: Shaped[Array, "..."],
    window: Sequence[IntLike],
    p: int | float = 2.0,
    *,
    strides: Sizes | None = None,
    padding: Padding = "valid",
    ceil_mode: bool = False,
) -> Shaped[Array, "..."]:
    """Lp pool: the p-norm of each channel in a window.

        y[o, c] = (sum over q of |x[o s + q - before, c]|^p)^(1 / p)

    It ranges from the sum of absolute values at p = 1 to their maximum at p = inf.
    PyTorch omits the absolute value, and so differs for odd p and negative numbers. The
    padding is zero. As in PyTorch, the sum of a window of k inputs that `ceil_mode`
    extends beyond the padding is rescaled by k / (k - beyond).

    Each window is first divided by its largest absolute value, so that no power
    overflows. The gradient of a window of zeros is zero.

    Args:
        xs: Input, [*batch, *space, channels], with one spatial axis per size of the
            window.
        window: Tuple of sizes, as in `max_pool`.
        p: Order of the norm, above 0; may be infinity.
        strides: Strides, as in `max_pool`.
        padding: Padding, as in `max_pool`.
        ceil_mode: Rounding of the number of windows, as in `max_pool`.

    Returns:
        Norms, [*batch, *space', channels], of xs's dtype, or float32 for integers.

    Raises:
        ValueError: `p` is not above 0; otherwise as in `max_pool`.

    Example:
        >>> lp_pool(jnp.array([3.0, -4.0])[:, None], (2,))[:, 0].tolist()
        [5.0]

    References:
        Sermanet, Chintala and LeCun 2012, Convolutional neural networks applied to
        house numbers digit classification, ICPR, https://arxiv.org/abs/1204.3968
    """
    if not p > 0:
        raise ValueError(f"expected p to be a number above 0, or infinity; got {p}")
    xs, batch, grid = pool_windows(xs, window, strides, padding, 1, ceil_mode)
    dtype, wide = mean_dtypes(xs)
    absolute = _power(
        jnp.abs(xs.astype(wide)), 1
    )  # the derivative of JAX's |x| at 0 is 1
    if math.isinf(p):
        ys = _largest(absolute, grid)
        return ys.astype(dtype).reshape(*batch, *ys.shape[1:])
    slices = grid_slices(absolute, grid, fill=0)
    largest = jax.lax.stop_gradient(functools.reduce(jnp.maximum, slices))
    scale = jnp.where(jnp.isfinite(largest) & (largest > 0), largest, 1)
    power = int(p) if p == int(p) else p  # integer powers are products
    total = functools.reduce(operator.add, (_power(s / scale, power) for s in slices))
    counts = window_counts(grid, count_padding=True)
    whole = jnp.asarray((math.prod(grid.size) / counts) ** (1 / p), wide)
    ys = _power(total, 1 / p) * scale * whole
    return ys.astype(dtype).reshape(*batch, *ys.shape[1:])


def _largest(xs, grid):
    """Return the maximum of each window."""
    largest = functools.partial(
        reduce_windows, jax.lax.max, start=lowest(xs.dtype), grid=grid
    )
    return maxima(largest, functools.partial(window_argmax, grid=grid), xs)


def _power(x, p):
    """Return x^p for x >= 0, with derivative 0 at 0 for any p above 0."""
    zero = x == 0
    return jnp.where(zero, 0, jnp.where(zero, 1, x) ** p)
