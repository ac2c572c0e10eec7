"""The linear recurrent unit."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from nets import initializers
from nets.factories import factory
from nets.linear import scale_features, wide
from nets.linear_recurrence import linear_cell
from nets.types import Cell


class LRUParams(NamedTuple):
    """Parameters of a complex recurrence, as real arrays: re and im of B and C.

    nu, theta and gamma [features] are logarithms; b_re, b_im and d are [inputs,
    features]; c_re and c_im are [features, features].
    """

    nu: Float[Array, " features"]
    theta: Float[Array, " features"]
    gamma: Float[Array, " features"]
    b_re: Float[Array, "inputs features"]
    b_im: Float[Array, "inputs features"]
    c_re: Float[Array, "features features"]
    c_im: Float[Array, "features features"]
    d: Float[Array, "inputs features"]


class LRUState(NamedTuple):
    """hidden [*batch, features], complex128 for float64, otherwise complex64."""

    hidden: Complex[Array, "*batch features"]


@factory
def lru(r_min: float = 0.0, r_max: float = 1.0, max_phase: float = 2 * math.pi) -> Cell:
    """The linear recurrent unit: one complex eigenvalue per unit, constant over time.

        lambda = exp(-exp(nu) + i exp(theta))
        h' = lambda h + exp(gamma) (B x)
        y = real(C h') + D x

    dh_T/dh_0 = lambda^T for every input. The moduli exp(-exp(nu)), which are below 1,
    alone determine how far the gradient reaches. D is a full matrix, because inputs and
    features may differ; in the paper it is diagonal.

    Args:
        r_min: Smallest initial modulus.
        r_max: Largest initial modulus. The initial lambda are uniform over the ring
            between r_min and r_max. The initial gamma is log sqrt(1 - |lambda|^2), for
            which h has the variance of B x if the inputs are white noise.
        max_phase: Largest initial angle of lambda, in radians.

    Returns:
        A `Cell` with `LRUParams` and `LRUState`, whose output y is real. It runs in
        parallel over time. B, C and D are initially normal with variances 1 / (2
        inputs), 1 / features and 1 / inputs.

    Example:
        >>> import nets
        >>> cell = lru(r_min=0.9, r_max=0.999)
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)), parallel=True)
        >>> state.hidden.dtype.name, ys.shape, ys.dtype.name
        ('complex64', (10, 5, 8), 'float32')

    References:
        Orvieto et al. 2023, Resurrecting recurrent neural networks for long sequences,
        https://arxiv.org/abs/2303.06349
    """
    if not 0 <= r_min < r_max <= 1:
        raise ValueError(f"expected 0 <= r_min < r_max <= 1; got {r_min} and {r_max}")

    def init(key, inputs, features):
        keys = jax.random.split(key, 7)
        # Not 0: its logarithm is infinite.
        tiny = jnp.finfo(jnp.float32).tiny
        r_squared = jax.random.uniform(
            keys[0], (features,), minval=max(r_min**2, tiny), maxval=r_max**2
        )
        angle = jax.random.uniform(keys[1], (features,), minval=tiny, maxval=max_phase)
        # A draw below r_max^2 may be rounded to 1, whose logarithm is 0.
        below_1 = 1 - jnp.finfo(r_squared.dtype).epsneg
        nu = jnp.log(-0.5 * jnp.log(jnp.minimum(r_squared, below_1)))
        gamma = 0.5 * jnp.log(-jnp.expm1(-2 * jnp.exp(nu)))

        def normal(key, rows, variance):
            return math.sqrt(variance) * jax.random.normal(key, (rows, features))

        return LRUParams(
            nu,
            jnp.log(angle),
            gamma,
            b_re=normal(keys[2], inputs, 0.5 / inputs),
            b_im=normal(keys[3], inputs, 0.5 / inputs),
            c_re=normal(keys[4], features, 1 / features),
            c_im=normal(keys[5], features, 1 / features),
            d=normal(keys[6], inputs, 1 / inputs),
        )

    def initial_state(params, x):
        zeros = wide(initializers.zero_state(x, params.b_re, params.c_re))
        return LRUState(jax.lax.complex(zeros, zeros))

    def coefficients(params, state, xs):
        p, xs = wide(params, xs)
        eigenvalues = jnp.exp(jax.lax.complex(-jnp.exp(p.nu), jnp.exp(p.theta)))
        a = jnp.broadcast_to(
            eigenvalues, (len(xs), *[1] * (xs.ndim - 2), len(eigenvalues))
        )
        gain = jnp.exp(p.gamma)
        b = jax.lax.complex(
            scale_features(xs @ p.b_re, gain), scale_features(xs @ p.b_im, gain)
        )
        return LRUState(a), LRUState(b)

    def read(params, state, x):
        h = state.hidden
        dtype = jnp.result_type(x, *params)
        re, im, c_re, c_im = wide(h.real, h.imag, params.c_re, params.c_im)
        y = re @ c_re - im @ c_im + wide(x @ params.d)
        return y.astype(dtype)

    return linear_cell(init, initial_state, coefficients, read)
