"""Published facts about Newton's method over time, measured again in float64.

Settings and random numbers are those of the published code, which draws them by
`jax.random`. Its solver stops when half the mean square of the residual is below 1e-10,
and counts the iteration in which it notices that.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import nets
from experiments.harness.claims import REFUTED, SUPPORTED
from experiments.parallel.published import flows
from experiments.parallel.published.flows import System
from nets import flow

STEPS = 30_000  # of an observer
OBSERVERS_SEED = 42
TOLERANCE = 2e-10**0.5  # of the residual, at which half its square is 1e-10
NOTICED = 1  # iteration in which the published solver notices that it has converged

GAINS = 0.5, 0.8, 1.0, 1.1, 1.2, 1.3, 1.5, 2.0
UNITS = 100
NETWORKS = 2  # random networks of each gain
NETWORK_STEPS = 200
SHARE = 4  # a network has not converged after a quarter as many iterations as steps

LENGTHS = 64, 256, 1024, 4096, 16_384  # of the sequences of a contracting cell
CONTRACTING = 3  # cells, of as many seeds
WELL_STEPS = 10_000


class Fact(NamedTuple):
    """A published number, and the number that is measured here.

    Attributes:
        name: Name of the case.
        quantity: The number, in words.
        published: Published number.
        measured: The number here.
        tolerance: Distance up to which the numbers agree; infinite below the published
            number if this is an upper bound.
        bound: Whether the published number is an upper bound.
    """

    name: str
    quantity: str
    published: float
    measured: float
    tolerance: float
    bound: bool = False

    @property
    def outcome(self) -> str:
        """`SUPPORTED` or `REFUTED`."""
        above = self.measured - self.published
        agree = above <= self.tolerance if self.bound else abs(above) <= self.tolerance
        return SUPPORTED if agree else REFUTED


class Observed(NamedTuple):
    """Newton's method for the observer of a system.

    Attributes:
        system: The system.
        iterations: Iterations, as the published code counts them.
        exponent: Largest exponent per unit of time.
        converged: Whether the solver converged.
    """

    system: System
    iterations: int
    exponent: float
    converged: bool


class Threshold(NamedTuple):
    """Newton's method for random networks, against their gain.

    Attributes:
        gains: Gains, [gains].
        steps: Number of steps.
        exponents: Largest exponents, nats per step, [gains, networks].
        iterations: Iterations, [gains, networks].
        converged: Whether the solver converged, [gains, networks].
    """

    gains: Float[np.ndarray, " gains"]
    steps: int
    exponents: Float[np.ndarray, "gains networks"]
    iterations: Float[np.ndarray, "gains networks"]
    converged: np.ndarray

    @property
    def onset(self) -> float:
        """Gain at which the mean exponent is 0, by linear interpolation."""
        return float(np.interp(0.0, self.exponents.mean(axis=1), self.gains))

    @property
    def right(self) -> float:
        """Share of the networks for which the sign of the exponent is right."""
        return float((self.converged == (self.exponents < 0)).mean())


class Lengths(NamedTuple):
    """Iterations against the number of steps.

    Attributes:
        steps: Numbers of steps, [lengths].
        contracting: Iterations for a contracting cell, [lengths, seeds].
        wells: Iterations for a particle in two wells, [lengths].
    """

    steps: np.ndarray
    contracting: Float[np.ndarray, "lengths seeds"]
    wells: Float[np.ndarray, " lengths"]


class Published(NamedTuple):
    """All facts.

    Attributes:
        observers: One entry per system.
        threshold: Random networks.
        lengths: Iterations against the number of steps.
    """

    observers: list[Observed]
    threshold: Threshold
    lengths: Lengths

    def facts(self) -> list[Fact]:
        """The published numbers next to those here."""
        facts = []
        for each in self.observers:
            name, (_, exponent) = each.system.name, each.system.exponents
            _, iterations = each.system.iterations
            facts += [
                Fact(name, "iterations", iterations, each.iterations, 2),
                Fact(name, "exponent", exponent, each.exponent, 0.02 - 0.02 * exponent),
            ]
        steps, most = self.lengths.steps, self.lengths.contracting
        grown = float((most[steps >= 256].max(axis=0) - most[steps >= 256].min()).max())
        return [
            *facts,
            Fact("tanh networks", "gain at exponent 0", 1.2, self.threshold.onset, 0.1),
            Fact(
                "tanh networks",
                "share decided by the sign",
                1.0,
                self.threshold.right,
                0.1,
            ),
            Fact("contracting cell", "growth of iterations with T", 0.0, grown, 1),
            Fact(
                "two wells",
                "most iterations",
                35,
                float(self.lengths.wells.max()) + NOTICED,
                0,
                bound=True,
            ),
        ]


def measure(bar: Callable[[Sequence], Sequence] = list) -> Published:
    """Measure all facts.

    Args:
        bar: Wraps a sequence in a progress bar.

    Returns:
        The `Published`.
    """
    with jax.enable_x64(True):
        observers = [observed(system, STEPS) for system in bar(flows.SYSTEMS)]
        return Published(observers, threshold(), lengths())


def observed(system: System, steps: int) -> Observed:
    """Solve the observer of a system.

    Args:
        system: The system.
        steps: Number of steps.

    Returns:
        The `Observed`.
    """
    keys = jax.random.split(jax.random.key(OBSERVERS_SEED), 6)
    gain = jax.random.normal(keys[0], (1, 3))[0]
    guess = jax.random.normal(keys[2], (steps, 3))
    start = jnp.array(system.start)
    key = jax.random.split(jax.random.key(0), len(flows.SYSTEMS))[system.key]
    perturbed = start + jax.random.normal(key, (3,))
    cell, watched = flows.observer_cell(system), flows.system_cell(system)

    @jax.jit
    def solve(gain, guess, start, perturbed):
        states, _ = nets.unroll(
            watched, None, jnp.zeros((steps, 3)), start, all_states=True
        )
        xs = jnp.concatenate([start[None], states[:-1]])
        spectrum = flow.lyapunov_spectrum(cell, gain, xs, perturbed, count=1)
        return spectrum.exponents[0], newton(cell, gain, xs, perturbed, guess)

    exponent, end = solve(gain, guess, start, perturbed)
    return Observed(
        system,
        int(end.iterations) + NOTICED,
        float(exponent) / flows.STEP,
        bool(end.converged),
    )


def newton(
    cell: nets.Cell,
    params: Array | None,
    xs: Array,
    state: Array,
    guess: Array,
    most: int | None = None,
) -> nets.Solve:
    """Solve by Newton's method, from a guess and to the published tolerance."""
    solver = nets.ParallelSolver(
        "newton", tolerance=TOLERANCE, max_iterations=most, guess=guess
    )
    return nets.solve_states(cell, params, xs, state, solver=solver)[1]


