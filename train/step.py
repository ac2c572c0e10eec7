"""One training step, as a pure function."""

from __future__ import annotations  # help() prints them as they are written

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

Params = Any
LossFn = Callable[..., Float[Array, ""]]  # of parameters, a batch, and a key


class TrainState(NamedTuple):
    """State of training: a tree of arrays, so `vmap` trains many models at once.

    Attributes:
        step: Number of steps taken.
        params: The parameters.
        opt_state: State of the optimizer.
        key: Key from which every step derives its own.
    """

    step: Int[Array, ""]
    params: Params
    opt_state: optax.OptState
    key: Key[Array, ""]


class Metrics(NamedTuple):
    """Metrics of one step.

    Attributes:
        loss: Loss before the step.
        gradient_norm: Norm of its gradient, before clipping.
    """

    loss: Float[Array, ""]
    gradient_norm: Float[Array, ""]


def init_state(
    optimizer: optax.GradientTransformation, params: Params, key: Key[Array, ""]
) -> TrainState:
    """State before the first step.

    Args:
        optimizer: Any optax optimizer.
        params: A tree of arrays.
        key: A key of `jax.random.key`.

    Returns:
        A `TrainState`.

    Example:
        >>> params = {"w": jnp.ones(3)}
        >>> state = init_state(optax.sgd(0.1), params, jax.random.key(0))
        >>> state.step.item()
        0
    """
    return TrainState(jnp.zeros((), int), params, optimizer.init(params), key)


def make_step(
    loss_fn: LossFn, optimizer: optax.GradientTransformation
) -> Callable[..., tuple[TrainState, Metrics]]:
    """A pure function that takes one optimization step.

        params' = params + optimizer(grad loss_fn(params, batch, key))

    Args:
        loss_fn: `loss_fn(params, batch, key)`, a scalar. Every step has a new key.
        optimizer: Any optax optimizer.

    Returns:
        `state, metrics = step(state, batch)`, ready for `jax.lax.scan` over batches.
        Its keyword arguments are passed to `loss_fn`.

    Example:
        >>> optimizer = optax.sgd(0.5)
        >>> step = make_step(lambda w, x, key: ((w - x) ** 2).mean(), optimizer)
        >>> state = init_state(optimizer, jnp.zeros(()), jax.random.key(0))
        >>> state, metrics = step(state, jnp.array([3.0, 5.0]))
        >>> state.params.item(), metrics.loss.item()
        (4.0, 17.0)
    """

    def step(state, batch, **arguments):
        key = jax.random.fold_in(state.key, state.step)
        loss, gradient = jax.value_and_grad(loss_fn)(
            state.params, batch, key, **arguments
        )
        updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        state = TrainState(state.step + 1, params, opt_state, state.key)
        return state, Metrics(loss, optax.tree.norm(gradient))

    return step
