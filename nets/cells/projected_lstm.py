"""The long short-term memory with a projection of its hidden state."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.nn import initializers as jax_initializers
from jaxtyping import Array, Float

from nets import initializers
from nets.factories import factory
from nets.linear import add_bias, wide
from nets.tracing.tags import tag_candidate, tag_gate
from nets.types import Cell


class ProjectedLSTMParams(NamedTuple):
    """w_i [inputs, 4 features], w_h [projection, 4 features], b; gate order i f g o.

    w_p [features, projection] projects to the hidden state.
    """

    w_i: Float[Array, "inputs 4*features"]
    w_h: Float[Array, "projection 4*features"]
    b: Float[Array, " 4*features"]
    w_p: Float[Array, "features projection"]


class ProjectedLSTMState(NamedTuple):
    """hidden [*batch, projection]; cell [*batch, features], at least float32."""

    hidden: Float[Array, "*batch projection"]
    cell: Float[Array, "*batch features"]


@factory
def projected_lstm(
    projection: int | None = None,
    init: initializers.Initializer = initializers.orthogonal,
) -> Cell:
    """The long short-term memory with a linear projection of its hidden state.

        i, f, g, o = split(W_i x + W_h h + b)
        c' = sigmoid(f) c + sigmoid(i) tanh(g)
        h' = W_p (sigmoid(o) tanh(c'))

    It has a large memory with few weights. The gradient through h passes a bottleneck
    of rank `projection`; the path along c keeps its full width. It corresponds to
    PyTorch's `proj_size`.

    Args:
        projection: Number of features of h and of the output. Default: half of the
            features, rounded down, and at least 1.
        init: Initializer of the parameters, from `nets.initializers`, except W_p, which
            is initially normal with variance 1 / features (lecun_normal). In PyTorch,
            W_p is uniform within 1 / sqrt(features) of 0.

    Returns:
        A `Cell` with `ProjectedLSTMParams` and `ProjectedLSTMState`; its output is h.

    Raises:
        ValueError: `projection` is less than 1.

    Example:
        >>> import nets
        >>> cell = nets.projected_lstm(projection=2)
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)))
        >>> state.cell.shape, ys.shape
        ((5, 8), (10, 5, 2))

    References:
        Sak, Senior and Beaufays 2014, Long short-term memory based recurrent neural
        network architectures for large vocabulary speech recognition,
        https://arxiv.org/abs/1402.1128
    """
    if projection is not None and projection < 1:
        raise ValueError(f"expected a projection of at least 1 unit; got {projection}")

    def init_params(key, inputs, features):
        key, key_p = jax.random.split(key)
        hidden = projection or max(1, features // 2)
        w_i, w_h, b_i, b_h = init(key, inputs, features, "ifgo", hidden=hidden)
        w_p = jax_initializers.lecun_normal()(key_p, (features, hidden))
        return ProjectedLSTMParams(w_i, w_h, b=b_i + b_h, w_p=w_p)

    def initial_state(params, x):
        hidden = initializers.zero_state(x, params.w_i, params.w_h)
        cell = initializers.zero_state(x, params.w_i, params.w_p)
        return ProjectedLSTMState(hidden, wide(cell))

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
        h = (o * jnp.tanh(wide(c))).astype(read.dtype) @ params.w_p
        return ProjectedLSTMState(hidden=h, cell=c), h

    return Cell(init_params, initial_state, step, takes_drop=True)
