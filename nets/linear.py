"""Affine maps of the last axis, its normalisation, and what width they need."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_EPSILON = 1e-5


def wide(*trees: Any) -> Any:
    """Arrays in their common dtype, or in float32 if that is wider.

    bfloat16 counts to 256 and float16 to 2,048: sums of more than a few terms are taken
    in float32 at the least. Arrays that are wide already are returned as they are.

    Args:
        *trees: Trees of arrays.

    Returns:
        The trees, or the one tree if it is one.

    Example:
        >>> a, b = wide(jnp.ones(2, jnp.bfloat16), {"b": jnp.ones(2, jnp.bfloat16)})
        >>> a.dtype.name, b["b"].dtype.name
        ('float32', 'float32')
    """
    # Widening is meant here, also where jax_numpy_dtype_promotion is "strict".
    with jax.numpy_dtype_promotion("standard"):
        dtype = jnp.result_type(*jax.tree.leaves(trees), jnp.float32)
    trees = jax.tree.map(lambda leaf: leaf.astype(dtype), trees)
    return trees[0] if len(trees) == 1 else trees


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


def scale_features(
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
    y = wide(x)
    y = y - y.mean(-1, keepdims=True)
    y = y * jax.lax.rsqrt(jnp.square(y).mean(-1, keepdims=True) + _EPSILON)
    y = scale_features(y, scale.astype(y.dtype))
    if bias is not None:
        y = add_bias(y, bias.astype(y.dtype))
    return y.astype(x.dtype)
