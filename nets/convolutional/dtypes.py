"""Dtypes of sums and of results."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Shaped


def wide(dtype: Any) -> Any:
    """Return the dtype in which numbers of a given dtype are summed.

    A bfloat16 sum of ones stops growing at 256, and a float16 sum overflows at 65,504.
    Both are computed in float32 and rounded once.

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
    """Return the dtypes of a mean and of its sum.

    Args:
        xs: Array to average.

    Returns:
        The dtype of xs, or float32 for integers; and at least float32.

    Example:
        >>> [d.name for d in mean_dtypes(jnp.ones(2, jnp.bfloat16))]
        ['bfloat16', 'float32']
    """
    real = jnp.issubdtype(xs.dtype, jnp.inexact)
    dtype = jnp.dtype(xs.dtype if real else jnp.float32)
    return dtype, wide(dtype)
