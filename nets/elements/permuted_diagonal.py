"""Maps with one entry per column: a diagonal, then a permutation."""

from functools import partial

import jax.numpy as jnp

from nets.elements.element import Element


def _apply_permuted(factor, s):
    """P diag(d) s. The entry of column j is in row p[j]."""
    p, d = factor
    moved = d * s
    if not _is_index(p):
        return jnp.matmul(p, moved[..., None], precision="highest").squeeze(-1)
    rows = moved.reshape(-1, moved.shape[-1])
    p = jnp.broadcast_to(p, moved.shape).reshape(rows.shape)
    number = jnp.arange(len(rows))[:, None]
    return jnp.zeros_like(rows).at[number, p].add(rows).reshape(moved.shape)


def _combine_permuted(later, earlier):
    """P_2 diag(d_2) P_1 diag(d_1): entry j of d_1 meets entry p_1[j] of d_2."""
    (p2, d2), (p1, d1) = later, earlier
    take = partial(jnp.take_along_axis, indices=p1, axis=-1)
    return take(p2), take(d2) * d1


def _identity_permuted(factor):
    """Each entry stays where it is."""
    p, d = factor
    size = p.shape[-1]
    eye = (
        jnp.arange(size, dtype=p.dtype)
        if _is_index(p)
        else jnp.eye(size, dtype=p.dtype)
    )
    return jnp.broadcast_to(eye, p.shape), jnp.ones_like(d)


def _compact_permuted(factor):
    """Positions instead of matrices."""
    p, d = factor
    p = p if _is_index(p) else jnp.argmax(p.real, axis=-2)
    return tuple(jnp.broadcast_arrays(p, d))


def _is_index(p):
    """True for positions, False for matrices of one-hot columns."""
    return jnp.issubdtype(p.dtype, jnp.integer)


permuted_diagonal = Element(
    _apply_permuted, _combine_permuted, _identity_permuted, _compact_permuted
)
