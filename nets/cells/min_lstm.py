"""The minimal long short-term memory (minLSTM), which runs in parallel over time."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.nn.initializers import lecun_normal
from jaxtyping import Array, Float

from nets import initializers
from nets.factories import factory
from nets.linear import add_bias, wide
from nets.linear_recurrence import linear_cell
from nets.tracing.tags import tag_candidate, tag_gate
from nets.types import Cell


class MinLSTMParams(NamedTuple):
    """w_i [inputs, 3 features] and b, in order i f n."""

    w_i: Float[Array, "inputs 3*features"]
    b: Float[Array, " 3*features"]


class MinLSTMState(NamedTuple):
    """hidden [*batch, features], at least float32: steps accumulate in it."""

    hidden: Float[Array, "*batch features"]


@factory
def min_lstm(forget_bias: float = 1.0) -> Cell:
    """The minimal LSTM (minLSTM): its gates read only the input, and sum to 1.

        i = sigmoid(W_i x + b_i)
        f = sigmoid(W_f x + b_f)
        n = W_n x + b_n
        h' = f / (f + i) h + i / (f + i) n

    dh_T/dh_0 is the product of the f / (f + i): it can vanish but never grow. The
    division by f + i makes the state an average of the n for sequences of any length.

    The paper also has a form computed in log space, which keeps h positive and has a
    different activation of n. This is the plain form.

    Args:
        forget_bias: Initial value of b_f. The paper finds that training benefits from a
            large value.

    Returns:
        A `Cell` with `MinLSTMParams` and `MinLSTMState`; its output is h. It runs in
        parallel over time. Weights are initialized by lecun_normal and the other biases
        with zeros, because no matrix is recurrent.

    Example:
        >>> import nets
        >>> cell = min_lstm(forget_bias=3.0)
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)), parallel=True)
        >>> ys.shape
        (10, 5, 8)

    References:
        Feng et al. 2024, Were RNNs all we needed?, https://arxiv.org/abs/2410.01201
    """

    def init(key, inputs, features):
        w_i = lecun_normal()(key, (inputs, 3 * features))
        zeros = jnp.zeros(3 * features)
        b = initializers.set_gate(zeros, "ifn", "f", forget_bias)
        return MinLSTMParams(w_i, b)

    def initial_state(params, x):
        like = params.b.reshape(3, -1).T
        return MinLSTMState(wide(initializers.zero_state(x, params.w_i, like)))

    def coefficients(params, state, xs):
        gates = add_bias(*wide(xs @ params.w_i, params.b))
        i, f, n = jnp.split(gates, 3, axis=-1)
        # f / (f + i) = sigmoid(log f - log i), which is never 0 / 0.
        kept = jax.nn.log_sigmoid(f) - jax.nn.log_sigmoid(i)
        i = tag_gate(jax.nn.sigmoid(-kept), "input")
        f = tag_gate(jax.nn.sigmoid(kept), "forget", retains=True)
        return MinLSTMState(f), MinLSTMState(i * tag_candidate(n))

    def read(params, state, x):
        return state.hidden.astype(jnp.result_type(x, *params))

    return linear_cell(init, initial_state, coefficients, read)
