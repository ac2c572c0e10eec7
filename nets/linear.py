"""Affine maps and normalization of the last axis, and the precision that they need."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_EPSILON = 1e-5


def wide(*trees: Any) -> Any:
    """Cast arrays to their common dtype, or to float32 if that is wider.

    bfloat16 represents integers only up to 256 and float16 up to 2,048, so sums of more
    than a few terms need at least float32. Arrays that are already wide enough are
    returned unchanged.

    Args:
        *trees: Pytrees of arrays.

    Returns:
        The trees; a single argument is returned as one tree, not as a tuple.

    Example:
        >>> a, b = wide(jnp.ones(2, jnp.bfloat16), {"b": jnp.ones(2, jnp.bfloat16)})
        >>> a.dtype.name, b["b"].dtype.name
        ('float32', 'float32')
    """
    # Promotion is intended here, even if jax_numpy_dtype_promotion is "strict".
    with jax.numpy_dtype_promotion("standard"):
        dtype = jnp.result_type(*jax.tree.leaves(trees), jnp.float32)
    trees = jax.tree.map(lambda leaf: leaf.astype(dtype), trees)
    return trees[0] if len(trees) == 1 else trees


def add_bias(
    x: Float[Array, "*batch features"], b: Float[Array, "..."]
) -> Float[Array, "*batch features"]:
    """Return x + b, with b broadcast explicitly over the batch axes.

    Because the broadcast is explicit, the sum also runs with
    `jax_numpy_rank_promotion="raise"`, which detects accidental broadcasts.

    Args:
        x: Input, [*batch, features].
        b: Bias, [features].

    Returns:
        The sum, of x's shape.

    Raises:
        ValueError: The shape of `b` is not [features], e.g. it is a scalar.

    Example:
        >>> add_bias(jnp.zeros((2, 3)), jnp.ones(3)).tolist()
        [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """
    if b.shape != x.shape[-1:]:
        raise ValueError(
            f"expected a bias of {x.shape[-1]} numbers, one per feature; got shape "
            f"{list(b.shape)}"
        )
    return x + jnp.broadcast_to(b, x.shape)


def scale_features(
    x: Float[Array, "*batch features"], w: Float[Array, " features"]
) -> Float[Array, "*batch features"]:
    """Return x * w, with w broadcast explicitly over the batch axes.

    Args:
        x: Input, [*batch, features].
        w: One weight per feature (a diagonal matrix), [features].

    Returns:
        The product, of x's shape.

    Example:
        >>> scale_features(jnp.ones((2, 3)), jnp.array([1.0, 2.0, 3.0])).tolist()
        [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]
    """
    return x * jnp.broadcast_to(w, x.shape)


def layer_norm(
    x: Float[Array, "*batch features"],
    scale: Float[Array, " features"],
    bias: Float[Array, " features"] | None = None,
) -> Float[Array, "*batch features"]:
    """Normalize to mean 0 and variance 1 over the last axis, then scale and shift.

        y = scale (x - mean(x)) / sqrt(var(x) + 1e-5) + bias

    Where x is constant, as W_h h is at a state of zeros, the slope has its maximum,
    1 / sqrt(1e-5) = 316.

    Args:
        x: Input, [*batch, features]. The computation uses at least float32; the result
            is rounded to x's dtype.
        scale: Scale, [features].
        bias: Bias, [features], or None.

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
