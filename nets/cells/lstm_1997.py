"""The original long short-term memory, without a forget gate."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets import initializers
from nets.factories import factory
from nets.linear import add_bias, wide
from nets.tracing.tags import tag_candidate, tag_gate
from nets.types import Cell


class LSTM1997Params(NamedTuple):
    """w_i [inputs, 3 features], w_h [features, 3 features], b; gate order i g o."""

    w_i: Float[Array, "inputs 3*features"]
    w_h: Float[Array, "features 3*features"]
    b: Float[Array, " 3*features"]


class LSTM1997State(NamedTuple):
    """hidden and cell, each [*batch, features]; cell is at least float32."""

    hidden: Float[Array, "*batch features"]
    cell: Float[Array, "*batch features"]


@factory
def lstm_1997(init: initializers.Initializer = initializers.orthogonal) -> Cell:
    """The original long short-term memory, without a forget gate.

        i, g, o = split(W_i x + W_h h + b)
        c' = c + sigmoid(i) tanh(g)
        h' = sigmoid(o) tanh(c')

    The constant error carousel: along c the gradient is multiplied by exactly 1, over
    any number of steps. In return, c only accumulates, until tanh(c) saturates. The
    paper squashes g to [-2, 2] and c to [-1, 1] by scaled logistic functions, and
    truncates the gradient where it leaves the cell through the gates. Here both
    squashing functions are tanh, as is usual today, and the gradient is not truncated.

    Args:
        init: Initializer of the parameters, from `nets.initializers`.

    Returns:
        A `Cell` with `LSTM1997Params` and `LSTM1997State`; its output is h.

    Example:
        >>> import nets
        >>> cell = nets.lstm_1997()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)))
        >>> state.cell.shape, ys.shape
        ((5, 8), (10, 5, 8))

    References:
        Hochreiter and Schmidhuber 1997, Long short-term memory,
        https://doi.org/10.1162/neco.1997.9.8.1735
    """

    def init_params(key, inputs, features):
        w_i, w_h, b_i, b_h = init(key, inputs, features, "igo")
        return LSTM1997Params(w_i, w_h, b=b_i + b_h)

    def initial_state(params, x):
        hidden, cell = initializers.zero_states(2, x, params.w_i, params.w_h)
        return LSTM1997State(hidden, wide(cell))

    def step(params, state, x, drop=lambda h: h):
        h = drop(state.hidden)
        read = x @ params.w_i + h @ params.w_h
        gates = add_bias(*wide(read, params.b))
        i, g, o = jnp.split(gates, 3, axis=-1)
        i = tag_gate(jax.nn.sigmoid(i), "input")
        o = tag_gate(jax.nn.sigmoid(o), "output")
        c = wide(state.cell) + i * tag_candidate(jnp.tanh(g))
        c = c.astype(state.cell.dtype)
        h = (o * jnp.tanh(wide(c))).astype(read.dtype)
        return LSTM1997State(hidden=h, cell=c), h

    return Cell(init_params, initial_state, step, takes_drop=True)
