"""How a gradient decays over time, as numbers."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets.types import State


def log_norms(gradients: State, batch_axes: int = 1) -> Float[Array, "time *batch"]:
    """ln of the Euclidean norm of each step's gradient, over the whole state.

        ln |g_t| = ln m + 1/2 ln sum (g_t / m)^2,   m = max |g_t|

    Scaled by its largest entry the sum of squares cannot underflow, which in float32 it
    would do from |g_t| = 1e-19 downwards.

    Args:
        gradients: What `state_gradients` returns: arrays [time, *batch, ...].
        batch_axes: How many axes are batch; all others are the state's, those of space
            in a cell of images too.

    Returns:
        Nats, [time, *batch]; -inf where the gradient is zero (or below what its dtype
        holds), inf where it has overflowed.

    Raises:
        ValueError: No axis is left for the state, as for one sequence without a batch,
            which wants batch_axes=0.

    Example:
        >>> log_norms([jnp.full((2, 1, 4), 1e-30)]).round(3).tolist()
        [[-68.38400268554688], [-68.38400268554688]]
    """
    leaves = jax.tree.leaves(gradients)
    if any(leaf.ndim < 2 + batch_axes for leaf in leaves):
        raise ValueError(
            f"expected gradients [time, *batch, ...] with {batch_axes} axes of batch "
            f"and some of the state; got {[list(leaf.shape) for leaf in leaves]}; "
            "give another batch_axes"
        )
    flat = [leaf.reshape(*leaf.shape[: 1 + batch_axes], -1) for leaf in leaves]
    sizes = jnp.abs(jnp.concatenate(flat, axis=-1))  # real, of complex numbers too
    largest = sizes.max(axis=-1, keepdims=True)
    scaled = sizes / jnp.where(largest == 0, 1, largest)
    log_norms = jnp.log(largest[..., 0]) + jnp.log((scaled**2).sum(axis=-1)) / 2
    return jnp.where(jnp.isposinf(largest[..., 0]), jnp.inf, log_norms)


def decay_rate(log_norms: Float[Array, "time *batch"]) -> Float[Array, "*batch"]:
    """The slope of ln |g_t| against t, by least squares.

        ln |g_t| ~ a + rate t

    Args:
        log_norms: Nats, [time, ...]. Steps where it is not finite are left out.

    Returns:
        Nats a step, [...]: positive if the gradient shrinks on its way back in time,
        negative if it grows; nan if fewer than two steps are finite.

    Example:
        >>> decay_rate(jnp.array([-4.0, -3.0, -2.0, -1.0])).item()
        1.0
    """
    known = jnp.isfinite(log_norms)
    count = known.sum(axis=0)
    steps = jnp.arange(len(log_norms), dtype=log_norms.dtype)
    steps = jnp.broadcast_to(
        steps.reshape(-1, *(1,) * (log_norms.ndim - 1)), log_norms.shape
    )

    def centred(values):
        values = jnp.where(known, values, 0)
        mean = values.sum(axis=0, keepdims=True) / jnp.maximum(count, 1)[None]
        return jnp.where(known, values - mean, 0)

    t = centred(steps)
    slope = (t * centred(log_norms)).sum(axis=0) / (t**2).sum(axis=0)
    return jnp.where(count < 2, jnp.nan, slope)


def half_life(decay_rate: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """Steps in which a gradient halves on its way back (or doubles, if it grows).

        half-life = ln 2 / |rate|

    Args:
        decay_rate: Nats a step.

    Returns:
        Steps; inf if the rate is zero.

    Example:
        >>> half_life(jnp.array(0.0693147)).round(3).item()
        10.0
    """
    return jnp.log(2.0).astype(decay_rate.dtype) / jnp.abs(decay_rate)
