"""The hierarchically gated recurrent network with a matrix as its state, HGRN2."""

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


class HGRN2Params(NamedTuple):
    """w_i [inputs, 3 features], in order q f v; b [heads, features / heads] of f."""

    w_i: Float[Array, "inputs 3*features"]
    b: Float[Array, "heads d"]


class HGRN2State(NamedTuple):
    """memory [*batch, heads, d, d], at least float32: a row per key dimension."""

    memory: Float[Array, "*batch heads d d"]


@factory
def hgrn2(heads: int = 1, lower_bound: float = 0.5) -> Cell:
    """HGRN2: a matrix memory whose forget gate is also the key, and has a lower bound.

        q, f, v = split(W_i x)
        f = lower_bound + (1 - lower_bound) sigmoid(f + b)
        S' = diag(f) S + (1 - f) v^T
        y = S'^T silu(q) / sqrt(d)

    Each head has a matrix S, d = features / heads, whose rows belong to keys and whose
    columns belong to values. dS_T/dS_0 is the product of the f, one per row, so it is
    at least lower_bound^T. Each row of S is a weighted mean of the v so far, and of the
    initial row.

    In the paper, each unit of each layer has a bound. The bounds are learned, and grow
    from layer to layer, from 0 in the first. The normalization and the output
    projection of the paper's layer are not included.

    Args:
        heads: Number of heads, into which the features are split.
        lower_bound: Smallest forget gate, from 0 and below 1. The default is the
            paper's initial bound in the second of two layers.

    Returns:
        A `Cell` with `HGRN2Params` and `HGRN2State`. It runs in parallel over time.
        Weights are initialized by lecun_normal and b with zeros.

    Raises:
        ValueError: `lower_bound` is below 0, or is not below 1; in `init`, `features`
            is not divisible by `heads`.

    Example:
        >>> import nets
        >>> cell = hgrn2(heads=2, lower_bound=0.9)
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)), parallel=True)
        >>> state.memory.shape, ys.shape
        ((5, 2, 4, 4), (10, 5, 8))

    References:
        Qin et al. 2024, HGRN2: gated linear RNNs with state expansion,
        https://arxiv.org/abs/2404.07904
    """
    if not 0 <= lower_bound < 1:
        raise ValueError(
            f"expected a lower bound from 0 and below 1; got {lower_bound}"
        )
    lower_bound = float(lower_bound)

    def init(key, inputs, features):
        check_heads(heads, features)
        return HGRN2Params(
            w_i=lecun_normal()(key, (inputs, 3 * features)),
            b=jnp.zeros((heads, features // heads)),
        )

    def initial_state(params, x):
        return HGRN2State(zero_memory(x, params.w_i, params.b))

    def coefficients(params, state, xs):
        p, xs = wide(params, xs)
        _, f, v = project(xs, p.w_i, p.b)
        f = f + jnp.broadcast_to(p.b, f.shape)
        # 1 - f is computed from -f, without the loss of digits for f near 1.
        key = tag_gate((1 - lower_bound) * jax.nn.sigmoid(-f), "input")
        f = lower_bound + (1 - lower_bound) * jax.nn.sigmoid(f)
        f = tag_gate(f, "forget", retains=True)
        b = key[..., None] * tag_candidate(v)[..., None, :]
        return HGRN2State(f[..., None]), HGRN2State(b)

    def read(params, state, x):
        dtype = jnp.result_type(x, *params)
        p, memory, x = wide(params, state.memory, x)
        q = jax.nn.silu(project(x, p.w_i, p.b)[0]) / math.sqrt(p.b.shape[-1])
        return retrieve(memory, q).astype(dtype)

    return linear_cell(init, initial_state, coefficients, read)
