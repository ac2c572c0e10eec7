"""Dynamical systems in time steps of Euler, and observers of their states."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from nets import Cell

STEP = 0.01  # of Euler's method
Flow = Callable[[Array, Array, Array], Sequence[Array]]


class System(NamedTuple):
    """A chaotic system, its observer, and what has been published about both.

    Attributes:
        name: Name of the system.
        flow: Derivatives by time of the three coordinates.
        replaced: Indices of the coordinates that the observer reads from the system.
        key: Number of the key that perturbs the start of the observer.
        exponents: Published largest exponents of the system and of its observer, per
            unit of time.
        iterations: Published iterations for the system and for its observer.
    """

    name: str
    flow: Flow
    replaced: tuple[int, ...]
    key: int
    exponents: tuple[float, float]
    iterations: tuple[int, int]

    @property
    def start(self) -> tuple[float, float, float]:
        """State before the first step."""
        return STARTS[self.name]


def _abc(x, y, z, a=1.73205, b=1.41421, c=1.0):
    """Arnold, Beltrami and Childress."""
    return (
        a * jnp.sin(z) + c * jnp.cos(y),
        b * jnp.sin(x) + a * jnp.cos(z),
        c * jnp.sin(y) + b * jnp.cos(x),
    )


def _chua(x, y, z, alpha=15.6, beta=28.0, m0=-1.142857, m1=-0.71429):
    """Chua's circuit, whose resistor is linear in three pieces."""
    ramp = m1 * x + 0.5 * (m0 - m1) * (jnp.abs(x + 1) - jnp.abs(x - 1))
    return alpha * (y - x - ramp), x - y + z, -beta * y


def _kawczynski_strizhak(x, y, z, beta=-0.4, gamma=0.49, kappa=0.2, mu=2.1):
    """A model of a chemical reaction."""
    first = gamma * (y - x**3 + 3 * mu * x)
    return first, -2 * mu * x - y - z + beta, kappa * (x - z)


def _lorenz(x, y, z, sigma=10.0, rho=28.0, beta=8 / 3):
    """Convection."""
    return sigma * (y - x), x * (rho - z) - y, x * y - beta * z


def _nose_hoover(x, y, z, a=1.5):
    """A thermostat."""
    return y, -x + y * z, a - y**2


def _roessler(x, y, z, a=0.2, b=0.2, c=5.7):
    """Roessler's system."""
    return -y - z, x + a * y, b + z * (x - c)


def _sprott_b(x, y, z):
    """Case B of Sprott."""
    return y * z, x - y, 1 - x * y


def _thomas(x, y, z, a=1.85, b=10.0):
    """Thomas' cyclically symmetric system."""
    return -a * x + b * jnp.sin(y), -a * y + b * jnp.sin(z), -a * z + b * jnp.sin(x)


def _vallis(x, y, z, b=102.0, c=3.0, p=0.0):
    """El Nino."""
    return b * y - c * (x + p), -y + x * z, -z - x * y + 1


STARTS = {
    "ABC": (-0.78450179, -0.62887672, -0.17620268),
    "Chua": (1.1262351, -0.11386474, -0.78324421),
    "Kawczynski-Strizhak": (-1.160501, 5.8636902, -1.2031947),
    "Lorenz": (-9.7869288, -15.03852, 20.533978),
    "Nose-Hoover": (-1.9758582, 0.24647527, 0.79024299),
    "Roessler": (6.5134412, 0.4772013, 0.34164294),
    "Sprott B": (1.6878282, 1.4848132, -0.53706628),
    "Thomas": (2.199442, 2.3634225, 3.220197),
    "Vallis": (-6.99286331487343, 0.023254276622294345, -0.1658177563067799),
}
SYSTEMS = (
    System("ABC", _abc, (0, 2), 3, (0.16, -0.08), (4243, 3)),
    System("Chua", _chua, (1,), 7, (0.02, -1.37), (697, 14)),
    System(
        "Kawczynski-Strizhak",
        _kawczynski_strizhak,
        (0, 1),
        5,
        (0.01, -3.08),
        (29_396, 2),
    ),
    System("Lorenz", _lorenz, (1,), 1, (1.02, -6.28), (30_000, 3)),
    System("Nose-Hoover", _nose_hoover, (0, 2), 8, (0.02, -0.13), (29_765, 3)),
    System("Roessler", _roessler, (), 0, (0.01, -0.07), (29_288, 7)),
    System("Sprott B", _sprott_b, (1,), 4, (0.20, -0.39), (29_486, 2)),
    System("Thomas", _thomas, (1,), 2, (0.01, -3.07), (12_747, 7)),
    System("Vallis", _vallis, (1,), 6, (0.58, -2.48), (30_000, 3)),
)
"""Settings and results of table 1 of Gonzalez et al. 2025 and of its code."""


