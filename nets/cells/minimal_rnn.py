"""MinimalRNN: a recurrent network whose only recurrent weights are in its gate."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets import initializers
from nets.factories import factory
from nets.linear import add_bias, wide
from nets.tracing.tags import tag_candidate, tag_gate
from nets.types import Cell


class MinimalRNNParams(NamedTuple):
    """For z: w_i [inputs, features], b_z; for u: w_h and w_z [features, features], b_u.

    Both biases are [features].
    """

    w_i: Float[Array, "inputs features"]
    w_h: Float[Array, "features features"]
    w_z: Float[Array, "features features"]
    b_z: Float[Array, " features"]
    b_u: Float[Array, " features"]


class MinimalRNNState(NamedTuple):
    """hidden [*batch, features], at least float32: steps accumulate in it."""

    hidden: Float[Array, "*batch features"]


@factory
def minimal_rnn(init: initializers.Initializer = initializers.orthogonal) -> Cell:
    """MinimalRNN: the state and the encoded input are interpolated by one gate.

        z = tanh(W_i x + b_z)
        u = sigmoid(W_h h + W_z z + b_u)
        h' = u h + (1 - u) z

    The state is an average of the encoded inputs z and stays in their range. W_h
    appears only inside the gate, so the gradient is multiplied by u directly, and by
    W_h only through the change of u. tanh(W_i x + b_z) is one of the many encoders that
    the paper allows.

    Args:
        init: Initializer of the parameters, from `nets.initializers`: u is initialized
            as a forget gate that reads z and h, z as an affine map of x.

    Returns:
        A `Cell` with `MinimalRNNParams` and `MinimalRNNState`.

    Example:
        >>> import nets
        >>> cell = nets.minimal_rnn()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)))
        >>> ys.shape
        (10, 5, 8)

    References:
        Chen 2017, MinimalRNN: toward more interpretable and trainable recurrent neural
        networks, https://arxiv.org/abs/1711.06788
    """

    def init_params(key, inputs, features):
        key_z, key_u = jax.random.split(key)
        # Drawn together with a forget gate, because some initializers require one.
        z = init(key_z, inputs, features, "fn")
        _, w_iz = jnp.split(z.w_i, 2, axis=-1)
        _, b_z = jnp.split(z.b_i, 2)
        w_z, w_h, b_i, b_h = init(key_u, features, features, "f")
        return MinimalRNNParams(w_iz, w_h, w_z, b_z, b_u=b_i + b_h)

    def initial_state(params, x):
        zeros = initializers.zero_state(x, params.w_i, params.w_h)
        return MinimalRNNState(wide(zeros))

    def step(params, state, x, drop=lambda h: h):
        from_x = x @ params.w_i
        z = tag_candidate(jnp.tanh(add_bias(*wide(from_x, params.b_z))))
        read = drop(state.hidden).astype(from_x.dtype) @ params.w_h
        read = read + z.astype(from_x.dtype) @ params.w_z
        u = add_bias(*wide(read, params.b_u))
        u = tag_gate(jax.nn.sigmoid(u), "update", retains=True)
        h = (u * wide(state.hidden) + (1 - u) * z).astype(state.hidden.dtype)
        return MinimalRNNState(h), h.astype(read.dtype)

    return Cell(init_params, initial_state, step, takes_drop=True)
