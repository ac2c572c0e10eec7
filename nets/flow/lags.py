"""The gradient of the loss of each step by each earlier state."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets.compiling import compiled
from nets.flow.decay import norms_of
from nets.flow.layers import all_state_shapes, zeros_like_states
from nets.flow.state_gradients import is_real
from nets.recurrent import RecurrentLayer, as_layer, by_cell
from nets.recurrent.padding import check_padding
from nets.types import Cell, Params, State


def lag_matrix(
    cell: Cell | RecurrentLayer,
    params: Params,
    xs: Any,
    losses: Callable[[Any], Float[Array, "time *batch"]],
    state: State | None = None,
    *,
    reverse: bool = False,
    **options: Any,
) -> Float[Array, "time lag *batch"] | dict[str, Float[Array, "time lag *batch"]]:
    """ln |dL_t / ds_{t-k}| for every step t and every lag k.

    A sum of the losses over the steps would hide long lags behind short ones. Takes one
    backward pass for each t.

    Args:
        cell: Any `Cell`, or a recurrent layer.
        params: Parameters of the cell.
        xs: Inputs, [time, *batch, inputs].
        losses: Function from all outputs to the loss of each step and sequence, [time,
            *batch].
        state: State before the first step.
        reverse: As in `nets.unroll`, for a single cell; the cells of a layer have
            directions.
        **options: Other arguments of `nets.unroll`, except `parallel=True`; padded
            steps have no gradient.

    Returns:
        Nats, [time, lag, *batch], for lags from 0 to time - 1 in the order in which the
        cell reads: lag k of a cell in reverse is s_{t+k}. -inf where there is no such
        step, or no gradient. For a layer a dict with one array per cell, named as by
        `nets.flow.by_cell`.

    Raises:
        ValueError: `losses` does not return one entry per step, or as in `nets.unroll`.

    Example:
        >>> import nets
        >>> cell = nets.gru()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> xs = jax.random.normal(jax.random.key(1), (20, 5, 3))
        >>> lags = lag_matrix(cell, params, xs, lambda ys: (ys**2).sum(axis=-1))
        >>> lags.shape, bool((lags[5, 6:] == -jnp.inf).all())
        ((20, 20, 5), True)

    References:
        Bengio, Simard and Frasconi 1994, Learning long-term dependencies with gradient
        descent is difficult, IEEE Transactions on Neural Networks 5(2).
    """
    layer = as_layer(cell)
    check_padding(xs, options.get("lengths"), options.get("mask"), layer.spatial_dims)
    lags = _lag_matrix(layer, params, xs, losses, state, reverse=reverse, **options)
    return lags[""] if isinstance(cell, Cell) else dict(lags)


@compiled
def _lag_matrix(layer, params, xs, losses, state, *, reverse, **options):
    """The matrices of a layer by its cells' names, in an order that jit keeps."""
    options |= {"reverse": True} if reverse else {}
    perturbations = options.pop("perturbations", None)
    states = all_state_shapes(layer, params, xs, state, **options)
    if perturbations is None:
        perturbations = zeros_like_states(states)
    time = len(jax.tree.leaves(perturbations)[0])

    def all_losses(perturbations):
        _, ys = layer.apply(params, xs, state, perturbations=perturbations, **options)
        each = jnp.asarray(losses(ys))
        if each.shape[:1] != (time,):
            raise ValueError(
                f"expected losses [time, *batch] of {time} steps; got shape "
                f"{list(each.shape)}"
            )
        return each

    each, pull = jax.vjp(all_losses, perturbations)
    backward = {
        name: one_way.reverse or reverse
        for name, one_way in by_cell(layer, layer.cells).items()
    }

    def of_step(t):
        (gradients,) = pull(jnp.zeros_like(each).at[t].set(1.0))
        like = by_cell(layer, states)
        return {
            name: _by_lag(
                norms_of(_with_batch(g, like[name], each.shape), each.ndim - 1),
                t,
                backward[name],
            )
            for name, g in by_cell(layer, gradients).items()
        }

    none = jnp.zeros((0, *each.shape), each.dtype)
    lags = (
        jax.lax.map(of_step, jnp.arange(time))
        if time
        else dict.fromkeys(backward, none)
    )
    # From the bottom to the top.
    return OrderedDict((name, lags[name]) for name in backward)


def _with_batch(gradients, states, shape):
    """The gradients by all entries of a state that have one, of each sequence."""
    pairs = zip(jax.tree.leaves(gradients), jax.tree.leaves(states), strict=True)
    real = [gradient for gradient, s in pairs if is_real(s)]
    if not real or any(g.shape[: len(shape)] != shape for g in real):
        raise ValueError(
            "expected losses [time, *batch] of the batch that the state's floats have "
            f"in front; got losses {list(shape)}, and states "
            f"{[list(s.shape) for s in jax.tree.leaves(states)]}"
        )
    return real


def _by_lag(norms, t, backward):
    """[state's step, *batch] of the loss at t, put in order of the lag."""
    lag = jnp.arange(len(norms))
    place = t + lag if backward else t - lag
    inside = (place >= 0) & (place < len(norms))
    norms = norms[jnp.clip(place, 0, len(norms) - 1)]
    return jnp.where(inside.reshape(-1, *(1,) * (norms.ndim - 1)), norms, -jnp.inf)
