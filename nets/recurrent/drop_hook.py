"""The argument `drop` of a step, a function of the h that recurrent weights read."""

from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array

from nets.types import Cell


def check_takes_drop(cell: Cell) -> None:
    """Check that the step of a cell takes `drop`.

    Args:
        cell: A `Cell`.

    Raises:
        ValueError: The cell does not take `drop`, or is already stochastic.

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


def step_with(
    cell: Cell, params: Any, state: Any, x: Any, drop: Callable[[Array], Array]
) -> tuple[Any, Any]:
    """Step of a cell whose recurrent weights read drop(h).

    Args:
        cell: A `Cell` with `takes_drop`. If its step is under `jax.jit`, which takes no
            functions as arguments, the jit is removed.
        params: Parameters of the cell.
        state: State before the step.
        x: Input of the step.
        drop: Function of h.

    Returns:
        The new state and the output.

    Raises:
        ValueError: The step does not accept `drop`: it was replaced, or it is under a
            transformation such as `jax.checkpoint`.

    Example:
        >>> import jax.numpy as jnp, nets
        >>> cell = nets.gru()
        >>> params, x = cell.init(jax.random.key(0), 3, 8), jnp.ones(3)
        >>> state = cell.initial_state(params, x)
        >>> state, y = step_with(cell, params, state, x, lambda h: 2 * h)
        >>> y.shape
        (8,)
    """
    step: Any = cell.step
    while isinstance(step, jax.stages.Wrapped):
        step = step.__wrapped__  # pyright: ignore[reportAttributeAccessIssue]
    try:
        return step(params, state, x, drop=drop)
    except TypeError as error:
        if "'function'" not in str(error) and "'drop'" not in str(error):
            raise
        raise ValueError(
            "expected a step that accepts a function as `drop`; got a step that was "
            "replaced, or is under jax.checkpoint: use nets.unroll(..., remat=True) to "
            "save memory"
        ) from error
