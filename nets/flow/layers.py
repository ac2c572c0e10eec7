"""Instruments of one cell, applied to every cell of a layer."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from nets.recurrent import RecurrentLayer, as_layer, per_cell
from nets.recurrent.per_cell import like_states
from nets.recurrent.sharding import split_like
from nets.types import Cell, Params, State


def in_every_cell(instrument: Callable[..., Any]) -> Callable[..., Any]:
    """Extend an instrument of one cell to layers.

    Each cell of a layer is measured with its inputs in the layer: the inputs of the
    upper cells of a stack are the outputs of the layer below. The results have the
    structure of the layer's states: a tuple for a stack, a `BidirectionalState` for a
    bidirectional layer.

    Args:
        instrument: `instrument(cell, params, xs, state=None, *, lengths=None,
            mask=None, reverse=False, ...)`.

    Returns:
        A function of the same arguments, whose first may be a recurrent layer.

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
        of_unroll = [n for n in ("lengths", "mask", "reverse") if n in options]
        runs = per_cell(
            cell, params, xs, state, **{name: options.pop(name) for name in of_unroll}
        )
        results = [
            instrument(
                run.cell, run.params, run.xs, run.state, **run.options, **options
            )
            for run in runs
        ]
        return like_states(cell, results)

    return measure


def zero_perturbations(
    layer: Cell | RecurrentLayer,
    params: Params,
    xs: PyTree,
    state: State | None = None,
    **options: Any,
) -> State:
    """Zeros like the states of all steps, to differentiate a loss with respect to.

    They are `perturbations` for `nets.unroll`, the `apply` of a layer, or a Flax
    module. The gradient by them is dL/ds_t of every step; in addition to the gradient
    by the parameters it costs almost nothing.

    Args:
        layer: A `Cell`, or a recurrent layer.
        params: Parameters of the layer.
        xs: Inputs, [time, *batch, inputs].
        state: State before the first step.
        **options: Other options of `nets.unroll` that the layer runs with.

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
    return zeros_like_states(all_state_shapes(layer, params, xs, state, **options))


def all_state_shapes(
    layer: Cell | RecurrentLayer,
    params: Params,
    xs: PyTree,
    state: State | None = None,
    **options: Any,
) -> State:
    """Shapes and dtypes of the states of all steps, which are not computed.

    Args:
        layer: A `Cell`, or a recurrent layer.
        params: Parameters of the layer.
        xs: Inputs, [time, *batch, inputs].
        state: State before the first step.
        **options: Other options of `nets.unroll` that the layer runs with.

    Returns:
        A tree of `jax.ShapeDtypeStruct`s, [time, *batch, ...].

    Example:
        >>> import nets
        >>> cell, xs = nets.gru(), jnp.ones((10, 5, 3))
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> all_state_shapes(cell, params, xs).hidden.shape
        (10, 5, 8)
    """
    run = as_layer(layer).apply
    states, _ = jax.eval_shape(
        lambda: run(params, xs, state, **{**options, "all_states": True})
    )
    return states


def zeros_like_states(states: State) -> State:
    """Zeros like states; float32 where they have integers.

    Args:
        states: A tree of arrays or `jax.ShapeDtypeStruct`s.

    Returns:
        A tree of zeros.

    Example:
        >>> zeros_like_states(jnp.ones(2, int))
        Array([0., 0.], dtype=float32)
    """
    return jax.tree.map(
        # Split over devices as the states are. The gradient by zeros that are
        # replicated on all devices would be summed over the devices.
        lambda s: split_like(
            jnp.zeros(
                s.shape,
                s.dtype if jnp.issubdtype(s.dtype, jnp.inexact) else jnp.float32,
            ),
            s,
        ),
        states,
    )
