"""Cells whose state is a matrix with equal Jacobians of all columns."""

from typing import Any

import jax

from nets.elements import Element
from nets.flow.linearized import one_step
from nets.linear_recurrence import linear_cell
from nets.recurrent.padding import on_device
from nets.types import Cell, Params, State


def first_column(
    cell: Cell, params: Params, xs: Any, state: State | None
) -> tuple[Cell, State | None, int]:
    """A cell of the first column of the state, if all columns have its Jacobian.

    The state S [*batch, ..., K, V] of S_t = A_t S_{t-1} + B_t has the Jacobian A_t for
    each of its V columns. So each singular value and each exponent of one column occurs
    V times. The Jacobian of the whole state has V^2 times as many entries.

    Args:
        cell: Any `Cell`.
        params: Parameters of the cell.
        xs: Inputs, [time, *batch, inputs].
        state: State before the first step, or None.

    Returns:
        The cell of the first column, without outputs, its state, and V. The given cell,
        the given state and 1 if the columns differ.

    Example:
        >>> import jax.numpy as jnp, nets
        >>> cell, xs = nets.delta_net(), jnp.ones((10, 5, 3))
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> column, _, times = first_column(cell, params, xs, None)
        >>> column.initial_state(params, xs[0]).memory.shape, times
        ((5, 1, 8, 1), 8)
    """
    linear = cell.linear
    if linear is None or not isinstance(linear.element, Element):
        return cell, state, 1
    if not linear.element.by_column:
        return cell, state, 1
    whole = jax.eval_shape(cell.initial_state, params, one_step(on_device(xs)))
    leaves = jax.tree.leaves(whole)
    if len(leaves) > 1:  # another entry may depend on the matrix
        return cell, state, 1

    def first(tree):
        return jax.tree.map(lambda s: s[..., :1], tree)

    def coefficients(params, state, xs):
        a, b = linear.coefficients(params, state, xs)
        return a, first(b)

    column = linear_cell(
        cell.init,
        lambda params, x: first(cell.initial_state(params, x)),
        coefficients,
        lambda params, state, x: (),
        linear.element,
    )
    return column, None if state is None else first(state), leaves[0].shape[-1]
