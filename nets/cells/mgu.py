"""The minimal gated unit."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets import initializers
from nets.factories import factory
from nets.linear import add_bias, wide
from nets.tracing.tags import tag_candidate, tag_gate
from nets.types import Cell


class MGUParams(NamedTuple):
    """w_i [inputs, 2 features], w_h [features, 2 features], b; gate order f n.

    b_hn [features] is n's second bias, which the gate scales. It is None without a
    reset gate, where b_hn would duplicate b.
    """

    w_i: Float[Array, "inputs 2*features"]
    w_h: Float[Array, "features 2*features"]
    b: Float[Array, " 2*features"]
    b_hn: Float[Array, " features"] | None


class MGUState(NamedTuple):
    """hidden [*batch, features], at least float32: steps accumulate in it."""

    hidden: Float[Array, "*batch features"]


@factory
def mgu(
    reset_gate: bool = True,
    init: initializers.Initializer = initializers.orthogonal,
) -> Cell:
    """The minimal gated unit: a gated recurrent unit with a single gate.

        f = sigmoid(W_if x + W_hf h + b_f)
        n = tanh(W_in x + b_n + f (W_hn h + b_hn))       if reset_gate
        n = tanh(W_in x + b_n + W_hn h)                  otherwise
        h' = (1 - f) n + f h

    Where f is 1, the gradient passes unchanged. Where f is 0, it stops, because f then
    also hides h from n. f weights the old state and acts after the product with W_hn,
    as in Linen. In the paper f weights the new state, h' = (1 - f) h + f n, and acts
    before the product, W_hn (f h).

    Args:
        reset_gate: Whether f also scales h in n; the name is Linen's.
        init: Initializer of the parameters, from `nets.initializers`.

    Returns:
        A `Cell` with `MGUParams` and `MGUState`.

    Example:
        >>> import nets
        >>> cell = nets.mgu()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)))
        >>> ys.shape
        (10, 5, 8)

    References:
        Zhou, Wu, Zhang and Zhou 2016, Minimal gated unit for recurrent neural networks,
        https://arxiv.org/abs/1603.09420
    """

    def init_params(key, inputs, features):
        w_i, w_h, b_i, b_h = init(key, inputs, features, "fn")
        if not reset_gate:
            return MGUParams(w_i, w_h, b_i + b_h, b_hn=None)
        b_hf, b_hn = jnp.split(b_h, 2)
        b = b_i + jnp.concatenate([b_hf, jnp.zeros(features)])
        return MGUParams(w_i, w_h, b, b_hn)

    def initial_state(params, x):
        if (params.b_hn is not None) != reset_gate:
            raise ValueError(
                f"expected parameters of mgu(reset_gate={reset_gate}); got those of "
                f"reset_gate={not reset_gate}: only reset_gate=True has b_hn"
            )
        return MGUState(wide(initializers.zero_state(x, params.w_i, params.w_h)))

    def step(params, state, x, drop=lambda h: h):
        from_x = x @ params.w_i
        from_h = drop(state.hidden).astype(from_x.dtype) @ params.w_h
        x_f, x_n = jnp.split(add_bias(*wide(from_x, params.b)), 2, axis=-1)
        h_f, h_n = jnp.split(wide(from_h), 2, axis=-1)
        f = tag_gate(jax.nn.sigmoid(x_f + h_f), "forget", retains=True)
        h_n = f * add_bias(*wide(h_n, params.b_hn)) if reset_gate else h_n
        n = tag_candidate(jnp.tanh(x_n + h_n))
        h = ((1 - f) * n + f * wide(state.hidden)).astype(state.hidden.dtype)
        return MGUState(h), h.astype(from_h.dtype)

    return Cell(init_params, initial_state, step, takes_drop=True)
