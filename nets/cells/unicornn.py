"""The undamped independent controlled oscillatory recurrent network."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets import initializers
from nets.factories import factory
from nets.linear import add_bias, scale_features, wide
from nets.types import Cell


class UnICORNNParams(NamedTuple):
    """w_i [inputs, features]; w_h, c and b [features].

    w_h is the diagonal of a matrix; c sets the time step of each unit.
    """

    w_i: Float[Array, "inputs features"]
    w_h: Float[Array, " features"]
    c: Float[Array, " features"]
    b: Float[Array, " features"]


class UnICORNNState(NamedTuple):
    """hidden (the oscillators' positions) and velocity, each [*batch, features].

    Both are at least float32: steps accumulate in them.
    """

    hidden: Float[Array, "*batch features"]
    velocity: Float[Array, "*batch features"]


@factory
def unicornn(dt: float = 0.19, alpha: float = 30.65) -> Cell:
    """UnICORNN: undamped, uncoupled oscillators, each with a learned time step.

        d = dt sigmoid(c)
        z' = z - d (tanh(W_i x + w_h h + b) + alpha h)
        h' = h + d z'

    w_h h is elementwise: units interact only in the next layer of a stack. The step is
    the symplectic Euler method for a Hamiltonian system. It is invertible and preserves
    volume: the Jacobian with respect to (h, z) has determinant 1 for all parameters.

    Args:
        dt: Longest time step. The defaults of dt and alpha are the authors' values for
            permuted MNIST.
        alpha: Squared frequency of the oscillators, without the contribution of w_h.

    Returns:
        A `Cell` with `UnICORNNParams` and `UnICORNNState`; its output is h. The
        parameters are initialized as in the authors' code: w_h uniform over [0, 1], c
        over [-0.1, 0.1], w_i within sqrt(6 / (65 inputs)) (Kaiming's, with a = 8), and
        b = 0.

    Example:
        >>> import nets
        >>> cell = nets.unicornn()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)))
        >>> state.velocity.shape, ys.shape
        ((5, 8), (10, 5, 8))

    References:
        Rusch and Mishra 2021, UnICORNN: a recurrent model for learning very long time
        dependencies, https://arxiv.org/abs/2103.05487
    """
    dt, alpha = map(float, (dt, alpha))  # NumPy scalars would change dtypes

    def init(key, inputs, features):
        key_i, key_h, key_c = jax.random.split(key, 3)
        bound = (6 / (65 * inputs)) ** 0.5
        return UnICORNNParams(
            jax.random.uniform(key_i, (inputs, features), minval=-bound, maxval=bound),
            jax.random.uniform(key_h, (features,)),
            jax.random.uniform(key_c, (features,), minval=-0.1, maxval=0.1),
            jnp.zeros(features),
        )

    def initial_state(params, x):
        zeros = initializers.zero_states(2, x, params.w_i, params.w_h[:, None])
        return UnICORNNState(*wide(zeros))

    def step(params, state, x, drop=lambda h: h):
        h, z = wide(state)
        from_x = x @ params.w_i
        dtype = jnp.result_type(from_x, params.w_h)
        w_h, c, b = wide(params.w_h, params.c, params.b)
        d = dt * jax.nn.sigmoid(c)
        driven = wide(from_x) + scale_features(wide(drop(state.hidden)), w_h)
        z = z - scale_features(jnp.tanh(add_bias(driven, b)) + alpha * h, d)
        z = z.astype(state.velocity.dtype)
        h = (h + scale_features(wide(z), d)).astype(state.hidden.dtype)
        return UnICORNNState(hidden=h, velocity=z), h.astype(dtype)

    return Cell(init, initial_state, step, takes_drop=True)
