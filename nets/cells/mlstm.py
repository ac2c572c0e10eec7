"""The mLSTM of xLSTM: a long short-term memory with a matrix as its cell."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.nn.initializers import lecun_normal
from jaxtyping import Array, Float

from nets import initializers
from nets.cells._heads import check_heads
from nets.factories import factory
from nets.linear import add_bias, wide
from nets.linear_recurrence import linear_cell
from nets.tracing.tags import tag_candidate, tag_gate
from nets.types import Cell

_EPSILON = 1e-6  # as in the authors' code


class MLSTMParams(NamedTuple):
    """w_i [inputs, 4 features] and b: q k v o; w_g [inputs, 2 heads] and b_g: i f."""

    w_i: Float[Array, "inputs 4*features"]
    b: Float[Array, " 4*features"]
    w_g: Float[Array, "inputs 2*heads"]
    b_g: Float[Array, " 2*heads"]


class MLSTMState(NamedTuple):
    """cell [*batch, heads, d, d], normalizer [..., d] and stabilizer [*batch, heads].

    Rows of the cell belong to the value, columns to the key. All are at least float32.
    """

    cell: Float[Array, "*batch heads d d"]
    normalizer: Float[Array, "*batch heads d"]
    stabilizer: Float[Array, "*batch heads"]


@factory
def mlstm(heads: int = 1) -> Cell:
    """The mLSTM: each head stores values by keys in a matrix, which a query reads.

        q, v = W_q x + b_q, W_v x + b_v
        k = (W_k x + b_k) / sqrt(d)
        o = sigmoid(W_o x + b_o)
        i, f = w_i x + b_i, w_f x + b_f
        m' = max(log sigmoid(f) + m, i)
        C' = exp(log sigmoid(f) + m - m') C + exp(i - m') v k^T
        n' = exp(log sigmoid(f) + m - m') n + exp(i - m') k
        h' = o (C' q) / (max(abs(n' q), exp(-m')) + 1e-6)

    i and f are one number per head, d = features / heads. Along the memory C exp(m) the
    gradient is multiplied by sigmoid(f) only. The running maximum m prevents overflow.

    Args:
        heads: Number of heads, into which the features are split.

    Returns:
        A `Cell` with `MLSTMParams` and `MLSTMState`; its output is h. It also runs in
        parallel over time. Initial weights are lecun_normal. As in the authors' code
        (where gates read q, k and v), w_g = 0, b_f is 3 to 6 over the heads and b_i ~
        N(0, 0.1^2).

    Example:
        >>> import nets
        >>> cell = mlstm(heads=2)
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)))
        >>> state.cell.shape, ys.shape
        ((5, 2, 4, 4), (10, 5, 8))

    References:
        Beck et al. 2024, xLSTM: extended long short-term memory,
        https://arxiv.org/abs/2405.04517
    """

    def init(key, inputs, features):
        check_heads(heads, features)
        key_i, key_g = jax.random.split(key)
        b_i = 0.1 * jax.random.normal(key_g, (heads,))
        return MLSTMParams(
            w_i=lecun_normal()(key_i, (inputs, 4 * features)),
            b=jnp.zeros(4 * features),
            w_g=jnp.zeros((inputs, 2 * heads)),
            b_g=jnp.concatenate([b_i, jnp.linspace(3.0, 6.0, heads)]),
        )

    def initial_state(params, x):
        if len(params.b_g) != 2 * heads:
            raise ValueError(
                f"expected parameters of mlstm(heads={heads}); got those of "
                f"heads={len(params.b_g) // 2}"
            )
        n = initializers.zero_state(x, params.w_i, params.b.reshape(4, -1).T)
        n = wide(n.reshape(*n.shape[:-1], heads, -1))
        c = jnp.zeros((*n.shape, n.shape[-1]), n.dtype)
        return MLSTMState(cell=c, normalizer=n, stabilizer=c[..., 0, 0])

    def coefficients(params, state, xs):
        p, xs, m = wide(params, xs, state.stabilizer)
        k, v = _project(p, xs, heads, "kv")
        k = tag_candidate(k / math.sqrt(k.shape[-1]), "key")
        v = tag_candidate(v, "value")
        i, f = jnp.split(add_bias(xs @ p.w_g, p.b_g), 2, axis=-1)
        f = jax.nn.log_sigmoid(f)
        # Rounded as in the state, so that C exp(m) remains correct.
        ms = _maxima(f, i, m).astype(state.stabilizer.dtype).astype(m.dtype)
        f = jnp.exp(f + jnp.concatenate([m[None], ms[:-1]]) - ms)
        f = tag_gate(f, "forget", retains=True)[..., None]
        i = tag_gate(jnp.exp(i - ms), "input")[..., None]
        a = MLSTMState(f[..., None], f, jnp.zeros_like(ms))
        return a, MLSTMState((i * v)[..., None] * k[..., None, :], i * k, ms)

    def read(params, state, x):
        dtype = jnp.result_type(x, *params)
        p, s, x = wide(params, state, x)
        q, o = _project(p, x, heads, "qo")
        # Both terms of the ratio are scaled by exp(min(m, 0)), so nothing overflows.
        scale = jnp.exp(jnp.minimum(s.stabilizer, 0))[..., None]
        least = jnp.exp(-jnp.maximum(s.stabilizer, 0))[..., None]
        retrieved = scale * jnp.einsum("...ij,...j->...i", s.cell, q)
        weight = scale * jnp.abs((s.normalizer * q).sum(-1, keepdims=True))
        h = retrieved / (jnp.maximum(weight, least) + _EPSILON * scale)
        h = h * tag_gate(jax.nn.sigmoid(o), "output")
        return h.reshape(*h.shape[:-2], -1).astype(dtype)

    return linear_cell(init, initial_state, coefficients, read)


def _project(params, x, heads, names):
    """Return the named projections among q, k, v and o, each [..., heads, d]."""
    w, b = jnp.split(params.w_i, 4, axis=-1), jnp.split(params.b, 4)
    made = (add_bias(x @ w["qkvo".index(n)], b["qkvo".index(n)]) for n in names)
    return [y.reshape(*y.shape[:-1], heads, -1) for y in made]


def _maxima(f, i, m):
    """m_t = max(f_t + m_{t-1}, i_t) for all t, a linear recurrence in (max, +)."""

    def join(first, second):
        (f1, i1), (f2, i2) = first, second
        return f1 + f2, jnp.maximum(f2 + i1, i2)

    i = jnp.concatenate([jnp.maximum(f[:1] + m[None], i[:1]), i[1:]])
    return jax.lax.associative_scan(join, (f, i))[1]
