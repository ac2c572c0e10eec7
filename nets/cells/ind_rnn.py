"""The independently recurrent network: each unit sees only its previous state."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets import initializers
from nets.factories import factory
from nets.linear import add_bias, scale_features, wide
from nets.types import Cell


class IndRNNParams(NamedTuple):
    """w_i [inputs, features], w_h [features], a diagonal matrix, and b [features]."""

    w_i: Float[Array, "inputs features"]
    w_h: Float[Array, " features"]
    b: Float[Array, " features"]


class IndRNNState(NamedTuple):
    """hidden [*batch, features], at least float32: steps accumulate in it."""

    hidden: Float[Array, "*batch features"]


@factory
def ind_rnn(
    activation: Callable[[jax.Array], jax.Array] = jax.nn.relu,
    init: initializers.Initializer = initializers.orthogonal,
) -> Cell:
    """The independently recurrent network: `elman` with a diagonal W_h.

        h' = activation(W_i x + w_h h + b),    w_h h unit by unit

    Over T steps the gradient of an active unit is w_h to the power T, where w_h is the
    weight of that unit alone, so it can be read and bounded unit by unit. The paper
    clips abs(w_h) to at most 2^(1/T) after each update; this cell does not.

    Args:
        activation: Elementwise activation function, e.g. `jax.nn.relu` or tanh.
        init: Initializer of w_i and b, from `nets.initializers`. w_h is initially
            uniform over [0, 1], as in the authors' code: units have memories of all
            lengths.

    Returns:
        A `Cell` with `IndRNNParams` and `IndRNNState`.

    Example:
        >>> import jax.numpy as jnp, nets
        >>> cell = nets.ind_rnn()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)))
        >>> ys.shape
        (10, 5, 8)

    References:
        Li et al. 2018, Independently recurrent neural network (IndRNN): building a
        longer and deeper RNN, https://arxiv.org/abs/1803.04831
    """

    def init_params(key, inputs, features):
        key, key_h = jax.random.split(key)
        w_i, _, b_i, b_h = init(key, inputs, features, "n")
        return IndRNNParams(w_i, jax.random.uniform(key_h, (features,)), b=b_i + b_h)

    def initial_state(params, x):
        zeros = initializers.zero_state(x, params.w_i, params.w_h[:, None])
        return IndRNNState(wide(zeros))

    def step(params, state, x, drop=lambda h: h):
        from_x = x @ params.w_i
        recurrent = scale_features(*wide(drop(state.hidden), params.w_h))
        h = activation(add_bias(*wide(wide(from_x) + recurrent, params.b)))
        dtype = jnp.result_type(from_x, params.w_h)
        return IndRNNState(h.astype(state.hidden.dtype)), h.astype(dtype)

    return Cell(init_params, initial_state, step, takes_drop=True)
