"""The gradient by path: along the highway, or through the gates."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Float, PyTree, Shaped

from nets.factories import factory
from nets.flow.state_gradients import state_gradients
from nets.recurrent import RecurrentLayer, as_layer
from nets.tracing.tags import with_tags
from nets.types import Cell, Params, State


class Paths(NamedTuple):
    """dL/ds_t of every step, as the sum of two parts.

    Attributes:
        total: The whole gradient, as in `state_gradients`.
        highway: Gradient along the highway alone: the state that the gates carry over.
        through_gates: total - highway: gradient along all paths that pass at least once
            through a gate or a candidate, and so through their recurrent weights.
    """

    total: State
    highway: State
    through_gates: State


@factory
def highway(cell: Cell) -> Cell:
    """The same cell, whose gradient by the state is that along the highway alone.

        s_t = s(s_{t-1}, x_t; v_t),   ds_t/ds_{t-1} = the partial one, with v_t held

    v_t are the values that the step tags by `nets.tag_gate` and `nets.tag_candidate`.
    The forward pass does not change; v_t depends on inputs and parameters as before,
    but no longer on the state. So ds_t/ds_{t-1} contains no recurrent weights: in an
    LSTM it is diag(f) from c to c and diag(o (1 - tanh(c)^2) f) from c to h, in a GRU
    diag(z).

    Args:
        cell: Any `Cell` whose step tags gates or candidates.

    Returns:
        A `Cell` with the same parameters and states. It does not run in parallel over
        time.

    Raises:
        ValueError: In its step, if the cell tags nothing, or a value inside a
            `while_loop`, a `cond` or a custom derivative.

    Example:
        >>> import jax.numpy as jnp, nets
        >>> cell = nets.gru()
        >>> params = cell.init(jax.random.key(0), 3, 4)
        >>> state = nets.cells.GRUState(jnp.ones(4))
        >>> step = highway(cell).step
        >>> jacobian = jax.jacobian(lambda s: step(params, s, jnp.ones(3))[0])(state)
        >>> (jacobian.hidden.hidden != 0).astype(int)
        Array([[1, 0, 0, 0],
               [0, 1, 0, 0],
               [0, 0, 1, 0],
               [0, 0, 0, 1]], dtype=int32)
    """

    def step(params, state, x):
        return _held(partial(cell.step, params))(state, x)

    held = cell._replace(step=step, linear=None, takes_drop=False)
    if cell.stochastic_step is None:
        return held
    draw = cell.stochastic_step
    return held._replace(
        stochastic_step=lambda key, params, x: _held(draw(key, params, x))
    )


def _held(step: Callable[..., Any]) -> Callable[..., Any]:
    """`step(state, ...)`, whose tagged values do not depend on the state."""

    def held(state, *args):
        _, tagged = with_tags(step)(jax.lax.stop_gradient(state), *args)
        if not tagged:
            raise ValueError(
                "expected a cell whose step tags its gates and candidates; got one "
                "without any: tag them by nets.tag_gate(value, name) and "
                "nets.tag_candidate(value)"
            )
        hold = with_tags(step, lambda index, value: tagged[index][1])
        return hold(state, *args)[0]

    return held


def split_by_path(
    cell: Cell | RecurrentLayer,
    params: Params,
    xs: PyTree[Shaped[Array, "..."]],
    loss: Callable[[State, Any], Float[Array, ""]],
    state: State | None = None,
    **options: Any,
) -> tuple[Float[Array, ""], Paths]:
    """Split dL/ds_t by path: along the highway, or through gates and candidates.

        dL/ds_t = g_t + r_t,   g_t = dL/ds_t with gates and candidates held

    g_t passes only the factors between 0 and 1 that the cell of an LSTM or the update
    gate of a GRU multiply the state by. r_t is the sum over all paths that pass at
    least once through a gate or a candidate, as do all paths through recurrent weights.

    In a layer each cell is restricted to its highway in time; the gradient from layer
    to layer is not restricted.

    Args:
        cell: Any `Cell` whose step tags its gates and candidates, as our gated cells
            do, or a recurrent layer of such cells.
        params: Parameters of the cell.
        xs: Inputs, [time, *batch, inputs].
        loss: As in `state_gradients`.
        state: State before the first step.
        **options: As in `state_gradients`.

    Returns:
        The loss, and `Paths` of states with time in front: [time, *batch, ...].

    Raises:
        ValueError: A cell tags nothing, or a value inside a `while_loop`, a `cond` or a
            custom derivative, or as in `state_gradients`.

    Example:
        >>> import jax.numpy as jnp, nets
        >>> cell = nets.lstm(forget_bias=3.0)
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> xs = jax.random.normal(jax.random.key(1), (50, 5, 3))
        >>> loss, paths = split_by_path(
        ...     cell, params, xs, lambda state, ys: ys[-1].sum()
        ... )
        >>> paths.highway.cell.shape, bool(jnp.all(paths.highway.hidden[:-1] == 0))
        ((50, 5, 8), True)

    References:
        Hochreiter and Schmidhuber 1997, Long short-term memory, Neural Computation,
        https://doi.org/10.1162/neco.1997.9.8.1735
    """
    layer = as_layer(cell)

    value, total = state_gradients(layer, params, xs, loss, state, **options)
    kept_layer = layer.map_cells(highway)
    _, kept = state_gradients(kept_layer, params, xs, loss, state, **options)
    rest = jax.tree.map(lambda whole, part: whole - part, total, kept)
    return value, Paths(total, kept, rest)
