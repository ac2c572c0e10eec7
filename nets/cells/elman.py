"""Elman's simple recurrent network, the "vanilla RNN"."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets import initializers
from nets.factories import factory
from nets.linear import add_bias, wide
from nets.types import Cell


class ElmanParams(NamedTuple):
    """w_i [inputs, features], w_h [features, features], b [features]."""

    w_i: Float[Array, "inputs features"]
    w_h: Float[Array, "features features"]
    b: Float[Array, " features"]


class ElmanState(NamedTuple):
    """hidden [*batch, features]."""

    hidden: Float[Array, "*batch features"]


@factory
def elman(
    activation: Callable[[jax.Array], jax.Array] = jnp.tanh,
    init: initializers.Initializer = initializers.orthogonal,
) -> Cell:
    """The simple recurrent network ("vanilla RNN"); its state is its output.

        h' = activation(W_i x + W_h h + b)

    At every step the gradient is multiplied by W_h and by the slope of the activation.
    It vanishes or explodes as their product does.

    Args:
        activation: Elementwise activation function, e.g. tanh or `jax.nn.relu`.
        init: Initializer of the parameters, from `nets.initializers`.

    Returns:
        A `Cell` with `ElmanParams` and `ElmanState`.

    Example:
        >>> import nets
        >>> cell = nets.elman()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)))
        >>> ys.shape
        (10, 5, 8)

    References:
        Elman 1990, Finding structure in time, Cognitive Science 14(2),
        https://doi.org/10.1207/s15516709cog1402_1
    """

    def init_params(key, inputs, features):
        w_i, w_h, b_i, b_h = init(key, inputs, features, "n")
        return ElmanParams(w_i, w_h, b=b_i + b_h)

    def initial_state(params, x):
        return ElmanState(wide(initializers.zero_state(x, params.w_i, params.w_h)))

    def step(params, state, x, drop=lambda h: h):
        from_x = x @ params.w_i
        dtype = jnp.result_type(from_x, params.w_h)
        # W_h may be the identity, as in `irnn`: the product then accumulates all steps.
        z, h_in, w_h, b = wide(from_x, drop(state.hidden), params.w_h, params.b)
        h = activation(add_bias(z + h_in @ w_h, b)).astype(state.hidden.dtype)
        return ElmanState(h), h.astype(dtype)

    return Cell(init_params, initial_state, step, takes_drop=True)
