"""The real-gated linear recurrent unit of Griffin."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.nn.initializers import lecun_normal
from jaxtyping import Array, Float

from nets import initializers
from nets.factories import factory
from nets.linear import add_bias, scale_features, wide
from nets.linear_recurrence import linear_cell
from nets.tracing.tags import tag_candidate, tag_gate
from nets.types import Cell


class RGLRUParams(NamedTuple):
    """w_in [inputs, features]; w_g [features, 2 features] and b, gate order r i; decay.

    decay [features] is the paper's Lambda with the opposite sign: a smaller decay gives
    a longer memory.
    """

    w_in: Float[Array, "inputs features"]
    w_g: Float[Array, "features 2*features"]
    b: Float[Array, " 2*features"]
    decay: Float[Array, " features"]


class RGLRUState(NamedTuple):
    """hidden [*batch, features], at least float32: steps accumulate in it."""

    hidden: Float[Array, "*batch features"]


@factory
def rg_lru(c: float = 8.0) -> Cell:
    """The real-gated linear recurrent unit: one decay per unit, slowed by a gate.

        u = W_in x
        r = sigmoid(W_r u + b_r)
        i = sigmoid(W_i u + b_i)
        a = exp(-c softplus(decay) r)
        h' = a h + sqrt(1 - a^2) (i u)

    dh_T/dh_0 is the product of the a. As r goes to 0, a goes to 1: the state is kept,
    and the gradient passes unchanged. W_in always maps the input first, because the
    unit requires as many inputs as features; Griffin also has such a map before the
    unit.

    Args:
        c: Factor of the decay, which sets how much a differs between an open and a
            closed gate; the paper's constant.

    Returns:
        A `Cell` with `RGLRUParams` and `RGLRUState`; its output is h. It runs in
        parallel over time. The initial decay is such that exp(-c softplus(decay)), the
        a of an open gate, is uniform between 0.9 and 0.999, as in the paper. Weights
        are initialized by lecun_normal and biases with zeros. The paper's gate weights
        are block-diagonal.

    Raises:
        ValueError: `c` is not a number above 0.

    Example:
        >>> import nets
        >>> cell = rg_lru()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)), parallel=True)
        >>> ys.shape
        (10, 5, 8)

    References:
        De et al. 2024, Griffin: mixing gated linear recurrences with local attention
        for efficient language models, https://arxiv.org/abs/2402.19427
    """
    if not 0 < c < math.inf:
        raise ValueError(f"expected c to be a number above 0; got {c}")
    c = float(c)

    def init(key, inputs, features):
        key_in, key_g, key_d = jax.random.split(key, 3)
        a = jax.random.uniform(key_d, (features,), minval=0.9, maxval=0.999)
        return RGLRUParams(
            w_in=lecun_normal()(key_in, (inputs, features)),
            w_g=lecun_normal()(key_g, (features, 2 * features)),
            b=jnp.zeros(2 * features),
            decay=jnp.log(jnp.expm1(-jnp.log(a) / c)),  # inverse of softplus
        )

    def initial_state(params, x):
        zeros = initializers.zero_state(x, params.w_in, params.w_g)
        return RGLRUState(wide(zeros))

    def coefficients(params, state, xs):
        p, xs = wide(params, xs)  # 0.999 in bfloat16 would be 1
        u = xs @ p.w_in
        r, i = jnp.split(jax.nn.sigmoid(add_bias(u @ p.w_g, p.b)), 2, axis=-1)
        r, i = tag_gate(r, "recurrence"), tag_gate(i, "input")
        log_a = scale_features(r, -c * jax.nn.softplus(p.decay))
        # 1 - a^2 without the loss of digits for a near 1. Where it is 0, r has
        # underflowed, and the infinite slope of the root must not be multiplied by r =
        # 0.
        rest = -jnp.expm1(2 * log_a)
        gain = jnp.where(rest > 0, jnp.sqrt(jnp.where(rest > 0, rest, 1.0)), 0.0)
        a = tag_gate(jnp.exp(log_a), "keep", retains=True)
        return RGLRUState(a), RGLRUState(gain * i * tag_candidate(u))

    def read(params, state, x):
        return state.hidden.astype(jnp.result_type(x, *params))

    return linear_cell(init, initial_state, coefficients, read)
