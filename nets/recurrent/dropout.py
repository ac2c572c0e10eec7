"""Dropout of arrays."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets.types import KeyArray


def dropped(key: KeyArray, x: Any, rate: float) -> Any:
    """Dropout: random entries of x set to zero, the rest scaled to keep the mean.

    Args:
        key: Key of `jax.random.key`.
        x: An array, or a tree of arrays.
        rate: Probability that an entry is dropped, from 0 to below 1.

    Returns:
        A tree like x.

    Example:
        >>> x = dropped(jax.random.key(0), jnp.ones(1000), 0.5)
        >>> sorted(set(x.tolist()))
        [0.0, 2.0]
    """
    if not rate:
        return x
    leaves, tree = jax.tree.flatten(x)
    keys = jax.random.split(key, len(leaves))
    return jax.tree.unflatten(tree, map(_dropped(rate), keys, leaves))


def _dropped(rate: float) -> Callable[[KeyArray, Array], Array]:
    """Dropout of one array."""

    def drop(key: KeyArray, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        kept = jax.random.bernoulli(key, 1 - rate, x.shape)
        return jnp.where(kept, x / (1 - rate), 0)

    return drop


def check_rate(name: str, rate: float) -> float:
    """Check that a rate is a probability below 1.

    Args:
        name: Name of the rate, for the message.
        rate: A number.

    Returns:
        The rate as a float of Python: a NumPy scalar would change the dtype of arrays.

    Raises:
        ValueError: The rate is out of range.

    Example:
        >>> check_rate("rate", 0.5)
        0.5
    """
    if not 0 <= rate < 1:
        raise ValueError(f"expected {name} from 0 to below 1; got {rate}")
    return float(rate)
