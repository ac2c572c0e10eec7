"""The dtypes in which sums are computed, and those that are returned."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Shaped


def wide(dtype: Any) -> Any:
    """The dtype in which numbers of a dtype are added up.

    A sum of bfloat16 numbers stops growing at 256 if ones are added, and one of float16
    numbers overflows at 65,504: both are computed in float32, and rounded once.

    Args:
        dtype: Dtype of the numbers.

    Returns:
        float32 for floating-point numbers of fewer bits, otherwise the dtype itself.

    Example:
        >>> [wide(d).name for d in (jnp.bfloat16, jnp.float32, jnp.int8)]
        ['float32', 'float32', 'int8']
    """
    dtype = jnp.dtype(dtype)
    narrow = jnp.issubdtype(dtype, jnp.floating) and jnp.finfo(dtype).bits < 32
    return jnp.dtype(jnp.float32) if narrow else dtype


def mean_dtypes(xs: Shaped[Array, "..."]) -> tuple[Any, Any]:
    """The dtypes of a mean, and of its sum.

    Args:
        xs: An array.

    Returns:
        The dtype of xs, or float32 if it is of integers; and float32 or the wider.

    Example:
        >>> [d.name for d in mean_dtypes(jnp.ones(2, jnp.bfloat16))]
        ['bfloat16', 'float32']
    """
    real = jnp.issubdtype(xs.dtype, jnp.inexact)
    dtype = jnp.dtype(xs.dtype if real else jnp.float32)
    return dtype, wide(dtype)
