"""Initial states of cells."""

from typing import Any

import jax
import jax.numpy as jnp

from nets.recurrent.half_precision import is_half
from nets.types import Cell, Params, State


def initial_state(cell: Cell, params: Params, x: Any, state: State | None) -> State:
    """The given initial state, or the initial state of the cell.

    Args:
        cell: Any `Cell`. If its `initial_state` is None, a state is required.
        params: Parameters of the cell.
        x: Inputs of one step, whose values do not matter.
        state: A state, or None for the initial state of the cell.

    Returns:
        The state, as arrays.

    Raises:
        ValueError: There is no state, or the state differs in structure, shape or dtype
            from the initial state of the cell.

    Example:
        >>> import nets
        >>> cell = nets.gru()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> initial_state(cell, params, jnp.ones((5, 3)), None).hidden.shape
        (5, 8)
    """
    if cell.initial_state is None:
        if state is None:
            raise ValueError(
                "expected a state, as the cell has no initial_state; got None"
            )
        return jax.tree.map(jnp.asarray, state)
    if state is None:
        return cell.initial_state(params, x)
    expected = jax.eval_shape(lambda: cell.initial_state(params, x))
    return _like(state, expected, params, x)


def _like(state: State, expected: State, params: Params, x: Any) -> State:
    """The given state as arrays, if it is like the initial state of the cell."""
    if jax.tree.structure(state) != jax.tree.structure(expected):
        raise ValueError(
            f"expected an initial state of structure {jax.tree.structure(expected)}; "
            f"got {jax.tree.structure(state)}"
        )

    # A cell in half precision may keep its state in float32.
    half = any(map(is_half, jax.tree.leaves((params, x))))

    def check(path, given, wanted):
        given = jnp.asarray(given)
        if is_half(given) and wanted.dtype == jnp.float32 and half:
            given = given.astype(wanted.dtype)
        if (given.shape, given.dtype) != (wanted.shape, wanted.dtype):
            raise ValueError(
                f"expected the initial state{jax.tree_util.keystr(path)} to be "
                f"{wanted.dtype}{list(wanted.shape)}, as parameters and inputs "
                f"require; got {given.dtype}{list(given.shape)}"
            )
        return given

    return jax.tree_util.tree_map_with_path(check, state, expected)
