"""Terms of a loss that keep gradients from vanishing or exploding."""

import math
from collections.abc import Callable
from typing import Any, SupportsIndex

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from nets.flow.layers import in_every_cell
from nets.flow.linearized import batch_shape, trajectory
from nets.flow.lyapunov import growths
from nets.flow.state_gradients import is_real, state_gradients
from nets.recurrent import RecurrentLayer, as_layer, by_cell, per_cell
from nets.recurrent.padding import select_valid
from nets.recurrent.state_vectors import as_state, as_vector
from nets.types import Cell, Params, State


def pascanu_penalty(
    cell: Cell | RecurrentLayer,
    params: Params,
    xs: Any,
    loss: Callable[[State, Any], Float[Array, ""]],
    state: State | None = None,
    **options: Any,
) -> Float[Array, ""]:
    """Pascanu's Omega: squared deviation of each step from preserving gradient norm.

        Omega = sum over t of (|g_t J_t| / |g_t| - 1)^2,   g_t = dL/ds_t

    averaged over the sequences that have a real step, summed over the cells of a layer.
    Its gradient by the parameters is the "immediate" gradient of the paper: by the
    parameters in J_t, with g_t and the states constant. It uses the ratio of norms, as
    in the paper (the authors' code uses squared norms). Padding and steps without a
    gradient do not count; Omega is nan if a gradient has overflowed or is nan.

    Args:
        cell: Any `Cell`, or a recurrent layer.
        params: Parameters of the cell.
        xs: Inputs, [time, *batch, inputs].
        loss: Loss whose gradient is measured, as in `state_gradients`.
        state: State before the first step.
        **options: As in `state_gradients`, but without a key.

    Returns:
        A scalar, at least 0.

    Raises:
        ValueError: A key is given, or as in `state_gradients`.

    Example:
        A linear network of orthogonal weights keeps the norm:

        >>> import nets
        >>> cell = nets.elman(activation=lambda x: x)
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> xs = jax.random.normal(jax.random.key(1), (20, 5, 3))
        >>> loss = lambda state, ys: ys[-1].sum()
        >>> bool(pascanu_penalty(cell, params, xs, loss) < 1e-9)
        True

    References:
        Pascanu, Mikolov and Bengio 2013, On the difficulty of training recurrent neural
        networks, https://arxiv.org/abs/1211.5063
    """
    layer = as_layer(cell)
    if options.get("key") is not None:
        raise ValueError("expected no key: the Jacobians are those without noise")
    fixed = _constant(params)
    _, gradients = state_gradients(layer, fixed, xs, loss, state, **options)
    gradients = jax.lax.stop_gradient(gradients)
    # Options that only set how `unroll` computes its results change nothing here.
    names = [n for n in ("lengths", "mask", "reverse") if n in options]
    runs = per_cell(layer, params, xs, state, **{n: options[n] for n in names})
    return jnp.stack(
        [
            _omega(run, gradient)
            for run, gradient in zip(
                runs, by_cell(layer, gradients).values(), strict=True
            )
        ]
    ).sum()


def _constant(tree):
    """The tree, with the gradient by its arrays stopped."""
    return jax.tree.map(
        lambda leaf: jax.lax.stop_gradient(leaf) if is_real(leaf) else leaf, tree
    )


