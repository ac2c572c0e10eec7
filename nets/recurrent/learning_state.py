"""Learned initial states."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from nets.factories import factory
from nets.recurrent.batch import any_image
from nets.types import Cell, LinearRecurrence, Params, State


class LearnedStateParams(NamedTuple):
    """Parameters of a cell, and the initial state without batch axes."""

    cell: Params
    state: State


@factory
def learned_state(cell: Cell) -> Cell:
    """Make the initial state of a cell a parameter.

        s_{-1} = a parameter, the same for every sequence

    In a cell of images, whose state is [*space, features], it is the same at every
    position.

    Args:
        cell: Any `Cell`.

    Returns:
        A `Cell` with `LearnedStateParams`, whose `state` is initialized to the initial
        state of the given cell.

    Example:
        >>> import nets
        >>> cell = nets.learned_state(nets.gru())
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> first = nets.cells.GRUState(jnp.ones(8))
        >>> params = params._replace(state=first)
        >>> cell.initial_state(params, jnp.ones((5, 3))).hidden.shape
        (5, 8)
    """

    def init(key, inputs, features):
        params = cell.init(key, inputs, features)
        image = jnp.zeros(any_image(inputs, cell.spatial_dims))
        one_place = (slice(1),) * cell.spatial_dims
        return LearnedStateParams(
            params,
            jax.tree.map(lambda s: s[one_place], cell.initial_state(params, image)),
        )

    def initial_state(params, x):
        like = jax.eval_shape(cell.initial_state, params.cell, x)
        return jax.tree.map(
            lambda s, to: jnp.broadcast_to(
                s.reshape((1,) * (len(to.shape) - s.ndim) + s.shape), to.shape
            ).astype(to.dtype),
            params.state,
            like,
        )

    def step(params, state, x):
        return cell.step(params.cell, state, x)

    linear, stochastic_step = None, None
    if cell.linear is not None:
        coefficients, read, element = cell.linear
        linear = LinearRecurrence(
            lambda params, state, xs: coefficients(params.cell, state, xs),
            lambda params, state, x: read(params.cell, state, x),
            element,
        )
    if cell.stochastic_step is not None:
        inner = cell.stochastic_step
        stochastic_step = lambda key, params, x: inner(key, params.cell, x)  # noqa: E731
    return Cell(init, initial_state, step, linear, stochastic_step, cell.spatial_dims)
