"""The damped linear oscillatory state space model, D-LinOSS."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from nets.cells._oscillators import draw_projections, oscillator_cell
from nets.factories import factory
from nets.types import Cell


class DLinOSSParams(NamedTuple):
    """Parameters of damped oscillators, as real arrays: re and im of B and C.

    a, g and dt [features] are stiffnesses before clipping, dampings before relu and
    steps before sigmoid; b_re, b_im and d are [inputs, features]; c_re and c_im are
    [features, features].
    """

    a: Float[Array, " features"]
    g: Float[Array, " features"]
    dt: Float[Array, " features"]
    b_re: Float[Array, "inputs features"]
    b_im: Float[Array, "inputs features"]
    c_re: Float[Array, "features features"]
    c_im: Float[Array, "features features"]
    d: Float[Array, "inputs features"]


class DLinOSSState(NamedTuple):
    """hidden [*batch, features, 2]: velocities z, then positions y.

    complex128 for float64, otherwise complex64.
    """

    hidden: Complex[Array, "*batch features 2"]


@factory
def d_linoss(
    r_min: float = 0.9, r_max: float = 1.0, max_phase: float = math.pi
) -> Cell:
    """D-LinOSS: forced oscillators with learned damping, constant over time.

        G = relu(g),  dt = sigmoid(dt_raw)
        A = a, clipped to ((sqrt(1 + dt G) -+ 1) / dt)^2
        z' = z + dt (B x - A y - G z'),  y' = y + dt z'
        output = real(C y') + D x

    It is y'' = B x - A y - G y', discretized. The range of A is that of oscillation:
    both eigenvalues of ds_t/ds_{t-1} are complex, with modulus 1 / sqrt(1 + dt G). D is
    a full matrix, because inputs and features may differ; in the paper it is diagonal.
    The nonlinearity and the gate of a block are not included.

    Args:
        r_min: Smallest initial modulus of the eigenvalues.
        r_max: Largest initial modulus, at most 1. The initial eigenvalues are uniform
            over the ring between r_min and r_max.
        max_phase: Largest initial angle of the eigenvalues, in radians.

    Returns:
        A `Cell` with `DLinOSSParams` and `DLinOSSState`, whose output is real. It runs
        in parallel over time. As in the authors' code, dt_raw is initially normal with
        standard deviation 0.5, and B and C are uniform with bounds 1 / sqrt(inputs) and
        1 / sqrt(features); D is normal with variance 1 / inputs.

    Raises:
        ValueError: The radii do not bound a ring in the unit circle.

    Example:
        >>> import nets
        >>> cell = d_linoss(r_min=0.99)
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)), parallel=True)
        >>> state.hidden.shape, ys.shape, ys.dtype.name
        ((5, 8, 2), (10, 5, 8), 'float32')

    References:
        Boyer, Rusch and Rus 2025, Learning to dissipate energy in oscillatory
        state-space models, https://arxiv.org/abs/2505.12171
    """
    if not 0 < r_min <= r_max <= 1:
        raise ValueError(f"expected 0 < r_min <= r_max <= 1; got {r_min} and {r_max}")

    def init(key, inputs, features):
        key_r, key_phase, key_dt, key_p = jax.random.split(key, 4)
        r_squared = jax.random.uniform(
            key_r, (features,), minval=r_min**2, maxval=r_max**2
        )
        phase = jax.random.uniform(key_phase, (features,), maxval=max_phase)
        dt_raw = 0.5 * jax.random.normal(key_dt, (features,))
        dt = jax.nn.sigmoid(dt_raw)
        # The determinant of M is r^2 and its trace is 2 r cos(phase).
        s = 1 / r_squared
        a = (1 + s - 2 * jnp.sqrt(s) * jnp.cos(phase)) / dt**2
        return DLinOSSParams(
            a=a, g=(s - 1) / dt, dt=dt_raw, **draw_projections(key_p, inputs, features)
        )

    def matrices(params):
        g, dt = jax.nn.relu(params.g), jax.nn.sigmoid(params.dt)
        s = 1 + dt * g
        root, square = jnp.sqrt(s), jnp.maximum(dt**2, 1e-6)  # as in the authors' code
        a = jnp.clip(params.a, (root - 1) ** 2 / square, (root + 1) ** 2 / square)
        return dt, 1 / s, -dt * a / s, dt / s, 1 - dt**2 * a / s

    return oscillator_cell(init, DLinOSSState, matrices)
