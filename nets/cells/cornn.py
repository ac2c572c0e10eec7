"""The coupled oscillatory recurrent network."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets import initializers
from nets.factories import factory
from nets.linear import add_bias, wide
from nets.types import Cell


class CoRNNParams(NamedTuple):
    """w_i [inputs, features], w_h and w_z [features, features], b [features].

    w_h reads the hidden state, w_z the velocity.
    """

    w_i: Float[Array, "inputs features"]
    w_h: Float[Array, "features features"]
    w_z: Float[Array, "features features"]
    b: Float[Array, " features"]


class CoRNNState(NamedTuple):
    """hidden (the oscillators' positions) and velocity, each [*batch, features].

    Both are at least float32: steps accumulate in them.
    """

    hidden: Float[Array, "*batch features"]
    velocity: Float[Array, "*batch features"]


@factory
def cornn(dt: float = 0.042, gamma: float = 2.7, epsilon: float = 4.7) -> Cell:
    """The coRNN: driven, damped oscillators, coupled through their driving forces.

        z' = z + dt (tanh(W_i x + W_h h + W_z z + b) - gamma h - epsilon z)
        h' = h + dt z'

    A small dt keeps each step close to the identity, so the gradient over long times is
    bounded from above and from below. The damping is explicit (epsilon z, not epsilon
    z'), as in the authors' code; the paper allows either.

    Args:
        dt: Time step. The defaults of dt, gamma and epsilon are the authors' values for
            sequential MNIST.
        gamma: Squared frequency of the oscillators.
        epsilon: Damping of the oscillators.

    Returns:
        A `Cell` with `CoRNNParams` and `CoRNNState`; its output is h. All parameters
        are initially uniform within 1 / sqrt(inputs + 2 features), as in the authors'
        code.

    Example:
        >>> import nets
        >>> cell = nets.cornn()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)))
        >>> state.velocity.shape, ys.shape
        ((5, 8), (10, 5, 8))

    References:
        Rusch and Mishra 2021, Coupled oscillatory recurrent neural network (coRNN): an
        accurate and (gradient) stable architecture for learning long time
        dependencies, https://arxiv.org/abs/2010.00951
    """
    dt, gamma, epsilon = map(float, (dt, gamma, epsilon))  # not NumPy's

    def init(key, inputs, features):
        bound = (inputs + 2 * features) ** -0.5
        key_i, key_h, key_z, key_b = jax.random.split(key, 4)

        def draw(key, *shape):
            return jax.random.uniform(key, shape, minval=-bound, maxval=bound)

        return CoRNNParams(
            draw(key_i, inputs, features),
            draw(key_h, features, features),
            draw(key_z, features, features),
            draw(key_b, features),
        )

    def initial_state(params, x):
        zeros = initializers.zero_states(2, x, params.w_i, params.w_h)
        return CoRNNState(*wide(zeros))

    def step(params, state, x, drop=lambda h: h):
        h, z = wide(state)
        from_x = x @ params.w_i
        read = from_x + drop(state.hidden).astype(from_x.dtype) @ params.w_h
        read = read + z.astype(from_x.dtype) @ params.w_z
        driven = jnp.tanh(add_bias(*wide(read, params.b)))
        z = z + dt * (driven - gamma * h - epsilon * z)
        z = z.astype(state.velocity.dtype)
        h = (h + dt * wide(z)).astype(state.hidden.dtype)
        return CoRNNState(hidden=h, velocity=z), h.astype(read.dtype)

    return Cell(init, initial_state, step, takes_drop=True)
