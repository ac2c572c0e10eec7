"""Gated DeltaNet: the delta rule with a gate that forgets."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.nn.initializers import lecun_normal
from jaxtyping import Array, Float

from nets.cells._delta_rule import delta_cell
from nets.factories import factory
from nets.linear import add_bias, scale_features
from nets.tracing.tags import tag_gate
from nets.types import Cell


class GatedDeltaNetParams(NamedTuple):
    """w_i [inputs, 3 features]: q k v; w_g [inputs, 2 heads]: alpha beta.

    a_log and b_dt [heads] are the logarithm of the rate of decay and the bias of its
    time step.
    """

    w_i: Float[Array, "inputs 3*features"]
    w_g: Float[Array, "inputs 2*heads"]
    a_log: Float[Array, " heads"]
    b_dt: Float[Array, " heads"]


class GatedDeltaNetState(NamedTuple):
    """memory [*batch, heads, d, d], at least float32.

    Rows belong to the key, columns to the value.
    """

    memory: Float[Array, "*batch heads d d"]


@factory
def gated_delta_net(heads: int = 1, beta_max: float = 1.0) -> Cell:
    """Gated DeltaNet: the delta rule, after all of the memory has decayed.

        q, k, v = silu(W_q x), silu(W_k x), silu(W_v x)
        q, k = q / norm(q), k / norm(k)
        alpha = exp(-exp(a_log) softplus(W_a x + b_dt))
        beta = beta_max sigmoid(W_b x)
        S' = alpha S + beta k (v - alpha S^T k)^T
        y = S'^T q

    So S' = alpha (I - beta k k^T) S + beta k v^T. alpha and beta are one number per
    head, d = features / heads. With alpha = 1 it is `nets.delta_net`. The short
    convolutions, the normalization and the gate of y, and the output projection of a
    layer are not included.

    Args:
        heads: Number of heads, into which the features are split.
        beta_max: Largest beta. With 2, the eigenvalue 1 - beta is between -1 and 1.

    Returns:
        A `Cell` with `GatedDeltaNetParams` and `GatedDeltaNetState`. It runs in
        parallel over time. Initial weights are lecun_normal. As in the authors' code,
        exp(a_log) is initially uniform between 0 and 16, and softplus(b_dt)
        log-uniform between 0.001 and 0.1.

    Raises:
        ValueError: `beta_max` is not above 0 and at most 2, or the heads do not share
            the features equally.

    Example:
        >>> import nets
        >>> cell = gated_delta_net(heads=2)
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)), parallel=True)
        >>> state.memory.shape, ys.shape
        ((5, 2, 4, 4), (10, 5, 8))

    References:
        Yang, Kautz and Hatamizadeh 2025, Gated delta networks: improving Mamba2 with
        delta rule, https://arxiv.org/abs/2412.06464
    """

    def init(key, inputs, features):
        key_i, key_g, key_a, key_dt = jax.random.split(key, 4)
        tiny = jnp.finfo(jnp.float32).tiny  # not 0: its logarithm is infinite
        rate = jax.random.uniform(key_a, (heads,), minval=tiny, maxval=16.0)
        log_dt = jax.random.uniform(
            key_dt, (heads,), minval=math.log(0.001), maxval=math.log(0.1)
        )
        return GatedDeltaNetParams(
            w_i=lecun_normal()(key_i, (inputs, 3 * features)),
            w_g=lecun_normal()(key_g, (inputs, 2 * heads)),
            a_log=jnp.log(rate),
            b_dt=jnp.log(jnp.expm1(jnp.exp(log_dt))),  # inverse of softplus
        )

    def gates(params, xs):
        alpha, beta = jnp.split(xs @ params.w_g, 2, axis=-1)
        rate = -jnp.exp(params.a_log)
        alpha = scale_features(jax.nn.softplus(add_bias(alpha, params.b_dt)), rate)
        alpha = tag_gate(jnp.exp(alpha), "forget", retains=True)
        return alpha, tag_gate(jax.nn.sigmoid(beta), "write")

    make_state = GatedDeltaNetState
    return delta_cell("gated_delta_net", heads, beta_max, 2, init, make_state, gates)
