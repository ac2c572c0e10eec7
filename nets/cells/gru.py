"""The gated recurrent unit."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets import initializers
from nets.linear import add_bias, wide
from nets.marks import candidate, gate
from nets.types import Cell, factory, whole


class GRUParams(NamedTuple):
    """w_i [inputs, 3 features], w_h [features, 3 features], b; gates in order r z n.

    b_hn [features] is n's second bias, inside the reset gate's reach; None in the form
    that resets before the product, where it would be b's twin.
    """

    w_i: Float[Array, "inputs 3*features"]
    w_h: Float[Array, "features 3*features"]
    b: Float[Array, " 3*features"]
    b_hn: Float[Array, " features"] | None


class GRUState(NamedTuple):
    """hidden [*batch, features], float32 at the least: steps add to it."""

    hidden: Float[Array, "*batch features"]


@factory
def gru(
    reset_after: bool = True,
    scheme: initializers.Scheme = initializers.orthogonal,
) -> Cell:
    """The gated recurrent unit: two gates, and no state but its output.

        r, z = sigmoid(W_i x + W_h h + b), each with its own rows
        n = tanh(W_in x + b_n + r (W_hn h + b_hn))       if reset_after
        n = tanh(W_in x + b_n + W_hn (r h))              otherwise
        h' = (1 - z) n + z h

    z keeps the old state, as in PyTorch, Keras and Linen (in the paper and in Haiku it
    admits the new one).

    Args:
        reset_after: Whether r acts after the product with W_hn, as in PyTorch, cuDNN
            and Linen, or before it, as in the paper.
        scheme: How the parameters start, of `nets.initializers`.

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

    def init(key, inputs, features):
        w_i, w_h, b_i, b_h = scheme(key, inputs, features, "rzn")
        if not reset_after:
            return GRUParams(w_i, w_h, b_i + b_h, b_hn=None)
        b_hr, b_hz, b_hn = jnp.split(b_h, 3)
        b = b_i + jnp.concatenate([b_hr, b_hz, jnp.zeros(features)])
        return GRUParams(w_i, w_h, b, b_hn)

    def initial_state(params, x):
        check_form("gru", params, reset_after)
        return GRUState(wide(initializers.zero_state(x, params.w_i, params.w_h)))

    def step_reset_after(params, state, x, drop=whole):
        from_x = x @ params.w_i
        from_h = drop(state.hidden).astype(from_x.dtype) @ params.w_h
        gates, h_gates, h = wide(from_x, from_h, state.hidden)
        gates = add_bias(*wide(gates, params.b))
        x_r, x_z, x_n = jnp.split(gates, 3, axis=-1)
        h_r, h_z, h_n = jnp.split(h_gates, 3, axis=-1)
        r = gate(jax.nn.sigmoid(x_r + h_r), "reset")
        z = gate(jax.nn.sigmoid(x_z + h_z), "update", keeps=True)
        n = candidate(jnp.tanh(x_n + r * add_bias(*wide(h_n, params.b_hn))))
        h = ((1 - z) * n + z * h).astype(state.hidden.dtype)
        return GRUState(h), h.astype(from_h.dtype)

    def step_reset_before(params, state, x, drop=whole):
        from_x, seen = x @ params.w_i, drop(state.hidden)
        w_hr, w_hz, w_hn = jnp.split(params.w_h, 3, axis=-1)
        x_r, x_z, x_n = jnp.split(add_bias(*wide(from_x, params.b)), 3, axis=-1)
        read = seen.astype(from_x.dtype)
        r = gate(jax.nn.sigmoid(x_r + wide(read @ w_hr)), "reset")
        z = gate(jax.nn.sigmoid(x_z + wide(read @ w_hz)), "update", keeps=True)
        from_h = (r * wide(seen)).astype(from_x.dtype) @ w_hn
        n = candidate(jnp.tanh(x_n + wide(from_h)))
        h = ((1 - z) * n + z * wide(state.hidden)).astype(state.hidden.dtype)
        return GRUState(h), h.astype(from_h.dtype)

    step = step_reset_after if reset_after else step_reset_before
    return Cell(init, initial_state, step)


def check_form(name: str, params: Any, reset_after: bool) -> None:
    """Refuse parameters of the other form of a cell, a `gru` or a `conv_gru`."""
    if (params.b_hn is not None) != reset_after:
        raise ValueError(
            f"expected parameters of {name}(reset_after={reset_after}); got those of "
            "the other form: only reset_after=True has b_hn"
        )
