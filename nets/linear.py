"""Affine maps of the last axis, and its normalisation."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_EPSILON = 1e-5


def add_bias(
    x: Float[Array, "*batch features"], b: Float[Array, "..."]
) -> Float[Array, "*batch features"]:
    """x + b for every member of the batch.

    NumPy would broadcast b by itself; said aloud, the sum also runs where
    `jax_numpy_rank_promotion` is "raise", which finds accidental broadcasts.

    Args:
        x: Any number of batch axes, then features.
        b: The bias, [features].

    Returns:
        The sum, of x's shape.

    Raises:
        ValueError: b has another shape, such as one number that would be broadcast.

    Example:
        >>> add_bias(jnp.zeros((2, 3)), jnp.ones(3)).tolist()
        [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """
    if b.shape != x.shape[-1:]:
        raise ValueError(
            f"expected a bias of {x.shape[-1]} numbers, one a feature; got shape "
            f"{list(b.shape)}"
        )
    return x + jnp.broadcast_to(b, x.shape)


def weigh(
    x: Float[Array, "*batch features"], w: Float[Array, " features"]
) -> Float[Array, "*batch features"]:
    """x w, entry by entry, for every member of the batch.

    Args:
        x: Any number of batch axes, then features.
        w: One weight a feature: a diagonal matrix.

    Returns:
        The product, of x's shape.

    Example:
        >>> weigh(jnp.ones((2, 3)), jnp.array([1.0, 2.0, 3.0])).tolist()
        [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]
    """
    return x * jnp.broadcast_to(w, x.shape)


def layer_norm(
    x: Float[Array, "*batch features"],
    scale: Float[Array, " features"],
    bias: Float[Array, " features"] | None = None,
) -> Float[Array, "*batch features"]:
    """x with mean 0 and variance 1 over its last axis, then scaled and shifted.

        y = scale (x - mean(x)) / sqrt(var(x) + 1e-5) + bias

    Where x is constant, as W_h h is at a state of zeros, the slope is the largest that
    it can be: 1 / sqrt(1e-5) = 316.

    Args:
        x: Any number of batch axes, then features. All is computed in float32 at the
            least, and rounded to x's dtype at the end.
        scale: One number a feature.
        bias: One number a feature, or None.

    Returns:
        y, of x's shape and dtype.

    Example:
        >>> layer_norm(jnp.array([1.0, 2.0, 3.0]), jnp.ones(3)).round(2).tolist()
        [-1.2200000286102295, 0.0, 1.2200000286102295]

    References:
        Ba, Kiros and Hinton 2016, Layer normalization,
        https://arxiv.org/abs/1607.06450
    """
    wide = jnp.promote_types(x.dtype, jnp.float32)
    y = x.astype(wide)
    y = y - y.mean(-1, keepdims=True)
    y = y * jax.lax.rsqrt(jnp.square(y).mean(-1, keepdims=True) + _EPSILON)
    y = weigh(y, scale.astype(wide))
    if bias is not None:
        y = add_bias(y, bias.astype(wide))
    return y.astype(x.dtype)
