"""Recurrences that are linear in the state: step by step, or in parallel over time."""

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
    """A cell whose step follows from the coefficients of its recurrence.

        s_t = a_t s_{t-1} + b_t,    y_t = read(s_t, x_t)

    Coefficients may be of a wider dtype than the state, which bfloat16 needs where a is
    close to 1: 0.999 rounded to bfloat16 is 1. The sum is rounded to the state's dtype.

    Args:
        init: As in `Cell`.
        initial_state: As in `Cell`.
        coefficients: As in `LinearRecurrence`.
        read: As in `LinearRecurrence`.

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
    """s_t = a_t s_{t-1} + b_t for all t, in O(log time) parallel steps.

    Two steps of a linear recurrence are one step of another,

        (a, b) then (a', b')  =  (a' a, a' b + b'),

    and this joining is associative, so that the steps can be joined as a tree. It is
    done in float32 at the least, and rounded to the state's dtype at the end. No
    product of factors overflows or underflows by itself: a state is infinite or NaN
    where it is so step by step.

    Args:
        a: Factors, a tree of the state's structure, [time, ...]; axes may be of size 1
            where they are the same.
        b: What is added, [time, ...].
        state: s_{-1}.

    Returns:
        The states s_0 ... s_{time-1}, of b's shapes and the dtypes of `state`.

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
    """The s_t with s_t - a_t s_{t-1} = b_t, a linear system in s.

    So they are differentiated: the derivative of a linear recurrence is another one,
    forward or backward in time, and nothing of the tree of joins has to be kept.
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
    """s_t = a_t s_{t-1} + b_t from s_{-1} = 0."""

    def join(one, other):
        (a1, b1), (a2, b2) = one, other
        return a2 * a1, a2 * b1 + b2

    def plain(a, b):
        return jax.lax.associative_scan(join, (a, b))[1]

    # Where no a is above 1 no product of theirs overflows, and what underflows is
    # nothing beside finite b. Some growth is allowed for, as of a rounded 1.
    squared = jnp.square(a.real) + jnp.square(a.imag) if _is_complex(a) else a * a
    bounded = jnp.prod(jnp.maximum(squared, 1), axis=0) < 2.0**32
    simple = bounded.all() & jnp.isfinite(b).all()
    return jax.lax.cond(simple, plain, _join_all_growing, a, b)


def _join_all_growing(a: Array, b: Array) -> Array:
    """As `_join_all`, of any a: their products are kept as a number times a power of 2.

    inf, of a product that is too large, times 0, of a state that is zero, would be NaN.
    """

    def join(one, other):
        (a1, power1, b1), (a2, power2, b2) = one, other
        a12, power = _normalized(a2 * a1)
        return a12, power + power1 + power2, _shifted(a2 * b1, power2) + b2

    return jax.lax.associative_scan(join, (*_normalized(a), b))[2]


def _normalized(a: Array) -> tuple[Array, Array]:
    """Numbers of size 1/2 to 1 (or 0), and the powers of 2 that are their factors."""
    parts = (a.real, a.imag) if _is_complex(a) else (a,)
    size = jnp.stack([jnp.abs(part) for part in parts]).max(axis=0)
    power = jnp.frexp(size)[1]
    return _shifted(a, -power), power


def _shifted(a: Array, power: Array) -> Array:
    """a times 2 to the power."""
    if _is_complex(a):
        return jax.lax.complex(_shifted(a.real, power), _shifted(a.imag, power))
    return jnp.ldexp(a, power)


def _is_complex(a: Array) -> bool:
    return jnp.issubdtype(a.dtype, jnp.complexfloating)
