"""Share of each step in the gradient by the parameters."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets.compiling import compiled
from nets.flow.decay import log_norms
from nets.flow.state_gradients import check_scalar_loss, is_real
from nets.recurrent import RecurrentLayer, as_layer
from nets.recurrent.padding import check_padding
from nets.types import Cell, Params, State


def parameter_gradients_by_time(
    cell: Cell | RecurrentLayer,
    params: Params,
    xs: Any,
    loss: Callable[[State, Any], Float[Array, ""]],
    state: State | None = None,
    *,
    reverse: bool = False,
    **options: Any,
) -> tuple[Float[Array, ""], Params]:
    """The loss, and the share G_t of each step in its gradient by the parameters.

        G_t = (d+ s_t / d theta)^T dL/ds_t,    sum over t of G_t = dL/dtheta

    where d+ is the derivative by the parameters of step t alone. The parameters are
    untied (see `nets.unroll`): each step has a copy of them, and the gradient is taken
    by the copies. The share of a learned initial state (see `nets.learned_state`) is
    counted at the step that is read first.

    Args:
        cell: Any `Cell`, or a recurrent layer.
        params: Parameters of the cell.
        xs: Inputs, [time, *batch, inputs].
        loss: Function from the final state and all outputs to a scalar.
        state: State before the first step.
        reverse: As in `nets.unroll`, for a single cell; the cells of a layer have
            directions.
        **options: `lengths`, `mask`, `all_states`, `remat` and `truncate`, as in
            `nets.unroll`. The share of a padded step is zero.

    Returns:
        The loss, and a tree like the parameters with time in front: zero for integers,
        booleans and keys, None for entries that are not arrays, such as a function.

    Raises:
        ValueError: The loss is not a scalar; a key, perturbations or `parallel` are
            given; or as in `nets.unroll`.

    Example:
        >>> import nets
        >>> cell = nets.gru()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> xs = jax.random.normal(jax.random.key(1), (20, 5, 3))
        >>> loss, shares = parameter_gradients_by_time(
        ...     cell, params, xs, lambda state, ys: (ys[-1] ** 2).sum()
        ... )
        >>> shares.w_h.shape
        (20, 8, 24)

    References:
        Pascanu, Mikolov and Bengio 2013, On the difficulty of training recurrent neural
        networks, https://arxiv.org/abs/1211.5063 (the sum over temporal components).
    """
    layer = as_layer(cell)
    options |= {"reverse": True} if reverse else {}
    for name in ("key", "perturbations", "parallel"):
        if options.get(name) is not None and options[name] is not False:
            raise ValueError(
                "expected neither a key nor perturbations nor parallel=True: steps one "
                f"after the other, without noise; got {name}"
            )
    check_padding(xs, options.get("lengths"), options.get("mask"), layer.spatial_dims)
    return _by_time(layer, params, xs, loss, state, **options)


@compiled
def _by_time(layer, params, xs, loss, state, **options):
    # Refuses what `nets.unroll` refuses.
    jax.eval_shape(lambda: layer.apply(params, xs, state, **options))
    time = len(jax.tree.leaves(xs)[0])
    leaves, tree = jax.tree.flatten(params)
    if not time:
        value = check_scalar_loss(loss(*layer.apply(params, xs, state, **options)))
        return value, jax.tree.map(lambda p: _no_share(p, time), params)
    moving = [
        jnp.broadcast_to(p, (time, *jnp.shape(p))) if is_real(p) else None
        for p in leaves
    ]

    def value_of(moving):
        both = [p if m is None else m for p, m in zip(leaves, moving, strict=True)]
        each = jax.tree.unflatten(tree, both)
        return check_scalar_loss(
            loss(*layer.apply(each, xs, state, untied=True, **options))
        )

    value, shares = jax.value_and_grad(value_of)(moving)
    shares = [
        _no_share(p, time) if share is None else share
        for p, share in zip(leaves, shares, strict=True)
    ]
    return value, jax.tree.unflatten(tree, shares)


def _no_share(p: Any, time: int) -> Array | None:
    """Zeros for an entry that has no gradient; None for one that is no array."""
    if not isinstance(p, (bool, int, float, complex)) and not hasattr(p, "dtype"):
        return None
    dtype = jnp.result_type(p) if is_real(p) else jnp.float32
    return jnp.zeros((time, *jnp.shape(p)), dtype)


class Cancellation(NamedTuple):
    """Norms of the shares of the steps, and how far they cancel.

    Attributes:
        log_norms: ln |G_t| over all parameters, nats, [time].
        index: 0 if the shares cancel each other, 1 if all have one direction.
    """

    log_norms: Float[Array, " time"]
    index: Float[Array, ""]  # pyright: ignore[reportIncompatibleMethodOverride]


def cancellation(shares: Params) -> Cancellation:
    """How far the shares of the steps in a gradient cancel each other.

        index = |sum G_t| / sum |G_t|

    Args:
        shares: Shares from `parameter_gradients_by_time`, arrays with time in front.

    Returns:
        A `Cancellation`. The index is nan if all shares are zero.

    Example:
        >>> cancellation(jnp.array([[3.0], [-1.0]])).index.item()
        0.5
    """
    flat = jax.tree.map(lambda g: g.reshape(len(g), math.prod(g.shape[1:])), shares)
    norms = log_norms(flat, batch_axes=0)
    total = jax.tree.map(lambda g: g.sum(axis=0)[None], flat)
    whole = log_norms(total, batch_axes=0)[0]
    return Cancellation(norms, jnp.exp(whole - jax.nn.logsumexp(norms)))
