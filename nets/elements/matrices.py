"""Dense maps: small blocks, and matrices that multiply the state from the left."""

from functools import partial

import jax.numpy as jnp

from nets.elements.element import Element


def _apply_blocks(blocks, s):
    """Products of small matrices and vectors, as sums that XLA fuses."""
    return (blocks * s[..., None, :]).sum(-1)


def _combine_blocks(later, earlier):
    """Products of small matrices."""
    return (later[..., :, :, None] * earlier[..., None, :, :]).sum(-2)


def _identities(matrices):
    """Identity matrices."""
    eye = jnp.eye(matrices.shape[-1], dtype=matrices.dtype)
    return jnp.broadcast_to(eye, matrices.shape)


blocks = Element(_apply_blocks, _combine_blocks, _identities)
# GPUs multiply with 10 bits by default, and errors add up over time.
_matmul = partial(jnp.matmul, precision="highest")
left_factor = Element(_matmul, _matmul, _identities)


def _apply_rank_one(factor, s):
    """diag(w) S - u (v^T S); a dense product in the compact form."""
    if not isinstance(factor, tuple):
        return _matmul(factor, s)
    w, u, v = (part[..., None] for part in factor)
    return w * s - u * (v * s).sum(-2, keepdims=True)


def _identity_rank_one(factor):
    """No rank-one part."""
    w, u, v = factor
    return jnp.ones_like(w), jnp.zeros_like(u), jnp.zeros_like(v)


def _dense(factor):
    """The matrices diag(w) - u v^T: a product of two has no rank-one form."""
    w, u, v = factor
    rank_one = u[..., None] * v[..., None, :]
    return w[..., None] * _identities(rank_one) - rank_one


diagonal_minus_rank_one = Element(_apply_rank_one, _matmul, _identity_rank_one, _dense)
