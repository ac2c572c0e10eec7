"""The ParaLSTM: a long short-term memory whose recurrent weights are diagonal."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.nn.initializers import glorot_uniform
from jaxtyping import Array, Float

from nets import initializers
from nets.factories import factory
from nets.linear import add_bias, scale_features, wide
from nets.tracing.tags import tag_candidate, tag_gate
from nets.types import Cell


class ParaLSTMParams(NamedTuple):
    """w_i [inputs, 3 features], w_h [3, features] and b [3 features], in order f g o.

    p_f and p_o [features] are the weights of the peepholes.
    """

    w_i: Float[Array, "inputs 3*features"]
    w_h: Float[Array, "3 features"]
    b: Float[Array, " 3*features"]
    p_f: Float[Array, " features"]
    p_o: Float[Array, " features"]


class ParaLSTMState(NamedTuple):
    """hidden and cell, each [*batch, features]; cell is at least float32."""

    hidden: Float[Array, "*batch features"]
    cell: Float[Array, "*batch features"]


@factory
def para_lstm() -> Cell:
    """The ParaLSTM of ParaRNN: an LSTM each unit of which sees only its own h and c.

        f, g, o = split(W_i x + w_h h + b),    w_h h unit by unit
        f = sigmoid(f + p_f c)
        c' = f c + (1 - f) tanh(g)
        h' = sigmoid(o + p_o c') tanh(c')

    Input and forget gate are coupled, and the gates read c through peepholes. The
    recurrence is nonlinear, but the Jacobian of (h, c) has one block of 2 x 2 per unit.
    So Newton's method solves for all steps in parallel at the cost of a linear
    recurrence of such blocks per iteration.

    The authors' code can split the input weights into heads. Here they are full.

    Returns:
        A `Cell` with `ParaLSTMParams` and `ParaLSTMState`; its output is h. As in the
        authors' code, w_h, p_f and p_o are initially normal with deviation
        2 / sqrt(5 features), w_i is initialized as by glorot_uniform, separately for
        each gate, b_f falls from 0 to -1 over the units, and other biases are 0.

    Example:
        >>> import nets
        >>> cell = para_lstm()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)))
        >>> params.w_h.shape, ys.shape
        ((3, 8), (10, 5, 8))

    References:
        Danieli et al. 2025, ParaRNN: unlocking parallel training of nonlinear RNNs for
        large language models, https://arxiv.org/abs/2510.21450
    """

    def init(key, inputs, features):
        key_h, *keys = jax.random.split(key, 4)
        w_i = [glorot_uniform()(k, (inputs, features)) for k in keys]
        w_h = 2 / math.sqrt(5 * features) * jax.random.normal(key_h, (5, features))
        zeros = jnp.zeros(features)
        return ParaLSTMParams(
            w_i=jnp.concatenate(w_i, axis=-1),
            w_h=w_h[:3],
            b=jnp.concatenate([-jnp.linspace(0.0, 1.0, features), zeros, zeros]),
            p_f=w_h[3],
            p_o=w_h[4],
        )

    def initial_state(params, x):
        hidden, cell = initializers.zero_states(2, x, params.w_i, params.w_h.T)
        return ParaLSTMState(hidden, wide(cell))

    def step(params, state, x, drop=lambda h: h):
        from_x = x @ params.w_i
        dtype = jnp.result_type(from_x, params.w_h)
        x_f, x_g, x_o = jnp.split(add_bias(*wide(from_x, params.b)), 3, axis=-1)
        h, c, w_h = wide(drop(state.hidden), state.cell, params.w_h)
        p_f, p_o = wide(params.p_f, params.p_o)
        f = x_f + scale_features(h, w_h[0]) + scale_features(c, p_f)
        f = tag_gate(jax.nn.sigmoid(f), "forget", retains=True)
        g = tag_candidate(jnp.tanh(x_g + scale_features(h, w_h[1])))
        c = (f * c + (1 - f) * g).astype(state.cell.dtype)
        o = x_o + scale_features(h, w_h[2]) + scale_features(wide(c), p_o)
        o = tag_gate(jax.nn.sigmoid(o), "output")
        h = (o * jnp.tanh(wide(c))).astype(dtype)
        return ParaLSTMState(hidden=h, cell=c), h

    return Cell(init, initial_state, step, takes_drop=True)
