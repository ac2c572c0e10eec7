"""The stackable recurrent cell, STAR."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets import initializers
from nets.factories import factory
from nets.linear import add_bias, wide
from nets.tracing.tags import tag_candidate, tag_gate
from nets.types import Cell


class STARParams(NamedTuple):
    """w_i [inputs, 2 features] and b, order k z; w_h [features, features] is k's."""

    w_i: Float[Array, "inputs 2*features"]
    w_h: Float[Array, "features features"]
    b: Float[Array, " 2*features"]


class STARState(NamedTuple):
    """hidden [*batch, features], at least float32: steps accumulate in it."""

    hidden: Float[Array, "*batch features"]


@factory
def star(init: initializers.Initializer = initializers.orthogonal) -> Cell:
    """The stackable recurrent cell, designed to pass gradients through deep stacks.

        k = sigmoid(W_ik x + W_h h + b_k)
        z = tanh(W_iz x + b_z)
        h' = tanh((1 - k) h + k z)

    It is designed so that the gradient with respect to x keeps its norm from layer to
    layer of a deep stack. Over time, the outer tanh shrinks the gradient slightly at
    every step, even where k = 0 keeps the state.

    Args:
        init: Initializer of the parameters, from `nets.initializers`: k is initialized
            as an input gate, z as an affine map of x.

    Returns:
        A `Cell` with `STARParams` and `STARState`.

    Example:
        >>> import nets
        >>> cell = nets.star()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)))
        >>> ys.shape
        (10, 5, 8)

    References:
        Turkoglu et al. 2021, Gating revisited: deep multi-layer RNNs that can be
        trained, https://arxiv.org/abs/1911.11033
    """

    def init_params(key, inputs, features):
        key_k, key_z = jax.random.split(key)
        k = init(key_k, inputs, features, "i")
        z = init(key_z, inputs, features, "n")
        w_i = jnp.concatenate([k.w_i, z.w_i], axis=-1)
        return STARParams(w_i, k.w_h, b=jnp.concatenate([k.b_i + k.b_h, z.b_i]))

    def initial_state(params, x):
        return STARState(wide(initializers.zero_state(x, params.w_i, params.w_h)))

    def step(params, state, x, drop=lambda h: h):
        from_x = x @ params.w_i
        from_h = drop(state.hidden).astype(from_x.dtype) @ params.w_h
        x_k, x_z = jnp.split(add_bias(*wide(from_x, params.b)), 2, axis=-1)
        k = tag_gate(jax.nn.sigmoid(x_k + wide(from_h)), "input")
        keep = tag_gate(1 - k, "keep", retains=True)
        h = jnp.tanh(keep * wide(state.hidden) + k * tag_candidate(jnp.tanh(x_z)))
        h = h.astype(state.hidden.dtype)
        return STARState(h), h.astype(from_h.dtype)

    return Cell(init_params, initial_state, step, takes_drop=True)
