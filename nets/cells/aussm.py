"""The adaptive unitary state space model."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.nn.initializers import lecun_normal
from jaxtyping import Array, Complex, Float

from nets import initializers
from nets.factories import factory
from nets.linear import add_bias, scale_features, wide
from nets.linear_recurrence import linear_cell
from nets.types import Cell


class AUSSMParams(NamedTuple):
    """Parameters of a complex recurrence, as real arrays: modulus and angle of B and C.

    w_i [inputs, features]; w_u [features, states] and w_s [states, features] with b
    [features] give the step; w_a [features, features, states] and phase [features,
    states] give the angles; b_size, b_angle, c_size and c_angle are [states], and d is
    [features].
    """

    w_i: Float[Array, "inputs features"]
    w_u: Float[Array, "features states"]
    w_s: Float[Array, "states features"]
    b: Float[Array, " features"]
    w_a: Float[Array, "features features states"]
    phase: Float[Array, "features states"]
    b_size: Float[Array, " states"]
    b_angle: Float[Array, " states"]
    c_size: Float[Array, " states"]
    c_angle: Float[Array, " states"]
    d: Float[Array, " features"]


class AUSSMState(NamedTuple):
    """hidden [*batch, features, states], complex128 for float64, else complex64."""

    hidden: Complex[Array, "*batch features states"]


@factory
def aussm(states: int = 16) -> Cell:
    """The adaptive unitary state space model: the input turns the state.

        u = W_i x
        step = softplus(W_s W_u u + b)
        angle = W_a u / sqrt(features) + phase
        B, C = softplus(b_size) exp(i b_angle), softplus(c_size) exp(i c_angle)
        h' = exp(i angle) h + (step silu(u)) B^T
        y = real(h' C) + d silu(u)

    h has `states` complex numbers per feature. dh_T/dh_0 is a product of numbers of
    modulus 1: along the state, the gradient neither vanishes nor grows, whatever the
    input is. Nothing is forgotten either: each input stays in h with its full weight,
    turned by the sum of the later angles.

    W_i is the input projection of the authors' block. The convolution after it, the
    gate and the output projection are not included.

    Args:
        states: Number of states per feature.

    Returns:
        A `Cell` with `AUSSMParams` and `AUSSMState`, whose output y is real. It runs in
        parallel over time. As in the authors' code, the phase is initially uniform
        between -pi and pi, parts of B and C are normal with variance 1/2, and d is 1.
        Weights are initialized by lecun_normal and b with zeros.

    Raises:
        ValueError: `states` is below 1.

    Example:
        >>> import nets
        >>> cell = aussm(states=4)
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)), parallel=True)
        >>> state.hidden.dtype.name, state.hidden.shape, ys.dtype.name
        ('complex64', (5, 8, 4), 'float32')

    References:
        Karuvally et al. 2025, Bridging expressivity and scalability with adaptive
        unitary SSMs, https://arxiv.org/abs/2507.05238
    """
    if states < 1:
        raise ValueError(f"expected at least 1 state; got {states}")

    def init(key, inputs, features):
        keys = jax.random.split(key, 6)
        parts = math.sqrt(0.5) * jax.random.normal(keys[4], (4, states))
        lecun = lecun_normal()
        angles = lecun(keys[3], (features, features * states))
        phase = jax.random.uniform(
            keys[5], (features, states), minval=-math.pi, maxval=math.pi
        )
        return AUSSMParams(
            w_i=lecun(keys[0], (inputs, features)),
            w_u=lecun(keys[1], (features, states)),
            w_s=lecun(keys[2], (states, features)),
            b=jnp.zeros(features),
            w_a=angles.reshape(features, features, states),
            phase=phase,
            b_size=parts[0],
            b_angle=parts[1],
            c_size=parts[2],
            c_angle=parts[3],
            d=jnp.ones(features),
        )

    def initial_state(params, x):
        like = initializers.zero_state(x, params.w_i, params.phase)
        shape = (*like.shape, params.phase.shape[-1])
        zeros = wide(jnp.zeros(shape, like.dtype))
        return AUSSMState(jax.lax.complex(zeros, zeros))

    def coefficients(params, state, xs):
        p, xs = wide(params, xs)
        u = xs @ p.w_i
        step = jax.nn.softplus(add_bias(u @ p.w_u @ p.w_s, p.b))
        angle = jnp.einsum("...j,jis->...is", u, p.w_a) / math.sqrt(u.shape[-1])
        angle = angle + jnp.broadcast_to(p.phase, angle.shape)
        written = (step * jax.nn.silu(u))[..., None]
        b = _polar(p.b_size, p.b_angle)
        b = [written * jnp.broadcast_to(part, angle.shape) for part in b]
        a = jax.lax.complex(jnp.cos(angle), jnp.sin(angle))
        return AUSSMState(a), AUSSMState(jax.lax.complex(*b))

    def read(params, state, x):
        dtype = jnp.result_type(x, *params)
        h = state.hidden
        p, x, re, im = wide(params, x, h.real, h.imag)
        c_re, c_im = _polar(p.c_size, p.c_angle)
        skip = scale_features(jax.nn.silu(x @ p.w_i), p.d)
        return (re @ c_re - im @ c_im + skip).astype(dtype)

    return linear_cell(init, initial_state, coefficients, read)


def _polar(size, angle):
    """Real and imaginary part of softplus(size) exp(i angle)."""
    size = jax.nn.softplus(size)
    return size * jnp.cos(angle), size * jnp.sin(angle)
