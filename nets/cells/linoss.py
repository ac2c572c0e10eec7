"""The linear oscillatory state space model, LinOSS."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from nets.cells._oscillators import draw_projections, oscillator_cell
from nets.factories import factory
from nets.types import Cell


class LinOSSParams(NamedTuple):
    """Parameters of oscillators, as real arrays: re and im of B and C.

    a and dt [features] are stiffnesses and steps before relu and sigmoid; b_re, b_im
    and d are [inputs, features]; c_re and c_im are [features, features].
    """

    a: Float[Array, " features"]
    dt: Float[Array, " features"]
    b_re: Float[Array, "inputs features"]
    b_im: Float[Array, "inputs features"]
    c_re: Float[Array, "features features"]
    c_im: Float[Array, "features features"]
    d: Float[Array, "inputs features"]


class LinOSSState(NamedTuple):
    """hidden [*batch, features, 2]: velocities z, then positions y.

    complex128 for float64, otherwise complex64.
    """

    hidden: Complex[Array, "*batch features 2"]


@factory
def linoss(discretization: str = "imex") -> Cell:
    """LinOSS: forced harmonic oscillators, one per unit, constant over time.

        A = relu(a),  dt = sigmoid(dt_raw)
        z' = z + dt (B x - A y),   y' = y + dt z'   if discretization is "imex"
        z' = z + dt (B x - A y'),  y' = y + dt z'   if discretization is "im"
        output = real(C y') + D x

    It is y'' = B x - A y, discretized. The implicit-explicit step ("imex") keeps the
    volume of the state space: ds_t/ds_{t-1} has determinant 1, and its eigenvalues have
    modulus 1 while A dt^2 <= 4. The implicit step ("im") damps: its eigenvalues have
    modulus 1 / sqrt(1 + A dt^2). D is a full matrix, because inputs and features may
    differ; in the paper it is diagonal. The nonlinearity and the gate of a LinOSS block
    are not included.

    Args:
        discretization: "imex" or "im".

    Returns:
        A `Cell` with `LinOSSParams` and `LinOSSState`, whose output is real. It runs in
        parallel over time. As in the authors' code, a and dt_raw are initially uniform
        between 0 and 1, and B and C uniform with bounds 1 / sqrt(inputs) and 1 /
        sqrt(features); D is normal with variance 1 / inputs.

    Raises:
        ValueError: `discretization` is unknown.

    Example:
        >>> import nets
        >>> cell = linoss()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)), parallel=True)
        >>> state.hidden.shape, ys.shape, ys.dtype.name
        ((5, 8, 2), (10, 5, 8), 'float32')

    References:
        Rusch and Rus 2025, Oscillatory state-space models,
        https://arxiv.org/abs/2410.03943
    """
    if discretization not in ("imex", "im"):
        raise ValueError(
            f'expected discretization to be "imex" or "im"; got {discretization!r}'
        )

    def init(key, inputs, features):
        key_a, key_dt, key_p = jax.random.split(key, 3)
        return LinOSSParams(
            a=jax.random.uniform(key_a, (features,)),
            dt=jax.random.uniform(key_dt, (features,)),
            **draw_projections(key_p, inputs, features),
        )

    def matrices(params):
        a, dt = jax.nn.relu(params.a), jax.nn.sigmoid(params.dt)
        if discretization == "imex":
            return dt, jnp.ones_like(a), -dt * a, dt, 1 - dt**2 * a
        inverse = 1 / (1 + dt**2 * a)
        return dt, inverse, -dt * a * inverse, dt * inverse, inverse

    return oscillator_cell(init, LinOSSState, matrices)
