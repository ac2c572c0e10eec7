"""The whole state of a cell as one vector."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets.types import State


def as_vector(state: State, batch_axes: int) -> Float[Array, "*batch n"]:
    """The whole state as one real vector.

    A complex entry counts as two coordinates, real and imaginary part. Integers are
    left out.

    Args:
        state: Arrays [*batch, ...].
        batch_axes: Number of batch axes.

    Returns:
        Vectors [*batch, n], in the widest dtype of the state, float32 or wider.

    Raises:
        ValueError: The state has no real numbers, or an entry lacks the batch axes.

    Example:
        >>> state = {"h": jnp.ones((5, 8)), "count": jnp.ones(5, int)}
        >>> as_vector(state, batch_axes=1).shape
        (5, 8)
    """
    parts = []
    for leaf in _moving(state):
        rest = math.prod(leaf.shape[batch_axes:])
        flat = leaf.reshape(*leaf.shape[:batch_axes], rest)
        parts += [flat.real, flat.imag] if jnp.iscomplexobj(leaf) else [flat]
    if not parts:
        raise ValueError("expected a state with real numbers in it; it has none")
    if len({(part.ndim, part.shape[:batch_axes]) for part in parts}) > 1:
        raise ValueError(
            "expected every entry of the state that is a float to have the batch in "
            f"front, {batch_axes} axes; got {[list(s.shape) for s in _moving(state)]}: "
            "give each sequence a separate entry, or make a counter an integer"
        )
    dtype = jnp.promote_types(jnp.result_type(*parts), jnp.float32)
    return jnp.concatenate([part.astype(dtype) for part in parts], axis=-1)


def as_state(vector: Float[Array, "*batch n"], like: State) -> State:
    """The state of a vector: the inverse of `as_vector`.

    Args:
        vector: Vectors [*batch, n].
        like: State with the wanted shapes and dtypes. Its integers are copied.

    Returns:
        A state like `like`.

    Example:
        >>> as_state(jnp.arange(2.0), like=(jnp.zeros(1), jnp.zeros(1)))
        (Array([0.], dtype=float32), Array([1.], dtype=float32))
    """
    batch_axes, taken = vector.ndim - 1, 0

    def take(shape):
        nonlocal taken
        size = math.prod(shape[batch_axes:])
        taken += size
        return vector[..., taken - size : taken].reshape(shape)

    leaves = []
    for leaf in jax.tree.leaves(like):
        if jnp.iscomplexobj(leaf):
            leaf = jax.lax.complex(take(leaf.shape), take(leaf.shape)).astype(
                leaf.dtype
            )
        elif jnp.issubdtype(leaf.dtype, jnp.inexact):
            leaf = take(leaf.shape).astype(leaf.dtype)
        leaves.append(leaf)
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def _moving(state: State) -> list[Array]:
    """Leaves of a state that are real or complex numbers."""
    leaves = jax.tree.leaves(state)
    return [leaf for leaf in leaves if jnp.issubdtype(leaf.dtype, jnp.inexact)]
