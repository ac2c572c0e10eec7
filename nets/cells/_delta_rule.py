"""Common parts of the cells with the delta rule."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from nets import initializers
from nets.cells._heads import check_heads, retrieve
from nets.elements import diagonal_minus_rank_one
from nets.linear import wide
from nets.linear_recurrence import linear_cell
from nets.tracing.tags import tag_candidate
from nets.types import Cell

_EPSILON = 1e-6  # as in the authors' code


def delta_cell(
    name: str,
    heads: int,
    beta_max: float,
    gates_per_head: int,
    init: Callable[..., Any],
    make_state: Callable[..., Any],
    gates: Callable[..., tuple[Any, Any]],
) -> Cell:
    """Make the cell S' = alpha (I - beta k k^T) S + beta k v^T, with the output S'^T q.

    Args:
        name: Name of the cell, for messages.
        heads: Number of heads, into which the features are split.
        beta_max: Largest beta, above 0 and at most 2.
        gates_per_head: Number of columns of w_g per head.
        init: `init` of the `Cell`. Its parameters have w_i and w_g.
        make_state: State of an array [*batch, heads, d, d].
        gates: `alpha, write = gates(params, xs)`, each [..., heads]; beta is write
            multiplied by beta_max.

    Returns:
        A `Cell`.

    Raises:
        ValueError: `beta_max` is out of range.

    Example:
        See `nets.delta_net`.
    """
    if not 0 < beta_max <= 2:
        raise ValueError(f"expected beta_max above 0 and at most 2; got {beta_max}")
    beta_max = float(beta_max)

    def checked_init(key, inputs, features):
        check_heads(heads, features)
        return init(key, inputs, features)

    def initial_state(params, x):
        if params.w_g.shape[1] != gates_per_head * heads:
            raise ValueError(
                f"expected parameters of {name}(heads={heads}); got those of "
                f"heads={params.w_g.shape[1] // gates_per_head}"
            )
        w_q, _, _ = jnp.split(params.w_i, 3, axis=-1)
        zeros = initializers.zero_state(x, params.w_i, w_q.T)
        zeros = wide(zeros.reshape(*zeros.shape[:-1], heads, -1))
        return make_state(jnp.zeros((*zeros.shape, zeros.shape[-1]), zeros.dtype))

    def coefficients(params, state, xs):
        p, xs = wide(params, xs)
        k, v = _projections(p, xs, heads, "kv")
        k, v = tag_candidate(_unit(k), "key"), tag_candidate(v, "value")
        alpha, write = (gate[..., None] for gate in gates(p, xs))
        beta = beta_max * write
        written = (beta * k)[..., None] * v[..., None, :]
        return make_state((alpha, alpha * beta * k, k)), make_state(written)

    def read(params, state, x):
        dtype = jnp.result_type(x, *params)
        p, memory, x = wide(params, state.memory, x)
        (q,) = _projections(p, x, heads, "q")
        return retrieve(memory, _unit(q)).astype(dtype)

    return linear_cell(
        checked_init, initial_state, coefficients, read, diagonal_minus_rank_one
    )


def _projections(params, x, heads, names):
    """The named projections among q, k and v after silu, each [..., heads, d]."""
    w = jnp.split(params.w_i, 3, axis=-1)
    made = (jax.nn.silu(x @ w["qkv".index(name)]) for name in names)
    return [y.reshape(*y.shape[:-1], heads, -1) for y in made]


def _unit(x):
    """Vectors of length 1; zeros stay zeros."""
    return x * jax.lax.rsqrt(jnp.square(x).sum(-1, keepdims=True) + _EPSILON)
