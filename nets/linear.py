"""Affine maps of the last axis."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def add_bias(
    x: Float[Array, "*batch features"], b: Float[Array, " features"]
) -> Float[Array, "*batch features"]:
    """x + b for every member of the batch.

    NumPy would broadcast b by itself; said aloud, the sum also runs where
    `jax_numpy_rank_promotion` is "raise", which finds accidental broadcasts.

    Args:
        x: Any number of batch axes, then features.
        b: The bias, one number a feature.

    Returns:
        The sum, of x's shape.

    Example:
        >>> add_bias(jnp.zeros((2, 3)), jnp.ones(3)).tolist()
        [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """
    return x + jnp.broadcast_to(b, x.shape)
