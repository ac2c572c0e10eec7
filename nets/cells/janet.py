"""JANET ("just another network"): a long short-term memory with only a forget gate."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets import initializers
from nets.factories import factory
from nets.linear import add_bias, wide
from nets.tracing.tags import tag_candidate, tag_gate
from nets.types import Cell


class JANETParams(NamedTuple):
    """w_i [inputs, 2 features], w_h [features, 2 features], b; gate order f n."""

    w_i: Float[Array, "inputs 2*features"]
    w_h: Float[Array, "features 2*features"]
    b: Float[Array, " 2*features"]


class JANETState(NamedTuple):
    """hidden [*batch, features]: the cell, which no output gate hides.

    hidden is at least float32: steps accumulate in it.
    """

    hidden: Float[Array, "*batch features"]


@factory
def janet(
    beta: float = 1.0, init: initializers.Initializer = initializers.orthogonal
) -> Cell:
    """JANET: the long short-term memory with only a forget gate.

        f, n = split(W_i x + W_h h + b)
        h' = sigmoid(f) h + (1 - sigmoid(f - beta)) tanh(n)

    With beta = 0 the gate interpolates between the old state and the new input, as in a
    GRU. With beta > 0 the new input gains more weight than the old state loses: a gate
    that keeps almost all of the state, and so the gradient, still writes.

    Args:
        beta: Amount subtracted from the gate's pre-activation where the gate scales the
            new input.
        init: Initializer of the parameters, from `nets.initializers`. The paper
            initializes f's bias by chrono initialization.

    Returns:
        A `Cell` with `JANETParams` and `JANETState`.

    Example:
        >>> import nets
        >>> cell = nets.janet()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)))
        >>> ys.shape
        (10, 5, 8)

    References:
        van der Westhuizen and Lasenby 2018, The unreasonable effectiveness of the
        forget gate, https://arxiv.org/abs/1804.04849
    """
    beta = float(beta)  # NumPy scalars would change dtypes

    def init_params(key, inputs, features):
        w_i, w_h, b_i, b_h = init(key, inputs, features, "fn")
        return JANETParams(w_i, w_h, b=b_i + b_h)

    def initial_state(params, x):
        return JANETState(wide(initializers.zero_state(x, params.w_i, params.w_h)))

    def step(params, state, x, drop=lambda h: h):
        from_x = x @ params.w_i
        read = from_x + drop(state.hidden).astype(from_x.dtype) @ params.w_h
        gates = add_bias(*wide(read, params.b))
        f, n = jnp.split(gates, 2, axis=-1)
        # sigmoid(beta - f) is 1 - sigmoid(f - beta), without its loss of digits.
        i = tag_gate(jax.nn.sigmoid(beta - f), "input")
        f = tag_gate(jax.nn.sigmoid(f), "forget", retains=True)
        h = f * wide(state.hidden) + i * tag_candidate(jnp.tanh(n))
        h = h.astype(state.hidden.dtype)
        return JANETState(h), h.astype(read.dtype)

    return Cell(init_params, initial_state, step, takes_drop=True)
