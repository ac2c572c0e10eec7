"""Instruments of one cell, at work in every cell of a layer."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from nets.recurrent import as_layer, unroll
from nets.recurrent.placing import split_like
from nets.recurrent.restoring import restored_for
from nets.types import Cell, Layer, Params, State


def in_every_cell(instrument: Callable[..., Any]) -> Callable[..., Any]:
    """Let an instrument of one cell take layers too.

    In a layer each cell is measured with the inputs that it sees there: those of a
    stack's upper cells are the outputs of the ones below. The measurements stand where
    the layer's states do: a tuple of a stack's, a `BidirectionalState` of a
    bidirectional layer's.

    Args:
        instrument: `instrument(cell, params, xs, state=None, *, lengths=None,
            mask=None, reverse=False, ...)`.

    Returns:
        A function of the same arguments, whose first may be a recurrent `Layer`.

    Example:
        >>> import nets
        >>> @in_every_cell
        ... def inputs(cell, params, xs, state=None, **options):
        ...     return xs.shape[-1]
        >>> layer = nets.stack(nets.bidirectional(nets.gru()), nets.lstm())
        >>> params = layer.init(jax.random.key(0), 3, 8)
        >>> inputs(layer, params, jnp.ones((10, 5, 3)))
        (BidirectionalState(forward=3, backward=3), 16)
    """

    @functools.wraps(instrument)
    def measure(cell, params, xs, state=None, **options):
        if isinstance(cell, Cell):
            return instrument(cell, restored_for(cell, params), xs, state, **options)
        for_unroll = ("lengths", "mask", "reverse")
        seen = {name: options.pop(name) for name in for_unroll if name in options}

        def run(
            cell, params, xs, state, *, reverse, key=None, perturbations=None, **how
        ):
            params = restored_for(cell, params)
            found = instrument(
                cell, params, xs, state, reverse=reverse, **how, **options
            )
            return found, unroll(cell, params, xs, state, reverse=reverse, **how)[1]

        return cell.apply(params, xs, state, run=run, **seen)[0]

    return measure


class _Place(NamedTuple):
    """Where a cell stands in a layer."""


def per_cell(
    layer: Cell | Layer,
    params: Params,
    xs: PyTree,
    found: PyTree,
    state: State | None = None,
) -> dict[str, PyTree]:
    """What was found in a layer, cell by cell.

    Args:
        layer: A `Cell`, or a recurrent `Layer`.
        params: Its parameters.
        xs: Its inputs, [time, *batch, inputs].
        found: A tree that has something at the place of every cell's state: states,
            gradients of `state_gradients`, or what another instrument returned.
        state: The state before the first step, for cells without an `initial_state`.

    Returns:
        What stands there, by the cell's place: "0.forward" is the lowest layer's
        forward cell. Of a `Cell` the name is "".

    Example:
        >>> import nets
        >>> layer = nets.stack(nets.bidirectional(nets.gru()), nets.lstm())
        >>> params = layer.init(jax.random.key(0), 3, 8)
        >>> xs = jnp.ones((10, 5, 3))
        >>> states, ys = layer.apply(params, xs)
        >>> list(per_cell(layer, params, xs, states))
        ['0.forward', '0.backward', '1']
    """

    def mark(cell, params, xs, state, **options):
        for option in ("key", "perturbations"):
            options.pop(option, None)
        return _Place(), unroll(cell, params, xs, state, **options)[1]

    layer = as_layer(layer) if isinstance(layer, Cell) else layer
    places = jax.eval_shape(lambda: layer.apply(params, xs, state, run=mark)[0])
    at, tree = jax.tree.flatten_with_path(
        places, is_leaf=lambda node: isinstance(node, _Place)
    )
    names = [jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in at]
    return dict(zip(names, tree.flatten_up_to(found), strict=True))


def zero_perturbations(
    layer: Cell | Layer,
    params: Params,
    xs: PyTree,
    state: State | None = None,
    **options: Any,
) -> State:
    """Zeros like the states of all steps, to differentiate a loss by.

    As `perturbations` of `nets.unroll`, of a layer's `apply`, or of a Flax module they
    move nothing, and the gradient by them is dL/ds_t of every step: beside the gradient
    by the parameters it costs next to nothing.

    Args:
        layer: A `Cell`, or a recurrent `Layer`.
        params: Its parameters.
        xs: Its inputs, [time, *batch, inputs].
        state: The state before the first step.
        **options: Other arguments that it runs with, as in `nets.unroll`.

    Returns:
        A tree of zeros, [time, *batch, ...]; float32 where the state has integers.

    Example:
        >>> import nets
        >>> cell, xs = nets.gru(), jnp.ones((10, 5, 3))
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> def loss(params, perturbations):
        ...     state, ys = nets.unroll(cell, params, xs, perturbations=perturbations)
        ...     return (ys[-1] ** 2).sum()
        >>> zeros = zero_perturbations(cell, params, xs)
        >>> of_params, of_states = jax.grad(loss, argnums=(0, 1))(params, zeros)
        >>> of_states.hidden.shape
        (10, 5, 8)
    """
    layer = as_layer(layer) if isinstance(layer, Cell) else layer
    states, _ = jax.eval_shape(
        lambda: layer.apply(params, xs, state, **{**options, "all_states": True})
    )
    return jax.tree.map(
        # Split over devices as the states are: the gradient by zeros that are the same
        # on all devices would be summed over them.
        lambda s: split_like(
            jnp.zeros(
                s.shape,
                s.dtype if jnp.issubdtype(s.dtype, jnp.inexact) else jnp.float32,
            ),
            s,
        ),
        states,
    )
