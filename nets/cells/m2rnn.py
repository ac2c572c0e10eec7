"""The matrix-to-matrix recurrent network, M2RNN."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.nn.initializers import lecun_normal
from jaxtyping import Array, Float

from nets import initializers
from nets.cells._heads import check_heads, retrieve
from nets.cells._steps import check_steps, step_bias
from nets.factories import factory
from nets.linear import add_bias, wide
from nets.tracing.tags import tag_candidate, tag_gate
from nets.types import Cell


class M2RNNParams(NamedTuple):
    """w_i [inputs, 3 features + heads], in order q k v s; w_h [heads, d, d].

    b and a_log [heads] give the forget gate.
    """

    w_i: Float[Array, "inputs columns"]
    w_h: Float[Array, "heads d d"]
    b: Float[Array, " heads"]
    a_log: Float[Array, " heads"]


class M2RNNState(NamedTuple):
    """memory [*batch, heads, d, d], at least float32: a row per key dimension."""

    memory: Float[Array, "*batch heads d d"]


@factory
def m2rnn(heads: int = 1, step_min: float = 0.001, step_max: float = 0.1) -> Cell:
    """The matrix-to-matrix RNN: a nonlinear recurrence of a matrix memory.

        q, k, v, s = split(W_i x)
        f = exp(-exp(a_log) softplus(s + b))
        S' = f S + (1 - f) tanh(S W_h + k v^T)
        y = q^T S'

    Each head has a matrix S and a matrix W_h, d = features / heads; s and f are one
    number per head. W_h mixes the columns of S, and every row of S follows the same
    recurrence, so the Jacobian of S' by S has one block of d x d per row. The gate
    reads the input alone.

    Keys have as many dimensions as values; in the authors' models they have 64 and 16.
    The convolution, the skip connection, the normalization, the output gate and the
    output projection of the authors' layer are not included.

    Args:
        heads: Number of heads, into which the features are split.
        step_min: Shortest initial step softplus(b).
        step_max: Longest initial step, which is log-uniform between the two.

    Returns:
        A `Cell` with `M2RNNParams` and `M2RNNState`. As in the authors' code, W_h is
        initially the identity, and exp(a_log) uniform between 0 and 16. W_i is
        initialized by lecun_normal.

    Raises:
        ValueError: The range of the steps is empty or begins at or below 0; in `init`,
            `features` is not divisible by `heads`.

    Example:
        >>> import nets
        >>> cell = m2rnn(heads=2)
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)))
        >>> state.memory.shape, ys.shape
        ((5, 2, 4, 4), (10, 5, 8))

    References:
        Mishra et al. 2026, M2RNN: non-linear RNNs with matrix-valued states for
        scalable language modeling, https://arxiv.org/abs/2603.14360
    """
    check_steps(step_min, step_max)

    def init(key, inputs, features):
        check_heads(heads, features)
        keys = jax.random.split(key, 3)
        # Not 0: its logarithm is infinite.
        tiny = jnp.finfo(jnp.float32).tiny
        rates = jax.random.uniform(keys[1], (heads,), minval=tiny, maxval=16.0)
        return M2RNNParams(
            w_i=lecun_normal()(keys[0], (inputs, 3 * features + heads)),
            w_h=jnp.tile(jnp.eye(features // heads), (heads, 1, 1)),
            b=step_bias(keys[2], heads, step_min, step_max),
            a_log=jnp.log(rates),
        )

    def initial_state(params, x):
        zeros = initializers.zero_state(x, params.w_i, params.b[:, None])
        shape = (*zeros.shape, *params.w_h.shape[1:])
        return M2RNNState(wide(jnp.zeros(shape, zeros.dtype)))

    def step(params, state, x, drop=lambda s: s):
        from_x = x @ params.w_i
        dtype = jnp.result_type(from_x, *params[1:])
        p, from_x, memory = wide(params, from_x, state.memory)
        heads, size, _ = p.w_h.shape
        qkv, s = jnp.split(from_x, [3 * heads * size], axis=-1)
        q, k, v = jnp.moveaxis(qkv.reshape(*s.shape[:-1], 3, heads, size), -3, 0)
        f = jax.nn.softplus(add_bias(s, p.b))
        f = jnp.exp(-f * jnp.broadcast_to(jnp.exp(p.a_log), f.shape))
        f = tag_gate(f, "forget", retains=True)[..., None, None]
        read = jnp.einsum("...hij,hjk->...hik", wide(drop(state.memory)), p.w_h)
        c = tag_candidate(jnp.tanh(read + k[..., None] * v[..., None, :]))
        memory = (f * memory + (1 - f) * c).astype(state.memory.dtype)
        return M2RNNState(memory), retrieve(wide(memory), q).astype(dtype)

    return Cell(init, initial_state, step, takes_drop=True)
