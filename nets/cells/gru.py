"""The gated recurrent unit."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets import initializers
from nets.factories import factory
from nets.linear import add_bias, wide
from nets.tracing.tags import tag_candidate, tag_gate
from nets.types import Cell


class GRUParams(NamedTuple):
    """w_i [inputs, 3 features], w_h [features, 3 features], b; gate order r z n.

    b_hn [features] is n's second bias, which the reset gate scales. It is None if the
    reset gate acts before the product, where b_hn would duplicate b.
    """

    w_i: Float[Array, "inputs 3*features"]
    w_h: Float[Array, "features 3*features"]
    b: Float[Array, " 3*features"]
    b_hn: Float[Array, " features"] | None


class GRUState(NamedTuple):
    """hidden [*batch, features], at least float32: steps accumulate in it."""

    hidden: Float[Array, "*batch features"]


@factory
def gru(
    reset_after: bool = True,
    init: initializers.Initializer = initializers.orthogonal,
) -> Cell:
    """The gated recurrent unit: two gates; its only state is its output.

        r, z = sigmoid(W_i x + W_h h + b), each with its own rows
        n = tanh(W_in x + b_n + r (W_hn h + b_hn))       if reset_after
        n = tanh(W_in x + b_n + W_hn (r h))              otherwise
        h' = (1 - z) n + z h

    z weights the old state, as in PyTorch, Keras and Linen (in the paper and in Haiku
    it weights the new state).

    Args:
        reset_after: Whether r acts after the product with W_hn, as in PyTorch, cuDNN
            and Linen; otherwise r acts before it, as in the paper.
        init: Initializer of the parameters, from `nets.initializers`.

    Returns:
        A `Cell` with `GRUParams` and `GRUState`.

    Example:
        >>> import nets
        >>> cell = nets.gru(reset_after=False)
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)))
        >>> ys.shape
        (10, 5, 8)

    References:
        Cho et al. 2014, Learning phrase representations using RNN encoder-decoder for
        statistical machine translation, https://arxiv.org/abs/1406.1078
    """

    def init_params(key, inputs, features):
        w_i, w_h, b_i, b_h = init(key, inputs, features, "rzn")
        if not reset_after:
            return GRUParams(w_i, w_h, b_i + b_h, b_hn=None)
        b_hr, b_hz, b_hn = jnp.split(b_h, 3)
        b = b_i + jnp.concatenate([b_hr, b_hz, jnp.zeros(features)])
        return GRUParams(w_i, w_h, b, b_hn)

    def initial_state(params, x):
        check_form("gru", params, reset_after)
        return GRUState(wide(initializers.zero_state(x, params.w_i, params.w_h)))

    def step_reset_after(params, state, x, drop=lambda h: h):
        from_x = x @ params.w_i
        from_h = drop(state.hidden).astype(from_x.dtype) @ params.w_h
        gates, h_gates, h = wide(from_x, from_h, state.hidden)
        gates = add_bias(*wide(gates, params.b))
        x_r, x_z, x_n = jnp.split(gates, 3, axis=-1)
        h_r, h_z, h_n = jnp.split(h_gates, 3, axis=-1)
        r = tag_gate(jax.nn.sigmoid(x_r + h_r), "reset")
        z = tag_gate(jax.nn.sigmoid(x_z + h_z), "update", retains=True)
        n = tag_candidate(jnp.tanh(x_n + r * add_bias(*wide(h_n, params.b_hn))))
        h = ((1 - z) * n + z * h).astype(state.hidden.dtype)
        return GRUState(h), h.astype(from_h.dtype)

    def step_reset_before(params, state, x, drop=lambda h: h):
        from_x, h_in = x @ params.w_i, drop(state.hidden)
        w_hg, w_hn = jnp.split(params.w_h, [2 * h_in.shape[-1]], axis=-1)
        x_r, x_z, x_n = jnp.split(add_bias(*wide(from_x, params.b)), 3, axis=-1)
        read = h_in.astype(from_x.dtype)
        h_r, h_z = jnp.split(wide(read @ w_hg), 2, axis=-1)
        r = tag_gate(jax.nn.sigmoid(x_r + h_r), "reset")
        z = tag_gate(jax.nn.sigmoid(x_z + h_z), "update", retains=True)
        from_h = (r * wide(h_in)).astype(from_x.dtype) @ w_hn
        n = tag_candidate(jnp.tanh(x_n + wide(from_h)))
        h = ((1 - z) * n + z * wide(state.hidden)).astype(state.hidden.dtype)
        return GRUState(h), h.astype(from_h.dtype)

    step = step_reset_after if reset_after else step_reset_before
    return Cell(init_params, initial_state, step, takes_drop=True)


def check_form(name: str, params: Any, reset_after: bool) -> None:
    """Check that the parameters of a `gru` or `conv_gru` match `reset_after`."""
    if (params.b_hn is not None) != reset_after:
        raise ValueError(
            f"expected parameters of {name}(reset_after={reset_after}); got those of "
            f"reset_after={not reset_after}: only reset_after=True has b_hn"
        )
