"""The time mixing of RWKV-7."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.nn.initializers import lecun_normal
from jaxtyping import Array, Float

from nets.cells._heads import check_heads, project, retrieve, zero_memory
from nets.elements import diagonal_minus_rank_one
from nets.factories import factory
from nets.linear import scale_features, wide
from nets.linear_recurrence import linear_cell
from nets.tracing.tags import tag_candidate, tag_gate
from nets.types import Cell

_FASTEST = math.exp(-0.5)  # largest -log of the decay


class RWKV7Params(NamedTuple):
    """w_i [inputs, 3 features], in order r k v; low-rank maps to the gates w and a.

    w_low [2, inputs, rank], w_high [2, rank, features] and b [2, heads, features /
    heads] give w and a; k_k and k_a [heads, features / heads] scale the keys.
    """

    w_i: Float[Array, "inputs 3*features"]
    w_low: Float[Array, "2 inputs rank"]
    w_high: Float[Array, "2 rank features"]
    b: Float[Array, "2 heads d"]
    k_k: Float[Array, "heads d"]
    k_a: Float[Array, "heads d"]


class RWKV7State(NamedTuple):
    """memory [*batch, heads, d, d], at least float32: a row per key dimension."""

    memory: Float[Array, "*batch heads d d"]


@factory
def rwkv_7(heads: int = 1, rank: int = 32) -> Cell:
    """The recurrence of RWKV-7: a delta rule with a vector of decays and of rates.

        r, k, v = split(W_i x)
        w = exp(-exp(-1/2) sigmoid(W_w tanh(V_w x) + b_w))
        a = sigmoid(W_a V_a x + b_a)
        u = k_k k / norm(k_k k)
        S' = diag(w) S - (a u) (u^T S) + (k (1 + (a - 1) k_a)) v^T
        y = S'^T r

    Each head has a matrix S, d = features / heads, whose rows belong to keys and whose
    columns belong to values. Each step removes a part a of the value that S stores at
    the key u, and writes v. dS'/dS is the matrix diag(w) - (a u) u^T, the same for each
    column of S.

    The shift of tokens, the mixture of v with the first layer's, the bonus of the
    current step, the normalization, the gate and the output projection of the paper's
    layer are not included.

    Args:
        heads: Number of heads, into which the features are split.
        rank: Rank of the maps from x to w and to a.

    Returns:
        A `Cell` with `RWKV7Params` and `RWKV7State`. It runs in parallel over time. b,
        k_k and k_a are initialized as in the authors' first layer: w covers slow and
        fast decays in each head. V_w and V_a are 0. Other weights are initialized by
        lecun_normal, of k, W_w and W_a times 0.1.

    Raises:
        ValueError: `rank` is below 1; in `init`, `features` is not divisible by
            `heads`.

    Example:
        >>> import nets
        >>> cell = rwkv_7(heads=2)
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)), parallel=True)
        >>> state.memory.shape, ys.shape
        ((5, 2, 4, 4), (10, 5, 8))

    References:
        Peng et al. 2025, RWKV-7 "Goose" with expressive dynamic state evolution,
        https://arxiv.org/abs/2503.14456
    """
    if rank < 1:
        raise ValueError(f"expected a rank of at least 1; got {rank}")

    def init(key, inputs, features):
        check_heads(heads, features)
        key_i, *keys = jax.random.split(key, 3)
        w_i = lecun_normal()(key_i, (inputs, 3 * features))
        w_high = [0.1 * lecun_normal()(k, (rank, features)) for k in keys]
        along, within = _ramps(heads, features // heads)
        w = 6 * along - 2.5 + 2.5 * within
        a = 0.4 * along - 0.19 + 0.3 * within
        return RWKV7Params(
            w_i=scale_features(w_i, jnp.repeat(jnp.array([1, 0.1, 1]), features)),
            w_low=jnp.zeros((2, inputs, rank)),
            w_high=jnp.stack(w_high),
            b=jnp.stack([w, a]),
            k_k=0.71 - 0.1 * along,
            k_a=jnp.full_like(along, 1.02),
        )

    def initial_state(params, x):
        return RWKV7State(zero_memory(x, params.w_i, params.k_k))

    def coefficients(params, state, xs):
        p, xs = wide(params, xs)
        _, k, v = project(xs, p.w_i, p.k_k)
        w = jnp.tanh(xs @ p.w_low[0]) @ p.w_high[0]
        a = xs @ p.w_low[1] @ p.w_high[1]
        w, a = (
            jax.nn.sigmoid(z.reshape(k.shape) + jnp.broadcast_to(b, k.shape))
            for z, b in zip((w, a), p.b, strict=True)
        )
        w = tag_gate(jnp.exp(-_FASTEST * w), "decay", retains=True)
        a = tag_gate(a, "rate")
        u = k * jnp.broadcast_to(p.k_k, k.shape)
        u = u * jax.lax.rsqrt(jnp.maximum((u * u).sum(-1, keepdims=True), 1e-24))
        k = tag_candidate(k * (1 + (a - 1) * jnp.broadcast_to(p.k_a, k.shape)), "key")
        b = k[..., None] * tag_candidate(v, "value")[..., None, :]
        factor: Any = (w, a * u, u)
        return RWKV7State(factor), RWKV7State(b)

    def read(params, state, x):
        dtype = jnp.result_type(x, *params)
        p, memory, x = wide(params, state.memory, x)
        r, _, _ = project(x, p.w_i, p.k_k)
        return retrieve(memory, r).astype(dtype)

    return linear_cell(init, initial_state, coefficients, read, diagonal_minus_rank_one)


def _ramps(heads, size):
    """From -1/2 to 1/2 over all units, and from -1 to 1 over each head, as z |z|."""
    along = jnp.linspace(-0.5, 0.5, heads * size).reshape(heads, size)
    within = jnp.tile(jnp.linspace(-1.0, 1.0, size), (heads, 1))
    return along, within * jnp.abs(within)
