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
