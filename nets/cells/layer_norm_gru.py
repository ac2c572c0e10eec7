"""The gated recurrent unit with layer normalization."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets import initializers
from nets.factories import factory
from nets.linear import add_bias, layer_norm, wide
from nets.tracing.tags import tag_candidate, tag_gate
from nets.types import Cell


class LayerNormGRUParams(NamedTuple):
    """Parameters of `gru(reset_after=True)`, gate order r z n, and two scales.

    scale_i and scale_h [3 features] scale the normalized W_i x and W_h h.
    """

    w_i: Float[Array, "inputs 3*features"]
    w_h: Float[Array, "features 3*features"]
    b: Float[Array, " 3*features"]
    b_hn: Float[Array, " features"]
    scale_i: Float[Array, " 3*features"]
    scale_h: Float[Array, " 3*features"]


class LayerNormGRUState(NamedTuple):
    """hidden [*batch, features], at least float32: steps accumulate in it."""

    hidden: Float[Array, "*batch features"]


@factory
def layer_norm_gru(init: initializers.Initializer = initializers.orthogonal) -> Cell:
    """The gated recurrent unit with layer-normalized pre-activations.

        LN(a) = (a - mean(a)) / sqrt(var(a) + 1e-5)
        r, z = split(sigmoid(scale_i LN(W_i x) + scale_h LN(W_h h) + b))
        n = tanh(scale_in LN(W_in x) + b_n + r (scale_hn LN(W_hn h) + b_hn))
        h' = (1 - z) n + z h

    The state itself is not normalized, so the gradient along z h is that of a GRU. The
    gradient through the gates does not depend on the scale of W_h. At a state of zeros
    LN has its steepest slope, 316, as in `layer_norm_lstm`.

    As in the paper, r and z are normalized together, n is normalized separately, and r
    acts after the product. z weights the old state, as in `gru` (in the paper it
    weights the new state).

    Args:
        init: Initializer of the parameters, from `nets.initializers`. The scales are
            initially 1.

    Returns:
        A `Cell` with `LayerNormGRUParams` and `LayerNormGRUState`.

    Example:
        >>> import nets
        >>> cell = nets.layer_norm_gru()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)))
        >>> ys.shape
        (10, 5, 8)

    References:
        Ba, Kiros and Hinton 2016, Layer normalization,
        https://arxiv.org/abs/1607.06450
    """

    def init_params(key, inputs, features):
        w_i, w_h, b_i, b_h = init(key, inputs, features, "rzn")
        b_hr, b_hz, b_hn = jnp.split(b_h, 3)
        b = b_i + jnp.concatenate([b_hr, b_hz, jnp.zeros(features)])
        scale_i, scale_h = jnp.ones_like(b), jnp.ones_like(b)
        return LayerNormGRUParams(w_i, w_h, b, b_hn, scale_i, scale_h)

    def initial_state(params, x):
        zeros = initializers.zero_state(x, params.w_i, params.w_h)
        return LayerNormGRUState(wide(zeros))

    def step(params, state, x, drop=lambda h: h):
        from_x = x @ params.w_i
        from_h = drop(state.hidden).astype(from_x.dtype) @ params.w_h
        x_gates, h_gates, h = wide(from_x, from_h, state.hidden)
        x_gates = _normalize(x_gates, params.scale_i)
        h_gates = _normalize(h_gates, params.scale_h)
        x_r, x_z, x_n = jnp.split(add_bias(*wide(x_gates, params.b)), 3, axis=-1)
        h_r, h_z, h_n = jnp.split(h_gates, 3, axis=-1)
        r = tag_gate(jax.nn.sigmoid(x_r + h_r), "reset")
        z = tag_gate(jax.nn.sigmoid(x_z + h_z), "update", retains=True)
        n = tag_candidate(jnp.tanh(x_n + r * add_bias(*wide(h_n, params.b_hn))))
        h = ((1 - z) * n + z * h).astype(state.hidden.dtype)
        return LayerNormGRUState(h), h.astype(from_h.dtype)

    return Cell(init_params, initial_state, step, takes_drop=True)


def _normalize(gates, scale):
    """Layer-normalize r and z together, and n separately."""
    cut = [2 * gates.shape[-1] // 3]
    rz, n = jnp.split(gates, cut, axis=-1)
    scale_rz, scale_n = jnp.split(scale, cut)
    return jnp.concatenate([layer_norm(rz, scale_rz), layer_norm(n, scale_n)], axis=-1)
