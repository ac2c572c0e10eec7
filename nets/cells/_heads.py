"""Common parts of the cells with heads, most of which have a matrix memory."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from nets import initializers
from nets.linear import wide


def check_heads(heads: Any, features: Any) -> None:
    """Raise an error unless the features can be split into the heads."""
    if heads < 1 or features % heads:
        raise ValueError(
            f"expected features divisible by heads; got {features} and {heads}"
        )


def zero_memory(
    x: Array, w_i: Float[Array, "inputs columns"], like: Float[Array, "heads d"]
) -> Float[Array, "*batch heads d d"]:
    """Zeros of at least float32, for an input x [*batch, inputs]."""
    zeros = initializers.zero_state(x, w_i, like)
    return wide(jnp.zeros((*zeros.shape, *[like.shape[-1]] * 2), zeros.dtype))


def project(
    x: Array, w_i: Float[Array, "inputs columns"], like: Float[Array, "heads d"]
) -> list[Float[Array, "*batch heads d"]]:
    """Three projections of x, split into heads."""
    parts = jnp.split(x @ w_i, 3, axis=-1)
    return [y.reshape(*y.shape[:-1], *like.shape) for y in parts]


def retrieve(
    memory: Float[Array, "*batch heads d d"], q: Float[Array, "*batch heads d"]
) -> Float[Array, "*batch features"]:
    """S^T q of each head, joined."""
    y = jnp.einsum("...kv,...k->...v", memory, q)
    return y.reshape(*y.shape[:-2], -1)
