"""The long short-term memory."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets import initializers
from nets.factories import factory
from nets.linear import add_bias, wide
from nets.tracing.tags import tag_candidate, tag_gate
from nets.types import Cell


class LSTMParams(NamedTuple):
    """w_i [inputs, 4 features], w_h [features, 4 features], b; gate order i f g o."""

    w_i: Float[Array, "inputs 4*features"]
    w_h: Float[Array, "features 4*features"]
    b: Float[Array, " 4*features"]


class LSTMState(NamedTuple):
    """hidden and cell, each [*batch, features]; cell is at least float32."""

    hidden: Float[Array, "*batch features"]
    cell: Float[Array, "*batch features"]


@factory
def lstm(
    forget_bias: float | None = None,
    init: initializers.Initializer = initializers.orthogonal,
) -> Cell:
    """The long short-term memory, with a forget gate and without peepholes.

        i, f, g, o = split(W_i x + W_h h + b)
        c' = sigmoid(f) c + sigmoid(i) tanh(g)
        h' = sigmoid(o) tanh(c')

    Along c the gradient is multiplied by the forget gate only, not by W_h.

    Args:
        forget_bias: Initial value of f's bias. Default: that of the initializer, which
            is 1 for `orthogonal`, as Jozefowicz et al. recommend, so that the gate is
            initially near sigmoid(1) = 0.73. It is an initial value within `b`, not
            added at each step.
        init: Initializer of the parameters, from `nets.initializers`.

    Returns:
        A `Cell` with `LSTMParams` and `LSTMState`; its output is h.

    Example:
        >>> import nets
        >>> cell = nets.lstm()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)))
        >>> state.cell.shape, ys.shape
        ((5, 8), (10, 5, 8))

    References:
        Hochreiter and Schmidhuber 1997, Long short-term memory, Neural Computation,
        https://doi.org/10.1162/neco.1997.9.8.1735
        Gers, Schmidhuber and Cummins 2000, Learning to forget: continual prediction
        with LSTM, Neural Computation.
        Jozefowicz, Zaremba and Sutskever 2015, An empirical exploration of recurrent
        network architectures, ICML.
    """

    def init_params(key, inputs, features):
        w_i, w_h, b_i, b_h = init(key, inputs, features, "ifgo")
        b = b_i + b_h
        if forget_bias is not None:
            b = initializers.set_gate(b, "ifgo", "f", forget_bias)
        return LSTMParams(w_i, w_h, b)

    def initial_state(params, x):
        hidden, cell = initializers.zero_states(2, x, params.w_i, params.w_h)
        return LSTMState(hidden, wide(cell))

    def step(params, state, x, drop=lambda h: h):
        h = drop(state.hidden)
        read = x @ params.w_i + h @ params.w_h
        gates = add_bias(*wide(read, params.b))
        i, f, g, o = jnp.split(gates, 4, axis=-1)
        i = tag_gate(jax.nn.sigmoid(i), "input")
        f = tag_gate(jax.nn.sigmoid(f), "forget", retains=True)
        o = tag_gate(jax.nn.sigmoid(o), "output")
        c = f * wide(state.cell) + i * tag_candidate(jnp.tanh(g))
        c = c.astype(state.cell.dtype)
        h = (o * jnp.tanh(wide(c))).astype(read.dtype)
        return LSTMState(hidden=h, cell=c), h

    return Cell(init_params, initial_state, step, takes_drop=True)
