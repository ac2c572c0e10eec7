"""Linear recurrences, run step by step or in parallel over time."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from nets.compiling import compiled
from nets.linear import wide
from nets.types import Cell, LinearRecurrence, State


def linear_cell(
    init: Callable[..., Any],
    initial_state: Callable[..., Any],
    coefficients: Callable[..., Any],
    read: Callable[..., Any],
) -> Cell:
    """Make a cell from the coefficients of its linear recurrence.

        s_t = a_t s_{t-1} + b_t,    y_t = read(s_t, x_t)

    The coefficients may have a wider dtype than the state. bfloat16 states need this
    for a close to 1, because 0.999 rounded to bfloat16 is 1. The sum is rounded to the
    dtype of the state.

    Args:
        init: `init` of the `Cell`.
        initial_state: `initial_state` of the `Cell`.
        coefficients: `coefficients` of `Linear`.
        read: `read` of `Linear`.

    Returns:
        A `Cell` that `nets.unroll` also runs with `parallel=True`.

    Example:
        A moving average of its inputs, with a learned rate of decay:

        >>> import nets
        >>> average = linear_cell(
        ...     init=lambda key, inputs, features: jnp.full(inputs, 2.0),
        ...     initial_state=lambda w, x: jnp.zeros_like(x),
        ...     coefficients=lambda w, state, xs: (
        ...         jnp.broadcast_to(jax.nn.sigmoid(w), xs.shape),
        ...         jnp.broadcast_to(jax.nn.sigmoid(-w), xs.shape) * xs,
        ...     ),
        ...     read=lambda w, state, x: state,
        ... )
        >>> params = average.init(jax.random.key(0), 3, 3)
        >>> state, ys = nets.unroll(average, params, jnp.ones((9, 3)), parallel=True)
        >>> ys.shape
        (9, 3)
    """

    def step(params, state, x):
        a, b = coefficients(params, state, jax.tree.map(lambda leaf: leaf[None], x))

        def move(a, b, s):
            dtype = s.dtype
            a, b, s = wide(a[0], b[0], s)
            return (a * s + b).astype(dtype)

        state = jax.tree.map(move, a, b, state)
        return state, read(params, state, x)

    return Cell(init, initial_state, step, LinearRecurrence(coefficients, read))


@compiled
def linear_scan(a: State, b: State, state: State) -> State:
    """Compute s_t = a_t s_{t-1} + b_t for all t, in O(log time) parallel steps.

    Two steps of a linear recurrence compose to one step,

        (a, b) then (a', b')  =  (a' a, a' b + b'),

    and this composition is associative, so the steps can be combined in a tree. The
    computation uses at least float32; the result is rounded to the dtype of the state.
    Products of factors neither overflow nor underflow in between: a state is infinite
    or NaN exactly where it would be so step by step.

    Args:
        a: Factors, a pytree with the structure of the state, [time, ...]. Axes along
            which the factors are constant may have size 1.
        b: Summands, [time, ...].
        state: Initial state, s_{-1}.

    Returns:
        The states s_0 ... s_{time-1}, with the shapes of `b` and the dtypes of `state`.

    Example:
        >>> linear_scan(jnp.full(4, 2.0), jnp.ones(4), jnp.array(0.0)).tolist()
        [1.0, 3.0, 7.0, 15.0]

    References:
        Blelloch 1990, Prefix sums and their applications.
        Martin and Cundy 2018, Parallelizing linear recurrent neural nets over sequence
        length, https://arxiv.org/abs/1709.04057
    """

    def scan(a, b, state):
        if not b.shape[0]:
            return b.astype(state.dtype)
        dtype = state.dtype
        a, b, state = wide(a, b, state)
        a = jnp.broadcast_to(a, (len(b), *a.shape[1:]))
        b = jnp.concatenate([a[:1] * state[None] + b[:1], b[1:]])
        return _solve(a, b).astype(dtype)

    return jax.tree.map(scan, a, b, state)


def _solve(a: Array, b: Array) -> Array:
    """Solve s_t - a_t s_{t-1} = b_t, a linear system in s.

    It is differentiated as a linear system: the derivative of a linear recurrence is a
    linear recurrence, forward or backward in time, and no intermediate results of the
    tree need to be stored.
    """

    def residual(s):
        return s - a * jnp.concatenate([jnp.zeros_like(s[:1]), s[:-1]])

    def backward(_, b):
        after = jnp.concatenate([a[1:], jnp.zeros_like(a[:1])])
        return _join_all(after[::-1], b[::-1])[::-1]

    return jax.lax.custom_linear_solve(
        residual, b, lambda _, b: _join_all(a, b), backward
    )


def _join_all(a: Array, b: Array) -> Array:
    """Compute s_t = a_t s_{t-1} + b_t from s_{-1} = 0."""

    def join(first, second):
        (a1, b1), (a2, b2) = first, second
        return a2 * a1, a2 * b1 + b2

    def plain(a, b):
        return jax.lax.associative_scan(join, (a, b))[1]

    # If no a is above 1, no product overflows, and a product that underflows is
    # negligible relative to finite b. Slight growth, as by a rounded 1, is allowed.
    squared = jnp.square(a.real) + jnp.square(a.imag) if _is_complex(a) else a * a
    bounded = jnp.prod(jnp.maximum(squared, 1), axis=0) < 2.0**32
    simple = bounded.all() & jnp.isfinite(b).all()
    return jax.lax.cond(simple, plain, _join_all_growing, a, b)


def _join_all_growing(a: Array, b: Array) -> Array:
    """Like `_join_all`, for any a: products are stored as a number times a power of 2.

    Otherwise an infinite product times a state of zero would be NaN.
    """

    def join(first, second):
        (a1, power1, b1), (a2, power2, b2) = first, second
        a12, power = _normalized(a2 * a1)
        return a12, power + power1 + power2, _shifted(a2 * b1, power2) + b2

    return jax.lax.associative_scan(join, (*_normalized(a), b))[2]


def _normalized(a: Array) -> tuple[Array, Array]:
    """Split into mantissas with magnitudes from 1/2 to 1 (or 0) and exponents of 2."""
    parts = (a.real, a.imag) if _is_complex(a) else (a,)
    size = jnp.stack([jnp.abs(part) for part in parts]).max(axis=0)
    power = jnp.frexp(size)[1]
    return _shifted(a, -power), power


def _shifted(a: Array, power: Array) -> Array:
    """Return a * 2^power."""
    if _is_complex(a):
        return jax.lax.complex(_shifted(a.real, power), _shifted(a.imag, power))
    return jnp.ldexp(a, power)


def _is_complex(a: Array) -> bool:
    return jnp.issubdtype(a.dtype, jnp.complexfloating)
