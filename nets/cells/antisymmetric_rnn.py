"""The antisymmetric recurrent network."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets import initializers
from nets.factories import factory
from nets.linear import add_bias, wide
from nets.tracing.tags import tag_candidate, tag_gate
from nets.types import Cell


class AntisymmetricRNNParams(NamedTuple):
    """w_i [inputs, features] and b [features]; twice as wide, in order n z, if gated.

    w_h is [features, features]; only W_h - W_h^T is used.
    """

    w_i: Float[Array, "inputs outputs"]
    w_h: Float[Array, "features features"]
    b: Float[Array, " outputs"]


class AntisymmetricRNNState(NamedTuple):
    """hidden [*batch, features], at least float32: steps accumulate in it."""

    hidden: Float[Array, "*batch features"]


@factory
def antisymmetric_rnn(
    step_size: float = 0.01,
    diffusion: float = 0.01,
    gated: bool = False,
    sigma: float = 1.0,
) -> Cell:
    """An antisymmetric RNN: a stable differential equation, solved by Euler's method.

        r = (W_h - W_h^T) h - diffusion h
        z = sigmoid(W_iz x + r + b_z) if gated, otherwise 1
        h' = h + step_size z tanh(W_in x + r + b_n)

    All eigenvalues of the matrix in r have real part -diffusion. Without diffusion the
    state of the differential equation neither decays nor explodes, and its gradient
    neither vanishes nor grows. Euler's method makes both grow slightly; the diffusion
    compensates for this growth.

    Args:
        step_size: Step size of Euler's method; the paper's epsilon, 0.01 to 1.
        diffusion: Diffusion coefficient; the paper's gamma, 0 to 1.
        gated: Whether a gate z, which shares W_h, scales the change of the state.
        sigma: Scale of the initial W_h: W_h ~ N(0, sigma^2 / features). The paper tries
            0 to 16. Always W_i ~ N(0, 1 / inputs) and b = 0.

    Returns:
        A `Cell` with `AntisymmetricRNNParams` and `AntisymmetricRNNState`.

    Example:
        >>> import nets
        >>> cell = nets.antisymmetric_rnn(gated=True)
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)))
        >>> ys.shape
        (10, 5, 8)

    References:
        Chang et al. 2019, AntisymmetricRNN: a dynamical system view on recurrent neural
        networks, https://arxiv.org/abs/1902.09689
    """
    step_size, diffusion, sigma = map(
        float, (step_size, diffusion, sigma)
    )  # NumPy scalars would change dtypes

    def init(key, inputs, features):
        key_i, key_h = jax.random.split(key)
        outputs = 2 * features if gated else features
        w_i = jax.random.normal(key_i, (inputs, outputs)) / inputs**0.5
        w_h = sigma * jax.random.normal(key_h, (features, features)) / features**0.5
        return AntisymmetricRNNParams(w_i, w_h, jnp.zeros(outputs))

    def initial_state(params, x):
        if (params.w_i.shape[1] != params.w_h.shape[0]) != gated:
            raise ValueError(
                f"expected parameters of antisymmetric_rnn(gated={gated}); got those "
                f"of gated={not gated}: with a gate w_i is twice as wide"
            )
        zeros = initializers.zero_state(x, params.w_i, params.w_h)
        return AntisymmetricRNNState(wide(zeros))

    def step(params, state, x, drop=lambda h: h):
        h, from_x = wide(state.hidden), x @ params.w_i
        h_in = drop(state.hidden).astype(from_x.dtype)
        from_h = h_in @ (params.w_h - params.w_h.T)
        r = wide(from_h) - diffusion * h
        x = add_bias(*wide(from_x, params.b))
        if gated:
            x, x_z = jnp.split(x, 2, axis=-1)
            z = tag_gate(jax.nn.sigmoid(x_z + r), "update")
            h = h + step_size * z * tag_candidate(jnp.tanh(x + r))
        else:
            h = h + step_size * tag_candidate(jnp.tanh(x + r))
        h = h.astype(state.hidden.dtype)
        return AntisymmetricRNNState(h), h.astype(from_h.dtype)

    return Cell(init, initial_state, step, takes_drop=True)
