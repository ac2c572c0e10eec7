"""Gradient clipping by norm that counts the steps it clips."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float


class ClipStats(NamedTuple):
    """Statistics of gradient clipping.

    Attributes:
        norm: Norm of the last gradient, before clipping.
        rate: Fraction of steps whose gradient was clipped, from 0 to 1.
    """

    norm: Float[Array, "*models"]
    rate: Float[Array, "*models"]


class _ClipState(NamedTuple):
    norm_before_clip: Array
    steps_clipped: Array
    steps_seen: Array


def clip_with_stats(max_norm: float | Float[Array, ""]) -> optax.GradientTransformation:
    """`optax.clip_by_global_norm` that keeps statistics in its state.

        g' = g min(1, max_norm / |g|)

    Args:
        max_norm: Largest norm that is not clipped.

    Returns:
        An optax transformation; `clip_stats` reads its state.

    Example:
        >>> clip = clip_with_stats(1.0)
        >>> state = clip.init(jnp.array(0.0))
        >>> for gradient in (0.5, 10.0):
        ...     updates, state = clip.update(jnp.array(gradient), state)
        >>> updates.item(), [leaf.item() for leaf in clip_stats(state)]
        (1.0, [10.0, 0.5])

    References:
        Pascanu, Mikolov and Bengio 2013, On the difficulty of training recurrent neural
        networks, https://arxiv.org/abs/1211.5063
    """
    limit: Any = max_norm  # optax takes arrays, too
    clip = optax.clip_by_global_norm(limit)

    def init(params):
        return _ClipState(jnp.zeros(()), jnp.zeros((), int), jnp.zeros((), int))

    def update(updates, state, params=None):
        norm = optax.tree.norm(updates)
        state = _ClipState(
            norm,
            state.steps_clipped + (norm > max_norm).astype(int),
            state.steps_seen + 1,
        )
        updates, _ = clip.update(updates, optax.EmptyState(), params)
        return updates, state

    return optax.GradientTransformation(init, update)


def clip_stats(opt_state: Any) -> ClipStats | None:
    """Clipping statistics from the state of an optimizer.

    Args:
        opt_state: State of an optimizer that contains `clip_with_stats`, such as one
            from `make_optimizer`. It may be stacked over models.

    Returns:
        A `ClipStats`; None if the optimizer does not clip.

    Example:
        >>> clip_stats(optax.sgd(0.1).init(jnp.zeros(2))) is None
        True
    """
    nodes = jax.tree.leaves(opt_state, is_leaf=lambda n: isinstance(n, _ClipState))
    states = [node for node in nodes if isinstance(node, _ClipState)]
    if not states:
        return None
    norm, clipped, steps = states[0]
    return ClipStats(norm, clipped / jnp.maximum(steps, 1))
