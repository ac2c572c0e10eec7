"""A step whose recurrent weights read something else than h."""

import inspect
from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array

from nets.types import Cell, whole


def check_takes_drop(cell: Cell) -> None:
    """Refuse a cell that does not say what its recurrent weights read.

    Args:
        cell: A `Cell`.

    Raises:
        ValueError: Its step has no argument `drop`, or it is random already.

    Example:
        >>> import nets
        >>> check_takes_drop(nets.lstm())
    """
    if "drop" not in inspect.signature(cell.step).parameters or cell.stochastic_step:
        raise ValueError(
            "expected a cell whose step(params, state, x, drop) calls drop on the h "
            "that its recurrent weights read, with no other noise inside; got another"
        )


def step_with(
    cell: Cell, params: Any, state: Any, x: Any, drop: Callable[[Array], Array]
) -> tuple[Any, Any]:
    """A step of a cell whose recurrent weights read drop(h).

    Args:
        cell: A `Cell` that takes `drop`. Its step may be under `jax.jit`, which cannot
            be given a function, and is left out.
        params: Its parameters.
        state: Its state.
        x: The input.
        drop: A function of h.

    Returns:
        The new state and the output.

    Raises:
        ValueError: Another transformation, as `jax.checkpoint`, is around the step.

    Example:
        >>> import jax.numpy as jnp, nets
        >>> cell = nets.gru()
        >>> params, x = cell.init(jax.random.key(0), 3, 8), jnp.ones(3)
        >>> state = cell.initial_state(params, x)
        >>> state, y = step_with(cell, params, state, x, lambda h: 2 * h)
        >>> y.shape
        (8,)
    """
    step = cell.step
    while isinstance(step, type(jax.jit(whole))):
        step = step.__wrapped__  # pyright: ignore[reportAttributeAccessIssue]
    try:
        return step(params, state, x, drop=drop)
    except TypeError as error:
        if "'function'" not in str(error):
            raise
        raise ValueError(
            "expected a step to which a function can be given as `drop`; got one under "
            "jax.checkpoint or alike: leave it out, and use nets.unroll(..., "
            "remat=True) to save memory"
        ) from error
