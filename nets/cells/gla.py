"""Gated linear attention."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.nn.initializers import lecun_normal
from jaxtyping import Array, Float

from nets.cells._heads import check_heads, project, retrieve, zero_memory
from nets.factories import factory
from nets.linear import wide
from nets.linear_recurrence import linear_cell
from nets.tracing.tags import tag_candidate, tag_gate
from nets.types import Cell


class GLAParams(NamedTuple):
    """w_i [inputs, 3 features], in order q k v; the gate's factors and its bias.

    w_low [inputs, rank], w_high [rank, features] and b [heads, features / heads].
    """

    w_i: Float[Array, "inputs 3*features"]
    w_low: Float[Array, "inputs rank"]
    w_high: Float[Array, "rank features"]
    b: Float[Array, "heads d"]


class GLAState(NamedTuple):
    """memory [*batch, heads, d, d], at least float32: a row per key dimension."""

    memory: Float[Array, "*batch heads d d"]


@factory
def gla(heads: int = 1, rank: int = 16, temperature: float = 16.0) -> Cell:
    """Gated linear attention: a matrix memory with one decay per key dimension.

        q, k, v = split(W_i x)
        a = sigmoid(W_high W_low x + b)^(1 / temperature)
        S' = diag(a) S + k v^T
        y = S'^T q / sqrt(d)

    Each head has a matrix S, d = features / heads, whose rows belong to keys and whose
    columns belong to values. dS_T/dS_0 is the product of the a, one per row: it can
    vanish but never grow. The temperature keeps a near 1.

    Keys have as many dimensions as values, in the paper half as many. The
    normalization, the output gate and the output projection of the paper's layer are
    not included.

    Args:
        heads: Number of heads, into which the features are split.
        rank: Rank of the map from x to the gate.
        temperature: Root that is taken of the sigmoid.

    Returns:
        A `Cell` with `GLAParams` and `GLAState`. It runs in parallel over time. Weights
        are initialized by lecun_normal and b with zeros, so that a is initially around
        0.5^(1/16) = 0.96.

    Raises:
        ValueError: `rank` is below 1, or `temperature` is not a number above 0; in
            `init`, `features` is not divisible by `heads`.

    Example:
        >>> import nets
        >>> cell = gla(heads=2)
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)), parallel=True)
        >>> state.memory.shape, ys.shape
        ((5, 2, 4, 4), (10, 5, 8))

    References:
        Yang et al. 2023, Gated linear attention transformers with hardware-efficient
        training, https://arxiv.org/abs/2312.06635
    """
    if rank < 1 or not 0 < temperature < math.inf:
        raise ValueError(
            "expected a rank of at least 1 and a temperature above 0; got "
            f"{rank} and {temperature}"
        )
    temperature = float(temperature)

    def init(key, inputs, features):
        check_heads(heads, features)
        keys = jax.random.split(key, 3)
        return GLAParams(
            w_i=lecun_normal()(keys[0], (inputs, 3 * features)),
            w_low=lecun_normal()(keys[1], (inputs, rank)),
            w_high=lecun_normal()(keys[2], (rank, features)),
            b=jnp.zeros((heads, features // heads)),
        )

    def initial_state(params, x):
        return GLAState(zero_memory(x, params.w_i, params.b))

    def coefficients(params, state, xs):
        p, xs = wide(params, xs)
        _, k, v = project(xs, p.w_i, p.b)
        z = (xs @ p.w_low @ p.w_high).reshape(k.shape)
        z = z + jnp.broadcast_to(p.b, z.shape)
        a = jnp.exp(jax.nn.log_sigmoid(z) / temperature)
        a = tag_gate(a, "keep", retains=True)
        k, v = tag_candidate(k, "key"), tag_candidate(v, "value")
        return GLAState(a[..., None]), GLAState(k[..., None] * v[..., None, :])

    def read(params, state, x):
        dtype = jnp.result_type(x, *params)
        p, memory, x = wide(params, state.memory, x)
        q = project(x, p.w_i, p.b)[0] / math.sqrt(p.b.shape[-1])
        return retrieve(memory, q).astype(dtype)

    return linear_cell(init, initial_state, coefficients, read)
