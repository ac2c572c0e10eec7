"""Maxima of windows, their indices, and their gradient."""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int32, Shaped

from nets.convolutional.dtypes import wide
from nets.convolutional.grid import Grid, grid_slices, reduce_windows

MAX_SLICES = 32  # largest window that is compared slice by slice


def maxima(
    largest: Callable[[Array], Array],
    find: Callable[[Array], Array],
    xs: Shaped[Array, "..."],
) -> Shaped[Array, "..."]:
    """Compute maxima whose gradient goes to the indices that `find` returns.

        dy[o, c] / dx[p, c] = 1 where p = find(x)[o, c], else 0

    XLA's gradient of a pool repeats the comparisons, and may select a number next to a
    NaN instead of the NaN, which is the maximum. It also sums in the dtype of xs.

    Args:
        largest: Function `ys = largest(xs)` that returns the maxima,
            [examples, *windows, channels].
        find: Function `at = find(xs)` that returns the index of each maximum, of the
            shape of ys. Indices are row-major over the spatial axes.
        xs: Input, [examples, *space, channels].

    Returns:
        The maxima, `largest(xs)`.

    Example:
        >>> xs = jnp.array([[[1.0], [3.0], [2.0]]])
        >>> run = functools.partial(maxima, lambda x: x.max(1), global_argmax)
        >>> jax.grad(lambda xs: run(xs).sum())(xs).ravel().tolist()
        [0.0, 1.0, 0.0]
    """
    if jnp.issubdtype(xs.dtype, jnp.floating):
        return _maxima(largest, find, xs)
    return largest(xs)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _maxima(largest, find, xs):
    return largest(xs)


@_maxima.defjvp
def _maxima_jvp(largest, find, primals, tangents):
    (xs,), (slopes,) = primals, tangents
    ys = _maxima(largest, find, xs)
    at = find(jax.lax.stop_gradient(xs))
    channels = xs.shape[-1]
    flat = slopes.reshape(len(xs), math.prod(xs.shape[1:-1]), channels)
    indices = at.reshape(len(xs), math.prod(at.shape[1:-1]), channels)
    # Wide, because the transpose sums the gradients of all windows that overlap an
    # input.
    taken = jnp.take_along_axis(
        flat.astype(wide(xs.dtype)), indices, axis=1, mode="promise_in_bounds"
    )
    return ys, taken.astype(xs.dtype).reshape(ys.shape)


def is_better(
    best: Shaped[Array, "..."], new: Shaped[Array, "..."]
) -> Bool[Array, "..."]:
    """True where a number replaces the best so far: it is larger, or NaN.

    Args:
        best: Maxima of the previous inputs.
        new: Next inputs.

    Returns:
        Booleans. Among equal numbers the first is kept; among NaNs the last, as in
        PyTorch.

    Example:
        >>> is_better(jnp.array([1.0, 1.0]), jnp.array([1.0, jnp.nan])).tolist()
        [False, True]
    """
    return (new > best) | (new != new)


def window_argmax(xs: Shaped[Array, "..."], grid: Grid) -> Int32[Array, "..."]:
    """Return the index of each window's maximum.

    Args:
        xs: Input, [examples, *space, channels].
        grid: Windows, each of which overlaps the input.

    Returns:
        Indices into xs without its padding, row-major over the spatial axes,
        [examples, *windows, channels].

    Example:
        >>> from nets.convolutional.grid import pool_windows
        >>> xs = jnp.array([[[1.0], [3.0]]])
        >>> xs, _, grid = pool_windows(xs, (2,), None, 0, 1, False)
        >>> window_argmax(xs, grid).tolist()
        [[[1]]]
    """
    if math.prod(grid.size) > MAX_SLICES:  # many slices are slow to compile
        (_, at) = reduce_windows(
            _join, (xs, _all_indices(xs)), (lowest(xs.dtype), -1), grid
        )
        return at
    numbers = math.prod(grid.space)
    indices = jnp.arange(numbers, dtype=jnp.int32).reshape(1, *grid.space, 1)
    slices = zip(
        grid_slices(xs, grid, lowest(xs.dtype)),
        grid_slices(indices, grid, fill=-1),
        strict=True,
    )
    best, at = next(slices)
    at = jnp.broadcast_to(at, best.shape)
    for new, here in slices:
        # The maximum is never in the padding, even if the input is as small.
        later = is_better(best, new) | (at < 0)
        best = jnp.where(later, new, best)
        at = jnp.where(later, here, at)
    return at


def global_argmax(xs: Shaped[Array, "..."]) -> Int32[Array, "..."]:
    """Return the index of each channel's maximum.

    Args:
        xs: Input, [examples, *space, channels].

    Returns:
        Indices, row-major over the spatial axes, [examples, channels].

    Example:
        >>> global_argmax(jnp.array([[[1.0], [3.0]]])).tolist()
        [[1]]
    """
    starts = np.asarray(lowest(xs.dtype), xs.dtype), np.int32(-1)
    axes = tuple(range(1, xs.ndim - 1))
    _, at = jax.lax.reduce((xs, _all_indices(xs)), starts, _join, axes)
    return at


def lowest(dtype):
    """Return the smallest number of the dtype."""
    if jnp.issubdtype(dtype, jnp.inexact):
        return -math.inf
    return False if dtype == jnp.bool_ else jnp.iinfo(dtype).min


def _all_indices(xs):
    """Return the index of every number, with the shape of xs."""
    space = xs.shape[1:-1]
    indices = jnp.arange(math.prod(space), dtype=jnp.int32).reshape(1, *space, 1)
    return jnp.broadcast_to(indices, xs.shape)


def _join(first, second):
    """Combine two maxima and their indices, in any order."""
    (a, i), (b, j) = first, second
    both = jnp.where(b == b, j < i, j > i)  # first of equals, last of NaNs
    same = (a == b) | ((a != a) & (b != b))
    later = (i < 0) | ((j >= 0) & jnp.where(same, both, is_better(a, b) & (a == a)))
    return jnp.where(later, b, a), jnp.where(later, j, i)
