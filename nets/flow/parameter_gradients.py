"""Each step's share in the gradient of the parameters."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets.flow.profile import log_norms
from nets.flow.state_gradients import one_number
from nets.recurrent import as_layer
from nets.recurrent.padding import real_steps, where_real
from nets.types import Cell, Layer, Params, State


def parameter_gradients_by_time(
    cell: Cell | Layer,
    params: Params,
    xs: Any,
    loss: Callable[[State, Any], Float[Array, ""]],
    state: State | None = None,
    *,
    reverse: bool = False,
    **options: Any,
) -> tuple[Float[Array, ""], Params]:
    """The loss, and each step's share G_t of its gradient by the parameters.

        G_t = (d+ s_t / d theta)^T dL/ds_t,    sum over t of G_t = dL/dtheta

    where d+ is by the parameters of step t alone: every step is given parameters of its
    own, all equal, and the gradient is taken by those. What an initial state owes to
    the parameters (see `nets.learned_state`) counts at the step that is read first.

    Args:
        cell: Any `Cell`, or a recurrent `Layer`.
        params: Its parameters.
        xs: The inputs, [time, *batch, inputs].
        loss: From the final state and all outputs to one number.
        state: The state before the first step.
        reverse: As in `nets.unroll`; of a layer each cell has its own direction.
        **options: `lengths` or `mask`, as in `nets.unroll`; padded steps have no share.

    Returns:
        The loss, and a tree like the parameters, time in front.

    Raises:
        ValueError: The loss is not one number, a key is given, or as in `nets.unroll`.

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
    layer = as_layer(cell) if isinstance(cell, Cell) else cell
    options |= {"reverse": True} if reverse else {}
    time = len(jax.tree.leaves(xs)[0])
    each = jax.tree.map(lambda p: jnp.broadcast_to(p, (time, *jnp.shape(p))), params)

    def value(each):
        return one_number(loss(*layer.apply(each, xs, state, run=_run, **options)))

    return jax.value_and_grad(value)(each)


def _run(
    cell,
    each,
    xs,
    state,
    *,
    reverse=False,
    lengths=None,
    mask=None,
    key=None,
    deltas=None,
):
    """`nets.unroll`, with parameters for each step."""
    if key is not None or deltas is not None:
        raise ValueError("expected neither a key nor deltas: steps without noise")
    real = real_steps(xs, lengths, mask, cell.space)
    xs = where_real(real, xs, 0.0)
    if state is None:
        first = jax.tree.map(lambda p: p[-1 if reverse else 0], each)
        state = cell.initial_state(first, jax.tree.map(lambda x: x[0], xs))

    def body(state, step):
        params, x, real = step
        new, y = cell.step(params, state, x)
        return where_real(real, new, state), where_real(real, y, 0.0)

    return jax.lax.scan(body, state, (each, xs, real), reverse=reverse)


class Cancellation(NamedTuple):
    """How the shares of the steps add up.

    Attributes:
        log_norms: ln |G_t| over all parameters, nats, [time].
        index: From 0, where they cancel each other, to 1, where all point one way.
    """

    log_norms: Float[Array, " time"]
    index: Float[Array, ""]  # pyright: ignore[reportIncompatibleMethodOverride]


def cancellation(shares: Params) -> Cancellation:
    """Whether the steps' shares in a gradient help or cancel each other.

        index = |sum G_t| / sum |G_t|

    Args:
        shares: Of `parameter_gradients_by_time`: a tree of arrays, time in front.

    Returns:
        A `Cancellation`; the index of shares that are all zero is nan.

    Example:
        >>> cancellation(jnp.array([[3.0], [-1.0]])).index.item()
        0.5
    """
    flat = jax.tree.map(lambda g: g.reshape(len(g), -1), shares)
    norms = log_norms(flat, batch_axes=0)
    total = jax.tree.map(lambda g: g.sum(axis=0)[None], flat)
    whole = log_norms(total, batch_axes=0)[0]
    return Cancellation(norms, jnp.exp(whole - jax.nn.logsumexp(norms)))
