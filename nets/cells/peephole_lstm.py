"""The long short-term memory with peepholes, through which the gates read the cell."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets import initializers
from nets.factories import factory
from nets.linear import add_bias, scale_features, wide
from nets.tracing.tags import tag_candidate, tag_gate
from nets.types import Cell


class PeepholeLSTMParams(NamedTuple):
    """Parameters of `lstm`, gate order i f g o, and p_i, p_f, p_o, each [features]."""

    w_i: Float[Array, "inputs 4*features"]
    w_h: Float[Array, "features 4*features"]
    b: Float[Array, " 4*features"]
    p_i: Float[Array, " features"]
    p_f: Float[Array, " features"]
    p_o: Float[Array, " features"]


class PeepholeLSTMState(NamedTuple):
    """hidden and cell, each [*batch, features]; cell is at least float32."""

    hidden: Float[Array, "*batch features"]
    cell: Float[Array, "*batch features"]


@factory
def peephole_lstm(init: initializers.Initializer = initializers.orthogonal) -> Cell:
    """The long short-term memory with peepholes, through which the gates read the cell.

        i, f, g, o = split(W_i x + W_h h + b)
        c' = sigmoid(f + p_f c) c + sigmoid(i + p_i c) tanh(g)
        h' = sigmoid(o + p_o c') tanh(c')

    A closed output gate no longer hides c from the other gates. The Jacobian along c is
    still diagonal, but it is no longer the forget gate alone: the dependence of the
    gates on c adds to it. Each p is a vector (a diagonal matrix) and is initially 0, as
    in an LSTM without peepholes.

    Args:
        init: Initializer of the parameters, from `nets.initializers`.

    Returns:
        A `Cell` with `PeepholeLSTMParams` and `PeepholeLSTMState`; its output is h.

    Example:
        >>> import nets
        >>> cell = nets.peephole_lstm()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)))
        >>> params.p_o.shape, ys.shape
        ((8,), (10, 5, 8))

    References:
        Gers, Schraudolph and Schmidhuber 2002, Learning precise timing with LSTM
        recurrent networks, https://www.jmlr.org/papers/v3/gers02a.html
        Graves 2013, Generating sequences with recurrent neural networks,
        https://arxiv.org/abs/1308.0850
    """

    def init_params(key, inputs, features):
        w_i, w_h, b_i, b_h = init(key, inputs, features, "ifgo")
        peepholes = (jnp.zeros(features) for _ in "ifo")
        return PeepholeLSTMParams(w_i, w_h, b_i + b_h, *peepholes)

    def initial_state(params, x):
        hidden, cell = initializers.zero_states(2, x, params.w_i, params.w_h)
        return PeepholeLSTMState(hidden, wide(cell))

    def step(params, state, x, drop=lambda h: h):
        h, c = drop(state.hidden), wide(state.cell)
        read = x @ params.w_i + h @ params.w_h
        gates = add_bias(*wide(read, params.b))
        i, f, g, o = jnp.split(gates, 4, axis=-1)
        i = tag_gate(jax.nn.sigmoid(i + scale_features(*wide(c, params.p_i))), "input")
        f = tag_gate(
            jax.nn.sigmoid(f + scale_features(*wide(c, params.p_f))),
            "forget",
            retains=True,
        )
        c = (f * c + i * tag_candidate(jnp.tanh(g))).astype(state.cell.dtype)
        o = tag_gate(jax.nn.sigmoid(o + scale_features(*wide(c, params.p_o))), "output")
        h = (o * jnp.tanh(wide(c))).astype(read.dtype)
        return PeepholeLSTMState(hidden=h, cell=c), h

    return Cell(init_params, initial_state, step, takes_drop=True)
