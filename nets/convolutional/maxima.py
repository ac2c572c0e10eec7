"""Maxima of windows, where they are, and how the gradient finds its way there."""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int32, Shaped

from nets.convolutional.dtypes import wide
from nets.convolutional.grid import Grid, reduced, taps_of

MOST_TAPS = 32  # places of a window that are compared one slice after the other


def maxima(
    largest: Callable[[Array], Array],
    find: Callable[[Array], Array],
    xs: Shaped[Array, "..."],
) -> Shaped[Array, "..."]:
    """Maxima whose gradient goes to the places that `find` returns.

        dy[o, c] / dx[p, c] = 1 where p = find(x)[o, c], else 0

    XLA's gradient of a pool compares again, and takes a number that is next to a NaN
    for the maximum, which is the NaN. It also adds up in the dtype of xs.

    Args:
        largest: `ys = largest(xs)`, the maxima, [examples, *windows, channels].
        find: `at = find(xs)`, of the shape of ys: the place of each maximum, row-major
            over the spatial axes.
        xs: [examples, *space, channels].

    Returns:
        largest(xs).

    Example:
        >>> xs = jnp.array([[[1.0], [3.0], [2.0]]])
        >>> run = functools.partial(maxima, lambda x: x.max(1), global_places)
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
    places = at.reshape(len(xs), math.prod(at.shape[1:-1]), channels)
    # Wide, as its transpose adds up the gradients of all windows that see a place.
    taken = jnp.take_along_axis(
        flat.astype(wide(xs.dtype)), places, axis=1, mode="promise_in_bounds"
    )
    return ys, taken.astype(xs.dtype).reshape(ys.shape)


def better(
    best: Shaped[Array, "..."], found: Shaped[Array, "..."]
) -> Bool[Array, "..."]:
    """Whether what is found is better than the best so far: larger, or not a number.

    Args:
        best: The maxima of the places before.
        found: The numbers of the next place.

    Returns:
        The answers. Of equal numbers the first stays; of NaNs the last, as in PyTorch.

    Example:
        >>> better(jnp.array([1.0, 1.0]), jnp.array([1.0, jnp.nan])).tolist()
        [False, True]
    """
    return (found > best) | (found != found)


def window_places(xs: Shaped[Array, "..."], grid: Grid) -> Int32[Array, "..."]:
    """The place of each window's maximum.

    Args:
        xs: [examples, *space, channels].
        grid: The windows, each of which sees some of the input.

    Returns:
        The place in xs without its padding, row-major over the spatial axes,
        [examples, *windows, channels].

    Example:
        >>> from nets.convolutional.grid import place
        >>> xs, _, grid = place(jnp.array([[[1.0], [3.0]]]), (2,), None, 0, 1, False)
        >>> window_places(xs, grid).tolist()
        [[[1]]]
    """
    if math.prod(grid.size) > MOST_TAPS:  # as slices, slow to compile
        (_, at) = reduced(_joined, (xs, _all_places(xs)), (least(xs.dtype), -1), grid)
        return at
    numbers = math.prod(grid.space)
    places = jnp.arange(numbers, dtype=jnp.int32).reshape(1, *grid.space, 1)
    seen = zip(
        taps_of(xs, grid, least(xs.dtype)), taps_of(places, grid, fill=-1), strict=True
    )
    best, at = next(seen)
    at = jnp.broadcast_to(at, best.shape)
    for found, here in seen:
        # The padding is never where a maximum is, even if the input is as small.
        later = better(best, found) | (at < 0)
        best = jnp.where(later, found, best)
        at = jnp.where(later, here, at)
    return at


def global_places(xs: Shaped[Array, "..."]) -> Int32[Array, "..."]:
    """The place of each channel's maximum.

    Args:
        xs: [examples, *space, channels].

    Returns:
        The place, row-major over the spatial axes, [examples, channels].

    Example:
        >>> global_places(jnp.array([[[1.0], [3.0]]])).tolist()
        [[1]]
    """
    starts = np.asarray(least(xs.dtype), xs.dtype), np.int32(-1)
    axes = tuple(range(1, xs.ndim - 1))
    _, at = jax.lax.reduce((xs, _all_places(xs)), starts, _joined, axes)
    return at


def least(dtype):
    """What no number of the dtype is smaller than."""
    if jnp.issubdtype(dtype, jnp.inexact):
        return -math.inf
    return False if dtype == jnp.bool_ else jnp.iinfo(dtype).min


def _all_places(xs):
    """The place of every number, of xs's shape."""
    space = xs.shape[1:-1]
    places = jnp.arange(math.prod(space), dtype=jnp.int32).reshape(1, *space, 1)
    return jnp.broadcast_to(places, xs.shape)


def _joined(one, other):
    """The better of two maxima with their places, in whatever order they come."""
    (a, i), (b, j) = one, other
    both = jnp.where(b == b, j < i, j > i)  # first of equals, last of NaNs
    same = (a == b) | ((a != a) & (b != b))
    later = (i < 0) | ((j >= 0) & jnp.where(same, both, better(a, b) & (a == a)))
    return jnp.where(later, b, a), jnp.where(later, j, i)
