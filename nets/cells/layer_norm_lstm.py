"""The long short-term memory with layer normalization."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets import initializers
from nets.factories import factory
from nets.linear import layer_norm, wide
from nets.tracing.tags import tag_candidate, tag_gate
from nets.types import Cell


class LayerNormLSTMParams(NamedTuple):
    """Parameters of `lstm`, gate order i f g o, three scales, and a bias of c.

    scale_i and scale_h [4 features] scale the normalized W_i x and W_h h; b contains
    the shifts of both. scale_c and b_c [features] are the scale and shift of c.
    """

    w_i: Float[Array, "inputs 4*features"]
    w_h: Float[Array, "features 4*features"]
    b: Float[Array, " 4*features"]
    scale_i: Float[Array, " 4*features"]
    scale_h: Float[Array, " 4*features"]
    scale_c: Float[Array, " features"]
    b_c: Float[Array, " features"]


class LayerNormLSTMState(NamedTuple):
    """hidden and cell, each [*batch, features]; cell is at least float32."""

    hidden: Float[Array, "*batch features"]
    cell: Float[Array, "*batch features"]


@factory
def layer_norm_lstm(init: initializers.Initializer = initializers.orthogonal) -> Cell:
    """The long short-term memory with layer-normalized pre-activations and cell.

        LN(a) = (a - mean(a)) / sqrt(var(a) + 1e-5)
        i, f, g, o = split(scale_i LN(W_i x) + scale_h LN(W_h h) + b)
        c' = sigmoid(f) c + sigmoid(i) tanh(g)
        h' = sigmoid(o) tanh(scale_c LN(c') + b_c)

    Neither the gates nor their gradient with respect to h depend on the scale of W_h.
    At a state of zeros LN has its steepest slope, 1 / sqrt(1e-5) = 316, so the gradient
    of the first step is not representative of later steps.

    The mean and variance are taken over the pre-activations of all four gates together,
    as in the paper (other libraries normalize each gate separately). The paper has
    three shifts, one per LN and b; only their sum matters, so they are one parameter
    here, b.

    Args:
        init: Initializer of the parameters, from `nets.initializers`. The scales are
            initially 1.

    Returns:
        A `Cell` with `LayerNormLSTMParams` and `LayerNormLSTMState`; its output is h.

    Example:
        >>> import nets
        >>> cell = nets.layer_norm_lstm()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)))
        >>> state.cell.shape, ys.shape
        ((5, 8), (10, 5, 8))

    References:
        Ba, Kiros and Hinton 2016, Layer normalization,
        https://arxiv.org/abs/1607.06450
    """

    def init_params(key, inputs, features):
        w_i, w_h, b_i, b_h = init(key, inputs, features, "ifgo")
        scale_i, scale_h = jnp.ones_like(b_i), jnp.ones_like(b_h)
        scale_c, b_c = jnp.ones(features), jnp.zeros(features)
        return LayerNormLSTMParams(w_i, w_h, b_i + b_h, scale_i, scale_h, scale_c, b_c)

    def initial_state(params, x):
        hidden, cell = initializers.zero_states(2, x, params.w_i, params.w_h)
        return LayerNormLSTMState(hidden, wide(cell))

    def step(params, state, x, drop=lambda h: h):
        from_x, from_h = x @ params.w_i, drop(state.hidden) @ params.w_h
        dtype = jnp.result_type(from_x, from_h)
        from_x = layer_norm(wide(from_x), params.scale_i, params.b)
        from_h = layer_norm(wide(from_h), params.scale_h)
        i, f, g, o = jnp.split(from_x + from_h, 4, axis=-1)
        i = tag_gate(jax.nn.sigmoid(i), "input")
        f = tag_gate(jax.nn.sigmoid(f), "forget", retains=True)
        o = tag_gate(jax.nn.sigmoid(o), "output")
        c = f * wide(state.cell) + i * tag_candidate(jnp.tanh(g))
        c = c.astype(state.cell.dtype)
        normalized = layer_norm(wide(c), params.scale_c, params.b_c)
        h = (o * jnp.tanh(normalized)).astype(dtype)
        return LayerNormLSTMState(hidden=h, cell=c), h

    return Cell(init_params, initial_state, step, takes_drop=True)
