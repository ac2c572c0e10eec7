"""The selective state space model of Mamba (S6)."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.nn.initializers import lecun_normal
from jaxtyping import Array, Float

from nets import initializers
from nets.cells._steps import check_steps, step_bias
from nets.factories import factory
from nets.linear import add_bias, scale_features, wide
from nets.linear_recurrence import linear_cell
from nets.tracing.tags import tag_candidate, tag_gate
from nets.types import Cell


class MambaParams(NamedTuple):
    """w_i [inputs, features]; w_u [features, rank + 2 states], in order s B C.

    w_s [rank, features] and b [features] give the step; a_log [features, states]; d
    [features].
    """

    w_i: Float[Array, "inputs features"]
    w_u: Float[Array, "features columns"]
    w_s: Float[Array, "rank features"]
    b: Float[Array, " features"]
    a_log: Float[Array, "features states"]
    d: Float[Array, " features"]


class MambaState(NamedTuple):
    """hidden [*batch, features, states], at least float32: steps accumulate in it."""

    hidden: Float[Array, "*batch features states"]


@factory
def mamba(
    states: int = 16,
    rank: int | None = None,
    step_min: float = 0.001,
    step_max: float = 0.1,
) -> Cell:
    """The selective state space model (S6) of Mamba: its step depends on the input.

        u = W_i x
        s, B, C = split(W_u u)
        step = softplus(W_s s + b)
        h' = exp(-step exp(a_log)) h + (step u) B^T
        y = h' C + d u

    h has `states` numbers per feature. dh_T/dh_0 is the product of the exp(-step
    exp(a_log)), which are below 1: it can vanish but never grow. As the step goes to 0,
    the state is kept, and the input is ignored.

    W_i is the input projection of a Mamba block. The convolution after it, with its
    activation, the gate and the output projection of the block are not included.

    Args:
        states: Number of states per feature.
        rank: Length of s, which makes the map from u to the step low-rank. Default:
            features / 16, rounded up.
        step_min: Shortest initial step.
        step_max: Longest initial step. The initial step at u = 0 is log-uniform between
            the two.

    Returns:
        A `Cell` with `MambaParams` and `MambaState`. It runs in parallel over time. As
        in the authors' code, a_log is initially log(1 ... states) for each feature, d
        is 1, and W_s is uniform within 1 / sqrt(rank). Other weights are initialized by
        lecun_normal.

    Raises:
        ValueError: `states` or `rank` is below 1, or the range of the steps is empty or
            begins at or below 0.

    Example:
        >>> import nets
        >>> cell = mamba(states=4)
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)), parallel=True)
        >>> state.hidden.shape, ys.shape
        ((5, 8, 4), (10, 5, 8))

    References:
        Gu and Dao 2023, Mamba: linear-time sequence modeling with selective state
        spaces, https://arxiv.org/abs/2312.00752
    """
    check_steps(step_min, step_max)
    if states < 1 or (rank is not None and rank < 1):
        raise ValueError(
            f"expected at least 1 state and a rank of at least 1; got {states} and "
            f"{rank}"
        )

    def init(key, inputs, features):
        keys = jax.random.split(key, 4)
        low = math.ceil(features / 16) if rank is None else rank
        w_s = jax.random.uniform(keys[2], (low, features), minval=-1.0)
        exponents = jnp.log(jnp.arange(1.0, states + 1))
        return MambaParams(
            w_i=lecun_normal()(keys[0], (inputs, features)),
            w_u=lecun_normal()(keys[1], (features, low + 2 * states)),
            w_s=w_s / math.sqrt(low),
            b=step_bias(keys[3], features, step_min, step_max),
            a_log=jnp.tile(exponents, (features, 1)),
            d=jnp.ones(features),
        )

    def initial_state(params, x):
        zeros = initializers.zero_state(x, params.w_i, params.a_log)
        shape = (*zeros.shape, params.a_log.shape[-1])
        return MambaState(wide(jnp.zeros(shape, zeros.dtype)))

    def coefficients(params, state, xs):
        p, xs = wide(params, xs)
        u = tag_candidate(xs @ p.w_i)
        s, b, _ = _split(p, u @ p.w_u)
        step = jax.nn.softplus(add_bias(s @ p.w_s, p.b))
        rates = jnp.broadcast_to(jnp.exp(p.a_log), (*u.shape, p.a_log.shape[-1]))
        a = jnp.exp(-step[..., None] * rates)
        a = tag_gate(a, "keep", retains=True)
        return MambaState(a), MambaState((step * u)[..., None] * b[..., None, :])

    def read(params, state, x):
        dtype = jnp.result_type(x, *params)
        p, h, x = wide(params, state.hidden, x)
        u = x @ p.w_i
        _, _, c = _split(p, u @ p.w_u)
        y = jnp.einsum("...is,...s->...i", h, c) + scale_features(u, p.d)
        return y.astype(dtype)

    return linear_cell(init, initial_state, coefficients, read)


def _split(params, projected):
    """Split the projection of u into s, B and C."""
    rank, states = params.w_s.shape[0], params.a_log.shape[-1]
    return jnp.split(projected, [rank, rank + states], axis=-1)
