"""The ParaGRU: a gated recurrent unit whose recurrent weights are diagonal."""

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


class ParaGRUParams(NamedTuple):
    """w_i [inputs, 3 features], w_h [3, features], b [3 features], in order r z n."""

    w_i: Float[Array, "inputs 3*features"]
    w_h: Float[Array, "3 features"]
    b: Float[Array, " 3*features"]


class ParaGRUState(NamedTuple):
    """hidden [*batch, features], at least float32: steps accumulate in it."""

    hidden: Float[Array, "*batch features"]


@factory
def para_gru() -> Cell:
    """The ParaGRU of ParaRNN: a GRU each unit of which sees only its previous state.

        r = sigmoid(W_ir x + w_hr h + b_r)
        z = sigmoid(W_iz x + w_hz h + b_z)
        n = tanh(W_in x + w_hn (r h) + b_n)
        h' = (1 - z) h + z n,    w_h h unit by unit

    z weights the new state. The recurrence is nonlinear, but the Jacobian dh'/dh is
    diagonal. So Newton's method solves for all steps in parallel at the cost of an
    elementwise linear recurrence per iteration.

    The authors' code can split the input weights into heads. Here they are full.

    Returns:
        A `Cell` with `ParaGRUParams` and `ParaGRUState`; its output is h. As in the
        authors' code, w_h is initially normal with deviation 2 / sqrt(5 features), w_i
        is initialized as by glorot_uniform, separately for each gate, b_z falls from 0
        to -1 over the units, and other biases are 0.

    Example:
        >>> import nets
        >>> cell = para_gru()
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
        w_h = 2 / math.sqrt(5 * features) * jax.random.normal(key_h, (3, features))
        zeros = jnp.zeros(features)
        b = jnp.concatenate([zeros, -jnp.linspace(0.0, 1.0, features), zeros])
        return ParaGRUParams(jnp.concatenate(w_i, axis=-1), w_h, b)

    def initial_state(params, x):
        zeros = initializers.zero_state(x, params.w_i, params.w_h.T)
        return ParaGRUState(wide(zeros))

    def step(params, state, x, drop=lambda h: h):
        from_x = x @ params.w_i
        dtype = jnp.result_type(from_x, params.w_h)
        x_r, x_z, x_n = jnp.split(add_bias(*wide(from_x, params.b)), 3, axis=-1)
        h, w_h = wide(drop(state.hidden), params.w_h)
        r = tag_gate(jax.nn.sigmoid(x_r + scale_features(h, w_h[0])), "reset")
        z = x_z + scale_features(h, w_h[1])
        n = tag_candidate(jnp.tanh(x_n + scale_features(r * h, w_h[2])))
        keep = tag_gate(jax.nn.sigmoid(-z), "keep", retains=True)
        z = tag_gate(jax.nn.sigmoid(z), "update")
        h = (keep * wide(state.hidden) + z * n).astype(state.hidden.dtype)
        return ParaGRUState(h), h.astype(dtype)

    return Cell(init, initial_state, step, takes_drop=True)