def threshold() -> Threshold:
    """Solve random networks of several gains."""
    cell, steps, units = flows.tanh_network(), NETWORK_STEPS, UNITS

    def solve(gain, seed):
        keys = jax.random.split(jax.random.key(seed), 7)
        size = jax.random.uniform(keys[0], (units,), maxval=0.2)
        speed = jax.random.uniform(keys[1], (units,), minval=0.5, maxval=3.0)
        phase = jax.random.uniform(keys[2], (units,), maxval=2 * jnp.pi)
        start = jax.random.uniform(keys[3], (units,), minval=-1.0)
        guess = jax.random.uniform(keys[5], (steps, units), minval=-1.0)
        w = jax.random.normal(keys[4], (units, units)) * gain / units**0.5
        w = jnp.fill_diagonal(w, 0, inplace=False)
        xs = size * jnp.sin(speed * jnp.arange(steps)[:, None] + phase)
        spectrum = flow.lyapunov_spectrum(cell, w, xs, start, count=1)
        end = newton(cell, w, xs, start, guess, steps // SHARE)
        return spectrum.exponents[0], end

    grid = np.meshgrid(GAINS, np.arange(NETWORKS), indexing="ij")
    gains, seeds = (jnp.asarray(values.ravel()) for values in grid)
    exponents, end = jax.jit(
        lambda gains, seeds: jax.lax.map(lambda pair: solve(*pair), (gains, seeds))
    )(gains, seeds)
    shape = len(GAINS), NETWORKS
    exponents, iterations, converged = (
        np.asarray(values).reshape(shape)
        for values in (exponents, end.iterations, end.converged)
    )
    return Threshold(np.array(GAINS), steps, exponents, iterations, converged)


def lengths() -> Lengths:
    """Solve a contracting cell, and a particle in two wells, for several lengths."""
    gru, wells = nets.gru(), flows.two_wells_cell()

    def contracting(seed, steps):
        keys = jax.random.split(jax.random.key(seed))
        params = gru.init(keys[0], 4, 16)
        params = jax.tree.map(lambda leaf: leaf.astype(float), params)
        xs = jax.random.normal(keys[1], (steps, 4))
        return nets.solve_states(gru, params, xs)[1].iterations

    def in_wells(steps):
        keys = jax.random.split(jax.random.key(0))
        guess = jax.random.normal(keys[0], (WELL_STEPS, 2))[:steps]
        xs = jax.random.normal(keys[1], (WELL_STEPS, 2))[:steps]
        return newton(wells, None, xs, jnp.zeros(2), guess).iterations

    seeds = jnp.arange(CONTRACTING)
    rows, others = [], []
    for steps in LENGTHS:
        solve = jax.jit(
            lambda seeds, steps=steps: jax.lax.map(
                lambda seed: contracting(seed, steps), seeds
            )
        )
        rows.append(np.asarray(solve(seeds), float))
        most = min(steps, WELL_STEPS)
        others.append(float(jax.jit(lambda most=most: in_wells(most))()))
    return Lengths(np.array(LENGTHS), np.stack(rows), np.array(others))
