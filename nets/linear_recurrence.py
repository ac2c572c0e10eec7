"""Recurrences that are linear in the state: step by step, or in parallel over time."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from nets.types import Cell, Linear, State


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
        coefficients: As in `Linear`.
        read: As in `Linear`.

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
        state = jax.tree.map(
            lambda a, b, s: (a[0] * s + b[0]).astype(s.dtype), a, b, state
        )
        return state, read(params, state, x)

    return Cell(init, initial_state, step, Linear(coefficients, read))


def linear_scan(a: State, b: State, state: State) -> State:
    """s_t = a_t s_{t-1} + b_t for all t, in O(log time) parallel steps.

    Two steps of a linear recurrence are one step of another,

        (a, b) then (a', b')  =  (a' a, a' b + b'),

    and this joining is associative, so that the steps can be joined as a tree. It is
    done in float32 at the least, and rounded to the state's dtype at the end.

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

    def join(one, other):
        (a1, b1), (a2, b2) = one, other
        return a2 * a1, a2 * b1 + b2

    def scan(a, b, state):
        if not b.shape[0]:
            return b.astype(state.dtype)
        a, b = wide(a), wide(b)
        b = jnp.concatenate([(a[:1] * state[None] + b[:1]).astype(b.dtype), b[1:]])
        return jax.lax.associative_scan(join, (a, b))[1].astype(state.dtype)

    return jax.tree.map(scan, a, b, state)


def wide(*trees: Any) -> Any:
    """Arrays in their common dtype, or in float32 if that is wider.

    Args:
        *trees: Trees of arrays.

    Returns:
        The trees, or the one tree if it is one.

    Example:
        >>> a, b = wide(jnp.ones(2, jnp.bfloat16), {"b": jnp.ones(2, jnp.bfloat16)})
        >>> a.dtype.name, b["b"].dtype.name
        ('float32', 'float32')
    """
    dtype = jnp.promote_types(jnp.result_type(*jax.tree.leaves(trees)), jnp.float32)
    trees = jax.tree.map(lambda leaf: leaf.astype(dtype), trees)
    return trees[0] if len(trees) == 1 else trees