class Observer(NamedTuple):
    """Parameters of an observer. All systems share one program.

    Attributes:
        system: Index of the system in `SYSTEMS`.
        read: Coordinates that are replaced by those of the system, [3].
        gain: Gain of the correction, [3].
    """

    system: Int[Array, ""]
    read: Bool[Array, "3"]
    gain: Float[Array, "3"]


def observer(number: int, gain: Float[Array, "3"]) -> Observer:
    """The observer of a system.

    Args:
        number: Index of the system in `SYSTEMS`.
        gain: Gain of the correction.

    Returns:
        An `Observer`.
    """
    read = jnp.array([i in SYSTEMS[number].replaced for i in range(3)])
    return Observer(jnp.array(number), read, gain)


def system_cell() -> Cell:
    """A system as a cell, whose inputs do not matter.

        s' = s + dt v(s)

    Returns:
        A `Cell`, whose parameters are an `Observer`.

    Example:
        >>> cell, params = system_cell(), observer(0, jnp.ones(3))
        >>> after, _ = cell.step(params, jnp.zeros(3), jnp.zeros(3))
        >>> [f"{coordinate:.4f}" for coordinate in after]
        ['0.0100', '0.0173', '0.0141']
    """

    def step(params, state, x):
        state = state + STEP * _velocity(params.system, state)
        return state, state

    return _cell(step)


def observer_cell() -> Cell:
    """An observer of a system as a cell, whose inputs are the states of the system.

        z' = r + dt (v(r) + k (k . (x - r))),   r_i = x_i if i is read, else z_i

    Returns:
        A `Cell`, whose parameters are an `Observer`.

    Example:
        An observer that has the right state keeps it:

        >>> cell, params = observer_cell(), observer(1, jnp.ones(3))
        >>> x = jnp.array([1.0, 2.0, 3.0])
        >>> after = cell.step(params, x, x)[0]
        >>> bool((after == system_cell().step(params, x, x)[0]).all())
        True
    """

    def step(params, state, x):
        state = jnp.where(params.read, x, state)
        off = ((x - state) * params.gain).sum(axis=-1, keepdims=True)
        velocity = _velocity(params.system, state) + off * params.gain
        state = state + STEP * velocity
        return state, state

    return _cell(step)


def two_wells_cell() -> Cell:
    """Langevin dynamics in a potential of two wells, a mixture of two Gaussians.

        s' = s + e grad ln p(s) + sqrt(2 e) x,   e = 0.01

    Returns:
        A `Cell` without parameters, whose inputs are standard normal numbers.

    Example:
        >>> two_wells_cell().step(None, jnp.zeros(2), jnp.zeros(2))[0].shape
        (2,)
    """
    wells = (  # share, means and variances
        (0.49, (-1.4, 0.0), (0.45, 0.45)),
        (0.51, (1.6, 0.0), (0.54, 0.45)),
    )

    def log_density(state):
        logs = [
            jnp.log(share)
            - sum(
                (state[..., i] - means[i]) ** 2 / variances[i] + jnp.log(variances[i])
                for i in range(2)
            )
            / 2
            for share, means, variances in wells
        ]
        return jnp.logaddexp(*logs).sum()

    def step(params, state, x):
        state = state + STEP * jax.grad(log_density)(state) + jnp.sqrt(2 * STEP) * x
        return state, state

    return _cell(step)


def tanh_network() -> Cell:
    """A network of units that saturate, s' = W tanh(s) + x.

    Returns:
        A `Cell`, whose parameter is W, [units, units].

    Example:
        >>> tanh_network().step(jnp.eye(2), jnp.zeros(2), jnp.ones(2))[0].tolist()
        [1.0, 1.0]
    """

    def step(w, state, x):
        state = jnp.tanh(state) @ w.T + x
        return state, state

    return _cell(step)


def _cell(step: Callable[..., tuple[Array, Array]]) -> Cell:
    """A cell whose state is an array like its inputs; it draws no parameters."""
    return Cell(
        init=lambda key, inputs, features: None,
        initial_state=lambda params, x: jnp.zeros_like(x),
        step=step,
    )


def _velocity(number: Int[Array, ""], state: Float[Array, "*batch 3"]) -> Array:
    """Derivatives by time."""

    def branch(system):
        return lambda state: jnp.stack(
            system.flow(*(state[..., i] for i in range(3))), axis=-1
        )

    return jax.lax.switch(number, list(map(branch, SYSTEMS)), state)
