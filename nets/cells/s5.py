"""The simplified structured state space model, S5."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn.initializers import lecun_normal
from jaxtyping import Array, Complex, Float

from nets import initializers
from nets.factories import factory
from nets.linear import wide
from nets.linear_recurrence import linear_cell
from nets.types import Cell


class S5Params(NamedTuple):
    """Parameters of a complex system, as real arrays: re and im of lambda, B and C.

    lambda_re, lambda_im, log_step [states]; b_re, b_im [inputs, states]; c_re, c_im
    [states, features]; d [inputs, features].
    """

    lambda_re: Float[Array, " states"]
    lambda_im: Float[Array, " states"]
    log_step: Float[Array, " states"]
    b_re: Float[Array, "inputs states"]
    b_im: Float[Array, "inputs states"]
    c_re: Float[Array, "states features"]
    c_im: Float[Array, "states features"]
    d: Float[Array, "inputs features"]


class S5State(NamedTuple):
    """hidden [*batch, states], complex128 for float64, otherwise complex64."""

    hidden: Complex[Array, "*batch states"]


@factory
def s5(step_min: float = 0.001, step_max: float = 0.1) -> Cell:
    """The state space model of an S5 layer: a discretized linear differential equation.

        step = exp(log_step)
        a = exp(lambda step)
        h' = a h + (a - 1) / lambda (B x)
        y = 2 real(C h') + D x

    It is dh/dt = lambda h + B x with x held constant between samples, so dh_T/dh_0 =
    a^T for every input. The states come in conjugate pairs, and one state of each pair
    is kept: max(1, features // 2) in all. D is a full matrix, because inputs and
    features may differ; in the paper it is diagonal. The nonlinearity and the gate of
    an S5 layer are not included.

    Args:
        step_min: Shortest initial step.
        step_max: Longest initial step. The initial log_step is uniform between
            log(step_min) and log(step_max).

    Returns:
        A `Cell` with `S5Params` and `S5State`, whose output y is real. It runs in
        parallel over time. The initial lambda are eigenvalues of the HiPPO-N matrix; B
        and C are initialized as in the authors' code, in the basis of its eigenvectors,
        and D by lecun_normal. Nothing keeps the real part of lambda negative during
        training.

    Example:
        >>> import nets
        >>> cell = s5()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)), parallel=True)
        >>> state.hidden.shape, ys.shape, ys.dtype.name
        ((5, 4), (10, 5, 8), 'float32')

    References:
        Smith, Warrington and Linderman 2023, Simplified state space layers for sequence
        modeling, https://arxiv.org/abs/2208.04933
    """
    if not 0 < step_min <= step_max:
        raise ValueError(
            f"expected 0 < step_min <= step_max; got {step_min} and {step_max}"
        )

    def init(key, inputs, features):
        keys = jax.random.split(key, 5)
        states = max(1, features // 2)
        lambda_im, vectors = _hippo_n(2 * states)
        b = lecun_normal()(keys[0], (2 * states, inputs)).T
        v_re = jnp.asarray(np.real(vectors[:, :states]), b.dtype)
        v_im = jnp.asarray(np.imag(vectors[:, :states]), b.dtype)
        # As in the authors' code, C is drawn complex, although HiPPO-N is real.
        c_re, c_im = (lecun_normal()(k, (2 * states, features)) for k in keys[1:3])
        log_step = jax.random.uniform(
            keys[3], (states,), minval=math.log(step_min), maxval=math.log(step_max)
        )
        return S5Params(
            lambda_re=jnp.full(states, -0.5),
            lambda_im=jnp.asarray(lambda_im[:states], b.dtype),
            log_step=log_step,
            b_re=b @ v_re,
            b_im=-b @ v_im,
            c_re=v_re.T @ c_re - v_im.T @ c_im,
            c_im=v_re.T @ c_im + v_im.T @ c_re,
            d=lecun_normal()(keys[4], (inputs, features)),
        )

    def initial_state(params, x):
        zeros = wide(initializers.zero_state(x, params.b_re, params.c_re))
        return S5State(jax.lax.complex(zeros, zeros))

    def coefficients(params, state, xs):
        p, xs = wide(params, xs)
        step = jnp.exp(p.log_step)
        exponents = jax.lax.complex(p.lambda_re * step, p.lambda_im * step)
        a = jnp.broadcast_to(
            jnp.exp(exponents), (len(xs), *[1] * (xs.ndim - 2), len(exponents))
        )
        b = jax.lax.complex(xs @ p.b_re, xs @ p.b_im)
        held = step.astype(b.dtype) * _mean_of_exp(exponents)
        return S5State(a), S5State(b * jnp.broadcast_to(held, b.shape))

    def read(params, state, x):
        h = state.hidden
        dtype = jnp.result_type(x, *params)
        re, im, c_re, c_im = wide(h.real, h.imag, params.c_re, params.c_im)
        y = 2 * (re @ c_re - im @ c_im) + wide(x @ params.d)
        return y.astype(dtype)

    return linear_cell(init, initial_state, coefficients, read)


def _mean_of_exp(z: Complex[Array, " states"]) -> Complex[Array, " states"]:
    """(exp(z) - 1) / z, with value 1 and derivative 1/2 at z = 0."""
    small = jnp.maximum(jnp.abs(z.real), jnp.abs(z.imag)) < 1e-3
    z, other = jnp.where(small, z, 0), jnp.where(small, 1, z)
    series = 1 + z / 2 * (1 + z / 3 * (1 + z / 4 * (1 + z / 5)))
    return jnp.where(small, series, jnp.expm1(other) / other)


def _hippo_n(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Ascending imaginary parts of the eigenvalues of HiPPO-N, and its eigenvectors.

    HiPPO-N is -1/2 I + K with K^T = -K. So all real parts are -1/2, and the
    eigenvectors are those of the Hermitian -i K, in conjugate pairs.
    """
    root = np.sqrt(np.arange(size) + 0.5)
    lower = np.tril(np.outer(root, root), -1)
    return np.linalg.eigh(-1j * (lower.T - lower))
