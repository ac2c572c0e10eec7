"""Checks of arguments: integers of any library, and floats in float32 or wider."""

import operator
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float


def integer(value: Any) -> int | None:
    """The value as an int, if it is an integer of Python, NumPy or JAX.

    Args:
        value: Any value. Booleans do not count as integers.

    Returns:
        The int, or None.

    Example:
        >>> integer(np.int64(2)), integer(2.0), integer(True)
        (2, None, None)
    """
    if isinstance(value, bool | np.bool_):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def coordinates(count: Any, size: int) -> int:
    """A number of coordinates of the state, by default all coordinates.

    Args:
        count: An integer from 1 to `size`, or None.
        size: Number of coordinates of the state.

    Returns:
        The int.

    Raises:
        ValueError: The count is not such an integer.

    Example:
        >>> coordinates(None, 8), coordinates(np.int32(2), 8)
        (8, 2)
    """
    number = size if count is None else integer(count)
    if number is None or not 1 <= number <= size:
        raise ValueError(
            f"expected an integer count from 1 to {size}, the coordinates of the "
            f"state; got {count!r}"
        )
    return number


def floats(values: ArrayLike | Sequence[Any]) -> Float[Array, "..."]:
    """Numbers as float32 or wider, so that sums over many steps are accurate.

    Args:
        values: Real numbers of any type, lists included.

    Returns:
        An array of the same shape.

    Example:
        >>> floats([1, 2]).dtype, floats(jnp.ones(3, jnp.bfloat16)).dtype
        (dtype('float32'), dtype('float32'))
    """
    array = jnp.asarray(values)
    wide = jnp.issubdtype(array.dtype, jnp.inexact) and array.dtype.itemsize >= 4
    return array if wide else array.astype(jnp.float32)
