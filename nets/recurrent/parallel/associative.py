"""Cells that are linear in their state, by an associative scan."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from nets.linear_recurrence import linear_scan
from nets.recurrent.padding import pack_left, select_valid
from nets.types import Cell, Params, State


def associate(
    cell: Cell,
    params: Params,
    xs: Any,
    state: State,
    real: Bool[Array, "time *batch"] | None,
    reverse: bool,
) -> tuple[State, Any]:
    """States after every step, and outputs, of a cell that is linear in its state.

    Args:
        cell: A cell with `linear`.
        params: Parameters of the cell.
        xs: Inputs, [time, *batch, inputs], of at least one step.
        state: State before the first step.
        real: Mask of the real steps, [time, *leading batch axes]; None without padding.
        reverse: Read from the last step to the first.

    Returns:
        The states and outputs, [time, ...].

    Example:
        >>> import nets
        >>> cell, xs = nets.lru(), jnp.ones((10, 3))
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state = cell.initial_state(params, xs[0])
        >>> associate(cell, params, xs, state, None, False)[1].shape
        (10, 8)
    """
    assert cell.linear is not None

    def flip(tree):
        return jax.tree.map(lambda a: a[::-1], tree) if reverse else tree

    xs, real = flip(xs), flip(real)
    if real is not None:
        xs, back = pack_left(xs, real)
        number = jnp.arange(len(real)).reshape(-1, *[1] * (real.ndim - 1))
        first = number < real.sum(axis=0)[None]
        # After the real steps the state is kept, or it could overflow.
        a, b = cell.linear.coefficients(params, state, xs)
        a = jax.tree.map(lambda a, b: jnp.broadcast_to(a, b.shape), a, b)
        a, b = select_valid(first, a, 1.0), select_valid(first, b, 0.0)
        states = linear_scan(a, b, state)
        ys = cell.linear.read(params, states, xs)
        nothing = jax.tree.map(lambda y: jnp.zeros_like(y[0]), ys)
        ys = select_valid(real, back(nothing, ys), 0.0)
        return flip(back(state, states)), flip(ys)
    a, b = cell.linear.coefficients(params, state, xs)
    states = linear_scan(a, b, state)
    return flip(states), flip(cell.linear.read(params, states, xs))
