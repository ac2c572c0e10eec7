"""Linear cells in parallel over time, with padding."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from nets.linear_recurrence import elements_of, linear_scan
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
    """Run a cell that is linear in its state by `nets.linear_scan`.

    Args:
        cell: A `Cell` whose `linear` is given.
        params: Parameters of the cell.
        xs: Inputs of at least one step, [time, *batch, inputs].
        state: State before the first step.
        real: Mask of the real steps, [time, *leading batch axes]; None without padding.
        reverse: Read from the last step to the first.

    Returns:
        The states after each step, and the outputs, at the positions of the inputs.

    Example:
        >>> import nets
        >>> cell = nets.min_gru()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state = cell.initial_state(params, jnp.ones(3))
        >>> associate(cell, params, jnp.ones((10, 3)), state, None, False)[1].shape
        (10, 8)
    """
    assert cell.linear is not None

    def flip(tree):
        return jax.tree.map(lambda a: a[::-1], tree) if reverse else tree

    xs, real, element = flip(xs), flip(real), cell.linear.element
    if real is None:
        a, b = cell.linear.coefficients(params, state, xs)
        states = linear_scan(a, b, state, element)
        return flip(states), flip(cell.linear.read(params, states, xs))
    xs, back = pack_left(xs, real)
    number = jnp.arange(len(real)).reshape(-1, *[1] * (real.ndim - 1))
    first = number < real.sum(axis=0)[None]
    # After the real steps the state is kept, or it could overflow.
    a, b = cell.linear.coefficients(params, state, xs)
    a = jax.tree.map(
        lambda _, element, a: _identity_in_padding(element, first, a),
        *(state, elements_of(element, state), a),
    )
    states = linear_scan(a, select_valid(first, b, 0.0), state, element)
    ys = cell.linear.read(params, states, xs)
    nothing = jax.tree.map(lambda y: jnp.zeros_like(y[0]), ys)
    ys = select_valid(real, back(nothing, ys), 0.0)
    return flip(back(state, states)), flip(ys)


def _identity_in_padding(element, real, a):
    """Factors of the real steps, and factors that change no state in the padding."""
    a = jax.tree.map(
        lambda a: jnp.broadcast_to(a, (*real.shape, *a.shape[real.ndim :])), a
    )
    return select_valid(real, a, element.identity(a))
