"""DeltaNet: a memory that is written by the delta rule."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.nn.initializers import lecun_normal
from jaxtyping import Array, Float

from nets.cells._delta_rule import delta_cell
from nets.factories import factory
from nets.tracing.tags import tag_gate
from nets.types import Cell


class DeltaNetParams(NamedTuple):
    """w_i [inputs, 3 features]: q k v; w_g [inputs, heads]: beta."""

    w_i: Float[Array, "inputs 3*features"]
    w_g: Float[Array, "inputs heads"]


class DeltaNetState(NamedTuple):
    """memory [*batch, heads, d, d], at least float32.

    Rows belong to the key, columns to the value.
    """

    memory: Float[Array, "*batch heads d d"]


@factory
def delta_net(heads: int = 1, beta_max: float = 1.0) -> Cell:
    """DeltaNet: each head corrects what its memory returns for a key.

        q, k, v = silu(W_q x), silu(W_k x), silu(W_v x)
        q, k = q / norm(q), k / norm(k)
        beta = beta_max sigmoid(W_g x)
        S' = S + beta k (v - S^T k)^T
        y = S'^T q

    The correction is a step of gradient descent on norm(S^T k - v)^2 / 2, of size beta.
    So S' = (I - beta k k^T) S + beta k v^T: the memory along k is kept with weight 1 -
    beta, and does not change in other directions. beta is one number per head, d =
    features / heads. The short convolutions, the normalization of y and the output
    projection of a DeltaNet layer are not included.

    Args:
        heads: Number of heads, into which the features are split.
        beta_max: Largest beta. With 2, the eigenvalue 1 - beta is between -1 and 1,
            which is needed to track states such as a parity.

    Returns:
        A `Cell` with `DeltaNetParams` and `DeltaNetState`. It runs in parallel over
        time. Initial weights are lecun_normal.

    Raises:
        ValueError: `beta_max` is not above 0 and at most 2, or the heads do not share
            the features equally.

    Example:
        >>> import nets
        >>> cell = delta_net(heads=2)
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)), parallel=True)
        >>> state.memory.shape, ys.shape
        ((5, 2, 4, 4), (10, 5, 8))

    References:
        Schlag, Irie and Schmidhuber 2021, Linear transformers are secretly fast weight
        programmers, https://arxiv.org/abs/2102.11174
        Yang et al. 2024, Parallelizing linear transformers with the delta rule over
        sequence length, https://arxiv.org/abs/2406.06484
        Grazzi et al. 2025, Unlocking state-tracking in linear RNNs through negative
        eigenvalues, https://arxiv.org/abs/2411.12537 (beta_max)
    """

    def init(key, inputs, features):
        key_i, key_g = jax.random.split(key)
        return DeltaNetParams(
            w_i=lecun_normal()(key_i, (inputs, 3 * features)),
            w_g=lecun_normal()(key_g, (inputs, heads)),
        )

    def gates(params, xs):
        write = tag_gate(jax.nn.sigmoid(xs @ params.w_g), "write")
        return jnp.ones_like(write), write

    return delta_cell("delta_net", heads, beta_max, 1, init, DeltaNetState, gates)
