"""The argument `drop` of a step, a function of the h that recurrent weights read."""

import inspect
from collections.abc import Callable
from typing import Any

from jax.tree_util import Partial
from jaxtyping import Array

from nets.types import Cell


def check_takes_drop(cell: Cell) -> None:
    """Check that the step of a cell takes `drop`.

    Args:
        cell: A `Cell`.

    Raises:
        ValueError: The cell does not take `drop`, is already stochastic, or has a step
            that was replaced.

    Example:
        >>> import nets
        >>> check_takes_drop(nets.lstm())
    """
    if not cell.takes_drop or cell.stochastic_step:
        raise ValueError(
            "expected a cell whose step(params, state, x, drop) calls drop on the h "
            "that its recurrent weights read (takes_drop=True), and that is not "
            "stochastic; got a different cell"
        )
    if "drop" not in inspect.signature(cell.step).parameters:
        raise ValueError(
            "expected a step with an argument `drop`, as the cell has takes_drop=True; "
            "got a step that was replaced: set takes_drop=False"
        )


def step_with(
    cell: Cell, params: Any, state: Any, x: Any, drop: Callable[[Array], Array]
) -> tuple[Any, Any]:
    """Step of a cell whose recurrent weights read drop(h).

    Args:
        cell: A `Cell` with `takes_drop`. Its step may be under `jax.jit` or
            `jax.checkpoint`.
        params: Parameters of the cell.
        state: State before the step.
        x: Input of the step.
        drop: Function of h.

    Returns:
        The new state and the output.

    Example:
        >>> import jax, jax.numpy as jnp, nets
        >>> cell = nets.gru()
        >>> params, x = cell.init(jax.random.key(0), 3, 8), jnp.ones(3)
        >>> state = cell.initial_state(params, x)
        >>> state, y = step_with(cell, params, state, x, lambda h: 2 * h)
        >>> y.shape
        (8,)
    """
    # `Partial` is a tree, which transformations accept as an argument.
    return cell.step(params, state, x, drop=Partial(drop))