def _omega(run, gradients):
    """Omega of one cell, given the gradients by its states."""
    cell, params, options = run.cell, run.params, run.options
    fixed, xs, state = _constant((params, run.xs, run.state))
    walk = trajectory(cell, fixed, xs, state, **options)
    batch_axes = len(batch_shape(cell, fixed, walk))

    def gradient(delta, like):
        if not jnp.issubdtype(like.dtype, jnp.inexact):
            return jnp.zeros(delta.shape, like.dtype)  # which is no coordinate
        return jnp.conj(delta)  # by z = a + ib, JAX's gradient is dL/da - i dL/db

    upstream = as_vector(jax.tree.map(gradient, gradients, walk.before), batch_axes + 1)
    upstream = upstream[::-1] if options["reverse"] else upstream

    def ratio(before, x, real, g):
        def vector_step(vector):
            after, _ = cell.step(params, as_state(vector, before), x)
            return as_vector(after, batch_axes)

        _, pull = jax.vjp(vector_step, as_vector(before, batch_axes))
        # Scaled first, or the norms of small gradients underflow.
        largest = jnp.abs(g).max(axis=-1, keepdims=True, initial=0.0)
        none = (g == 0).all(axis=-1)  # which nan is not
        g /= jnp.where(largest == 0, 1, largest)
        norm = jnp.sqrt(jnp.where(none, 1, (g**2).sum(axis=-1)))
        (carried,) = pull(g / norm[..., None])
        square = (carried**2).sum(axis=-1)
        lost = ~none & (square == 0)  # nothing comes through: a ratio of 0
        off = jnp.sqrt(jnp.where(none | lost, 1, square)) - 1
        off = jnp.where(lost, -1.0, off) ** 2
        return select_valid(real, off, 0.0)

    each = jax.vmap(ratio)(walk.before, walk.xs, walk.real, upstream)
    filled = select_valid(walk.real, jnp.ones(each.shape, bool), False).any(axis=0)
    return each.sum() / jnp.maximum(filled.sum(), 1).astype(each.dtype)


def flossing_penalty(
    cell: Cell | RecurrentLayer,
    params: Params,
    xs: Any,
    state: State | None = None,
    *,
    count: SupportsIndex = 1,
    target: Float[ArrayLike, ""] = 0.0,
    **options: Any,
) -> Float[Array, ""]:
    """Gradient flossing: Lyapunov exponents pushed to a target, by default zero.

        penalty = mean over i = 1 ... count of (lambda_i - target)^2

    and over the batch and the cells of a layer. Sequences without a step that counts
    are left out; an exponent that is nan makes the penalty nan. An exponent of zero
    means a direction along which gradients neither vanish nor explode.

    A lost direction, whose exponent is -inf, counts as a direction that shrinks to a
    rounding error in every step, ln eps = -16 in float32: far from any target, but
    constant, without a gradient by the parameters.

    Args:
        cell: Any `Cell`, or a recurrent layer.
        params: Parameters of the cell.
        xs: Inputs, [time, *batch, inputs].
        state: State before the first step.
        count: Number of the largest exponents to use.
        target: Target of the exponents, nats per step.
        **options: As in `lyapunov_spectrum`.

    Returns:
        A scalar, differentiable by the parameters.

    Raises:
        ValueError: As in `lyapunov_spectrum`.

    Example:
        >>> import nets
        >>> cell = nets.gru()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> xs = jax.random.normal(jax.random.key(1), (20, 5, 3))
        >>> grads = jax.grad(lambda p: flossing_penalty(cell, p, xs, count=2))(params)
        >>> bool(jnp.isfinite(grads.w_h).all())
        True

    References:
        Engelken 2023, Gradient flossing: improving gradient descent through dynamic
        control of Jacobians, https://arxiv.org/abs/2312.17306
    """
    results = in_every_cell(growths)(cell, params, xs, state, count=count, **options)
    each = by_cell(cell, results).values()
    return jnp.stack([_off(result, target) for result in each]).mean()


def _off(growth, target):
    """The mean of the exponents' squared distances, over sequences with a step."""
    logs = growth.logs
    floor = math.log(jnp.finfo(logs.dtype).eps)
    exponents, there = growth.exponents(), growth.counts.any(axis=0)
    there = there.reshape(*there.shape, *(1,) * (exponents.ndim - there.ndim))
    there = jnp.broadcast_to(there, exponents.shape)
    exponents = jnp.where(jnp.isneginf(exponents), floor, exponents)
    squares = jnp.where(there, exponents - target, 0.0) ** 2
    return squares.sum() / jnp.maximum(there.sum(), 1).astype(squares.dtype)
