"""The long expressive memory."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets import initializers
from nets.factories import factory
from nets.linear import add_bias, wide
from nets.tracing.tags import tag_candidate, tag_gate
from nets.types import Cell


class LEMParams(NamedTuple):
    """w_i [inputs, 4 features] and b, in order r s m n; w_h, in order r s m; w_m.

    w_h [features, 3 features] reads the hidden state; w_m [features, features] reads
    the new memory.
    """

    w_i: Float[Array, "inputs 4*features"]
    w_h: Float[Array, "features 3*features"]
    w_m: Float[Array, "features features"]
    b: Float[Array, " 4*features"]


class LEMState(NamedTuple):
    """hidden and memory, each [*batch, features], at least float32."""

    hidden: Float[Array, "*batch features"]
    memory: Float[Array, "*batch features"]


@factory
def lem(dt: float = 1.0) -> Cell:
    """The long expressive memory: two states, and learned time steps for each unit.

        r = dt sigmoid(W_ir x + W_hr h + b_r)
        s = dt sigmoid(W_is x + W_hs h + b_s)
        m' = (1 - r) m + r tanh(W_im x + W_hm h + b_m)
        h' = (1 - s) h + s tanh(W_in x + W_m m' + b_n)

    It discretizes a differential equation with multiple time scales: r and s are the
    time steps of each unit. Where both are small, the gradient passes almost unchanged.

    Args:
        dt: Longest time step. With dt = 1, r and s are gates.

    Returns:
        A `Cell` with `LEMParams` and `LEMState`, whose output is h (the paper's y; its
        z is the memory). All parameters are initially uniform within
        1 / sqrt(features), as in the authors' code.

    Example:
        >>> import nets
        >>> cell = nets.lem()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)))
        >>> state.memory.shape, ys.shape
        ((5, 8), (10, 5, 8))

    References:
        Rusch et al. 2022, Long expressive memory for sequence modeling,
        https://arxiv.org/abs/2110.04744
    """
    dt = float(dt)  # NumPy scalars would change dtypes

    def init(key, inputs, features):
        bound = features**-0.5
        key_i, key_h, key_m, key_b = jax.random.split(key, 4)

        def draw(key, *shape):
            return jax.random.uniform(key, shape, minval=-bound, maxval=bound)

        return LEMParams(
            draw(key_i, inputs, 4 * features),
            draw(key_h, features, 3 * features),
            draw(key_m, features, features),
            draw(key_b, 4 * features),
        )

    def initial_state(params, x):
        zeros = initializers.zero_states(2, x, params.w_i, params.w_h)
        return LEMState(*wide(zeros))

    def step(params, state, x, drop=lambda h: h):
        h, m = wide(state)
        from_x = x @ params.w_i
        from_h = drop(state.hidden).astype(from_x.dtype) @ params.w_h
        gates = add_bias(*wide(from_x, params.b))
        x_r, x_s, x_m, x_n = jnp.split(gates, 4, axis=-1)
        h_r, h_s, h_m = jnp.split(wide(from_h), 3, axis=-1)
        r = dt * tag_gate(jax.nn.sigmoid(x_r + h_r), "memory step")
        s = dt * tag_gate(jax.nn.sigmoid(x_s + h_s), "hidden step")
        keep_m = tag_gate(1 - r, "memory keep", retains=True)
        keep_h = tag_gate(1 - s, "hidden keep", retains=True)
        m = keep_m * m + r * tag_candidate(jnp.tanh(x_m + h_m))
        m = m.astype(state.memory.dtype)
        from_m = m.astype(from_x.dtype) @ params.w_m
        h = keep_h * h + s * tag_candidate(jnp.tanh(x_n + wide(from_m)))
        h = h.astype(state.hidden.dtype)
        return LEMState(hidden=h, memory=m), h.astype(from_h.dtype)

    return Cell(init, initial_state, step, takes_drop=True)
