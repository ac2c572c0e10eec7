"""The minimal gated recurrent unit (minGRU), which runs in parallel over time."""

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


class MinGRUParams(NamedTuple):
    """w_i [inputs, 2 features] and b, in order z n."""

    w_i: Float[Array, "inputs 2*features"]
    b: Float[Array, " 2*features"]


class MinGRUState(NamedTuple):
    """hidden [*batch, features], at least float32: steps accumulate in it."""

    hidden: Float[Array, "*batch features"]


@factory
def min_gru() -> Cell:
    """The minimal gated recurrent unit (minGRU), whose gate reads only the input.

        z = sigmoid(W_z x + b_z)
        n = W_n x + b_n
        h' = (1 - z) h + z n

    z weights the new state. No weight reads h, so the gradient dh_T/dh_0 is the product
    of the 1 - z: it can vanish but never grow.

    The paper also has a form computed in log space, which keeps h positive and has a
    different activation of n. This is the plain form. It needs no logarithms here,
    because nothing is divided by a product of gates.

    Returns:
        A `Cell` with `MinGRUParams` and `MinGRUState`; its output is h. It runs in
        parallel over time. Weights are initialized by lecun_normal and biases with
        zeros, because no matrix is recurrent.

    Example:
        >>> import nets
        >>> cell = min_gru()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)), parallel=True)
        >>> ys.shape
        (10, 5, 8)

    References:
        Feng et al. 2024, Were RNNs all we needed?, https://arxiv.org/abs/2410.01201
    """

    def init(key, inputs, features):
        w_i = lecun_normal()(key, (inputs, 2 * features))
        return MinGRUParams(w_i, b=jnp.zeros(2 * features))

    def initial_state(params, x):
        like = params.b.reshape(2, -1).T
        return MinGRUState(wide(initializers.zero_state(x, params.w_i, like)))

    def coefficients(params, state, xs):
        both = add_bias(*wide(xs @ params.w_i, params.b))
        z, n = jnp.split(both, 2, axis=-1)
        keep = tag_gate(jax.nn.sigmoid(-z), "keep", retains=True)
        z = tag_gate(jax.nn.sigmoid(z), "update")
        return MinGRUState(keep), MinGRUState(z * tag_candidate(n))

    def read(params, state, x):
        return state.hidden.astype(jnp.result_type(x, *params))

    return linear_cell(init, initial_state, coefficients, read)
