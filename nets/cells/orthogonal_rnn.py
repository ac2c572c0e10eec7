"""A recurrent network whose recurrent matrix stays orthogonal."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets import initializers
from nets.factories import factory
from nets.linear import wide
from nets.types import Cell


class OrthogonalRNNParams(NamedTuple):
    """w_i [inputs, features], b [features]; W_h is made from a [features, features]."""

    w_i: Float[Array, "inputs features"]
    a: Float[Array, "features features"]
    b: Float[Array, " features"]


class OrthogonalRNNState(NamedTuple):
    """hidden [*batch, features], at least float32: steps accumulate in it."""

    hidden: Float[Array, "*batch features"]


def _mod_relu(z, b):
    """sign(z) relu(abs(z) + b): a ReLU of the magnitude of z; the identity if b = 0."""
    b = jnp.broadcast_to(b, z.shape)
    # Not sign(z) relu(abs(z) + b), whose derivative at z = 0 would be 0 for every b.
    off = (jnp.abs(z) + b <= 0) & (b < 0)
    return jnp.where(off, 0, z + jnp.sign(z) * b)


@jax.custom_jvp
def _inverse(matrix):
    return jnp.linalg.inv(matrix)


@_inverse.defjvp
def _inverse_jvp(primals, tangents):
    # Two products: the derivative rule of jnp.linalg.inv would solve again at each
    # step.
    inverse = _inverse(*primals)
    return inverse, -inverse @ tangents[0] @ inverse


def _cayley(a, negative):
    """(I + S)^-1 (I - S) D, at least float32: in less it would not be orthogonal."""
    a = wide(a)
    eye = jnp.eye(len(a), dtype=a.dtype)
    w = 2 * _inverse(eye + a - a.T) - eye
    start = len(a) - round(negative * len(a))
    return w.at[:, start:].multiply(-1)


@factory
def orthogonal_rnn(
    activation: Callable[[jax.Array, jax.Array], jax.Array] = _mod_relu,
    negative: float = 0.5,
) -> Cell:
    """The scoRNN: a recurrent network whose W_h is orthogonal by construction.

        h' = modrelu(W_i x + W_h h),    modrelu(z) = sign(z) relu(abs(z) + b)
        W_h = (I + S)^-1 (I - S) D,    S = A - A^T,    D diagonal, of 1 and -1

    A is unconstrained, so any optimizer can be used. All singular values of W_h are 1,
    so the norm of a gradient changes only where the slope of the activation is not 1.
    Initially b = 0, where modrelu is the identity.

    W_h is computed from A at each step, because a cell is a function of one step. jit
    hoists this computation out of the loop over time, but not its gradient, which takes
    two products of [features, features] per step. For this reason W_h is the Cayley
    transform and not the matrix exponential of expRNN, whose gradient takes several
    times as long. Without D, W_h could not have the eigenvalue -1, and could come close
    to it only with a large A.

    Args:
        activation: Function `activation(z, b)` of z = W_i x + W_h h. Default: modrelu.
        negative: Fraction of D's diagonal that is -1, from 0 to 1. It is not learned.
            The authors choose it for each task: 0.1 for MNIST, 0.5 for copying.

    Returns:
        A `Cell` with `OrthogonalRNNParams` and `OrthogonalRNNState`. The parameters are
        initialized as in the authors' code: S consists of 2 x 2 blocks that rotate by
        angles uniform over [0, pi / 2], W_i is uniform over [-0.01, 0.01], and b = 0.

    Example:
        >>> import nets
        >>> cell = nets.orthogonal_rnn()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)))
        >>> ys.shape
        (10, 5, 8)

    References:
        Helfrich, Willmott and Ye 2018, Orthogonal recurrent neural networks with scaled
        Cayley transform, https://arxiv.org/abs/1707.09520
        Lezcano-Casado and Martinez-Rubio 2019, Cheap orthogonal constraints in neural
        networks, https://arxiv.org/abs/1901.08428 (expRNN).
    """

    def init(key, inputs, features):
        key_i, key_a = jax.random.split(key)
        w_i = jax.random.uniform(key_i, (inputs, features), minval=-0.01, maxval=0.01)
        angles = jax.random.uniform(key_a, (features // 2,), maxval=jnp.pi / 2)
        above = jnp.zeros(features - 1).at[::2].set(-jnp.tan(angles / 2))
        return OrthogonalRNNParams(w_i, jnp.diag(above, k=1), jnp.zeros(features))

    def initial_state(params, x):
        zeros = initializers.zero_state(x, params.w_i, params.a)
        return OrthogonalRNNState(wide(zeros))

    def step(params, state, x, drop=lambda h: h):
        w_h = _cayley(params.a, negative)
        from_x = x @ params.w_i
        dtype = jnp.result_type(from_x, params.a)
        z, h_in, w_h, b = wide(from_x, drop(state.hidden), w_h, params.b)
        h = activation(z + h_in @ w_h.T, b).astype(state.hidden.dtype)
        return OrthogonalRNNState(h), h.astype(dtype)

    return Cell(init, initial_state, step, takes_drop=True)
