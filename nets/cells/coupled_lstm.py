"""The long short-term memory with coupled input and forget gates."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets import initializers
from nets.factories import factory
from nets.linear import add_bias, wide
from nets.tracing.tags import tag_candidate, tag_gate
from nets.types import Cell


class CoupledLSTMParams(NamedTuple):
    """w_i [inputs, 3 features], w_h [features, 3 features], b; gate order f g o."""

    w_i: Float[Array, "inputs 3*features"]
    w_h: Float[Array, "features 3*features"]
    b: Float[Array, " 3*features"]


class CoupledLSTMState(NamedTuple):
    """hidden and cell, each [*batch, features]; cell is at least float32."""

    hidden: Float[Array, "*batch features"]
    cell: Float[Array, "*batch features"]


@factory
def coupled_lstm(init: initializers.Initializer = initializers.orthogonal) -> Cell:
    """The long short-term memory with coupled input and forget gates (CIFG).

        f, g, o = split(W_i x + W_h h + b)
        c' = sigmoid(f) c + (1 - sigmoid(f)) tanh(g)
        h' = sigmoid(o) tanh(c')

    c is a moving average of tanh(g), so it stays within [-1, 1], where tanh is steep.
    But the gradient along c is preserved only where nothing is written, as in a GRU.

    Args:
        init: Initializer of the parameters, from `nets.initializers`.

    Returns:
        A `Cell` with `CoupledLSTMParams` and `CoupledLSTMState`; its output is h.

    Example:
        >>> import nets
        >>> cell = nets.coupled_lstm()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)))
        >>> state.cell.shape, ys.shape
        ((5, 8), (10, 5, 8))

    References:
        Greff et al. 2017, LSTM: a search space odyssey,
        https://arxiv.org/abs/1503.04069
    """

    def init_params(key, inputs, features):
        w_i, w_h, b_i, b_h = init(key, inputs, features, "fgo")
        return CoupledLSTMParams(w_i, w_h, b=b_i + b_h)

    def initial_state(params, x):
        hidden, cell = initializers.zero_states(2, x, params.w_i, params.w_h)
        return CoupledLSTMState(hidden, wide(cell))

    def step(params, state, x, drop=lambda h: h):
        h = drop(state.hidden)
        read = x @ params.w_i + h @ params.w_h
        gates = add_bias(*wide(read, params.b))
        f, g, o = jnp.split(gates, 3, axis=-1)
        # sigmoid(-f) is 1 - sigmoid(f), without the loss of digits for large f.
        i = tag_gate(jax.nn.sigmoid(-f), "input")
        f = tag_gate(jax.nn.sigmoid(f), "forget", retains=True)
        o = tag_gate(jax.nn.sigmoid(o), "output")
        c = f * wide(state.cell) + i * tag_candidate(jnp.tanh(g))
        c = c.astype(state.cell.dtype)
        h = (o * jnp.tanh(wide(c))).astype(read.dtype)
        return CoupledLSTMState(hidden=h, cell=c), h

    return Cell(init_params, initial_state, step, takes_drop=True)
