"""Jacobians of all steps of a recurrence, in blocks."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets.recurrent.sharding import split_like

# Columns of a diagonal that are computed at once. More take more memory, fewer leave an
# accelerator idle.
COLUMNS = 16


def jacobian_blocks(
    function: Callable[..., Array], at: Float[Array, "*axes n"], block: int
) -> Float[Array, "*axes m block block"]:
    """Jacobian of a function that maps each vector to a vector, in blocks.

    The coordinates of a vector are `block` parts of m = n / block numbers. A block
    couples the coordinates with the same index in their parts: m = 1 for a dense
    Jacobian, block = 1 for a diagonal one.

    Args:
        function: Function of vectors [*axes, n].
        at: Vectors at which the Jacobian is taken.
        block: Size of the blocks.

    Returns:
        The blocks, rows before columns.

    Example:
        >>> jacobian_blocks(lambda s: s * s, jnp.array([1.0, 3.0]), 1).ravel().tolist()
        [2.0, 6.0]
    """
    directions = _directions(at, block)
    try:
        _, push = jax.linearize(function, at)
        columns = jax.vmap(push)(directions)
        return jnp.moveaxis(to_blocks(columns, block), 0, -1)
    except TypeError:  # a step with a custom backward pass (`custom_vjp`)
        _, pull = jax.vjp(function, at)
        rows = jax.vmap(lambda e: pull(e)[0])(directions)
        return jnp.moveaxis(to_blocks(rows, block), 0, -2)


def jacobian_diagonal(
    function: Callable[..., Array], at: Float[Array, "*axes n"], block: int
) -> Float[Array, "*axes n"]:
    """Diagonal of the Jacobian, in the memory of some of its columns.

    Args:
        function: As in `jacobian_blocks`.
        at: As in `jacobian_blocks`.
        block: Size of the blocks of the Jacobian, each column of which is computed.

    Returns:
        One number per coordinate.

    Example:
        >>> w = jnp.array([[1.0, 2.0], [3.0, 4.0]])
        >>> jacobian_diagonal(lambda s: s @ w, jnp.ones(2), 2).tolist()
        [1.0, 4.0]
    """
    try:
        _, push = jax.linearize(function, at)
        return _diagonal(push, at, block)
    except TypeError:  # a step with a custom backward pass (`custom_vjp`)
        _, pull = jax.vjp(function, at)
        return _diagonal(lambda e: pull(e)[0], at, block)


def to_blocks(
    vectors: Float[Array, "*axes n"], block: int
) -> Float[Array, "*axes m block"]:
    """Coordinates by block.

    Args:
        vectors: Vectors of n = block * m coordinates, `block` parts one after another.
        block: Size of the blocks.

    Returns:
        One row per block.

    Example:
        >>> to_blocks(jnp.arange(6.0), 2).tolist()
        [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]
    """
    *axes, n = vectors.shape
    return vectors.reshape(*axes, block, n // block).swapaxes(-1, -2)


def from_blocks(blocks: Float[Array, "*axes m block"]) -> Float[Array, "*axes n"]:
    """Vectors, from their coordinates by block: the inverse of `to_blocks`.

    Args:
        blocks: One row per block.

    Returns:
        Vectors.

    Example:
        >>> from_blocks(to_blocks(jnp.arange(6.0), 2)).tolist()
        [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    """
    *axes, m, block = blocks.shape
    return blocks.swapaxes(-1, -2).reshape(*axes, m * block)


def _diagonal(product, at, block):
    """Diagonal of a matrix, or of its transpose, from its products with vectors."""
    directions = _directions(at, block)
    if block <= COLUMNS:
        return (jax.vmap(product)(directions) * directions).sum(axis=0)
    eye = jnp.eye(block, dtype=at.dtype)
    eye = jnp.concatenate([eye, jnp.zeros((-block % COLUMNS, block), at.dtype)])

    def add(diagonal, rows):
        part = _spread(rows, at)
        return diagonal + (jax.vmap(product)(part) * part).sum(axis=0), None

    rows = eye.reshape(-1, COLUMNS, block)
    return jax.lax.scan(add, jnp.zeros_like(at), rows)[0]


def _directions(at, block):
    """One direction per column of a block, [block, *axes, n]: ones in one part."""
    return _spread(jnp.eye(block, dtype=at.dtype), at)


def _spread(rows, at):
    """Vectors like `at` with one number per part, from rows [columns, block]."""
    rows = jnp.repeat(rows, at.shape[-1] // rows.shape[-1], axis=-1)
    # Split over devices as the vectors are.
    return jax.vmap(lambda row: split_like(jnp.broadcast_to(row, at.shape), at))(rows)
