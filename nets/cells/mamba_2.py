"""The state space model of Mamba-2."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.nn.initializers import lecun_normal
from jaxtyping import Array, Float

from nets import initializers
from nets.cells._heads import check_heads
from nets.cells._steps import check_steps, step_bias
from nets.factories import factory
from nets.linear import add_bias, wide
from nets.linear_recurrence import linear_cell
from nets.tracing.tags import tag_candidate, tag_gate
from nets.types import Cell


class Mamba2Params(NamedTuple):
    """w_i [inputs, features + heads], in order u s; w_k [inputs, 2 states], B C.

    b, a_log and d are [heads].
    """

    w_i: Float[Array, "inputs columns"]
    w_k: Float[Array, "inputs 2*states"]
    b: Float[Array, " heads"]
    a_log: Float[Array, " heads"]
    d: Float[Array, " heads"]


class Mamba2State(NamedTuple):
    """memory [*batch, heads, features / heads, states], at least float32."""

    memory: Float[Array, "*batch heads size states"]


@factory
def mamba_2(
    heads: int = 1,
    states: int = 64,
    step_min: float = 0.001,
    step_max: float = 0.1,
) -> Cell:
    """The state space model of Mamba-2: one decay per head.

        u, s = split(W_i x)
        B, C = split(W_k x)
        step = softplus(s + b)
        S' = exp(-step exp(a_log)) S + (step u) B^T
        y = S' C + d u

    Each head has one step, one a_log and one d, and a matrix S of features / heads rows
    and `states` columns. All heads share B and C. dS_T/dS_0 is the product of the
    exp(-step exp(a_log)), one number per head, at most 1.

    The convolution of a Mamba-2 block, with its activation, the gate, the normalization
    and the output projection are not included.

    Args:
        heads: Number of heads, into which the features are split.
        states: Number of states per feature.
        step_min: Shortest initial step.
        step_max: Longest initial step. The initial step at x = 0 is log-uniform between
            the two.

    Returns:
        A `Cell` with `Mamba2Params` and `Mamba2State`. It runs in parallel over time.
        As in the authors' code, exp(a_log) is initially uniform between 1 and 16, and d
        is 1. Weights are initialized by lecun_normal.

    Raises:
        ValueError: `states` is below 1, or the range of the steps is empty or begins at
            or below 0; in `init`, `features` is not divisible by `heads`.

    Example:
        >>> import nets
        >>> cell = mamba_2(heads=2, states=4)
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)), parallel=True)
        >>> state.memory.shape, ys.shape
        ((5, 2, 4, 4), (10, 5, 8))

    References:
        Dao and Gu 2024, Transformers are SSMs: generalized models and efficient
        algorithms through structured state space duality,
        https://arxiv.org/abs/2405.21060
    """
    check_steps(step_min, step_max)
    if states < 1:
        raise ValueError(f"expected at least 1 state; got {states}")

    def init(key, inputs, features):
        check_heads(heads, features)
        keys = jax.random.split(key, 4)
        rates = jax.random.uniform(keys[2], (heads,), minval=1.0, maxval=16.0)
        return Mamba2Params(
            w_i=lecun_normal()(keys[0], (inputs, features + heads)),
            w_k=lecun_normal()(keys[1], (inputs, 2 * states)),
            b=step_bias(keys[3], heads, step_min, step_max),
            a_log=jnp.log(rates),
            d=jnp.ones(heads),
        )

    def initial_state(params, x):
        zeros = initializers.zero_state(x, params.w_i, params.b[:, None])
        size = params.w_i.shape[-1] // len(params.b) - 1
        shape = (*zeros.shape, size, params.w_k.shape[-1] // 2)
        return Mamba2State(wide(jnp.zeros(shape, zeros.dtype)))

    def coefficients(params, state, xs):
        p, xs = wide(params, xs)
        u, s = _project(p, xs)
        b, _ = jnp.split(xs @ p.w_k, 2, axis=-1)
        step = jax.nn.softplus(add_bias(s, p.b))
        a = jnp.exp(-step * jnp.broadcast_to(jnp.exp(p.a_log), step.shape))
        a = tag_gate(a, "keep", retains=True)[..., None, None]
        u = step[..., None] * tag_candidate(u)
        return Mamba2State(a), Mamba2State(u[..., None] * b[..., None, None, :])

    def read(params, state, x):
        dtype = jnp.result_type(x, *params)
        p, memory, x = wide(params, state.memory, x)
        u, _ = _project(p, x)
        _, c = jnp.split(x @ p.w_k, 2, axis=-1)
        skip = u * jnp.broadcast_to(p.d[:, None], u.shape)
        y = jnp.einsum("...hps,...s->...hp", memory, c) + skip
        return y.reshape(*y.shape[:-2], -1).astype(dtype)

    return linear_cell(init, initial_state, coefficients, read)


def _project(params, x):
    """Return u [..., heads, features / heads] and s [..., heads]."""
    heads = len(params.b)
    u, s = jnp.split(x @ params.w_i, [params.w_i.shape[-1] - heads], axis=-1)
    return u.reshape(*u.shape[:-1], heads, -1), s
