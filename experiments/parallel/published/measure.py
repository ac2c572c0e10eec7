"""Published facts about Newton's method over time, measured again in float64.

Settings and random numbers are those of the published code, which draws them by
`jax.random`. Its solver stops when half the mean square of the residual is below 1e-10,
and counts the iteration in which it notices that.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from tqdm import tqdm

import nets
from experiments.parallel.published import flows
from experiments.parallel.published.records import (
    NOTICED,
    Lengths,
    Observed,
    Published,
    Threshold,
)
from nets import flow

STEPS = 30_000  # of an observer
OBSERVERS_SEED = 42
TOLERANCE = 2e-10**0.5  # of the residual, at which half its square is 1e-10

GAINS = 0.5, 0.8, 1.0, 1.1, 1.2, 1.3, 1.5, 2.0
UNITS = 100
NETWORKS = 2  # random networks of each gain
NETWORK_STEPS = 400
SHARE = 8  # a network has not converged after an eighth as many iterations as steps
NEAR = 1.0, 1.1, 1.2, 1.3, 1.4  # gains among which the mean exponent is 0
MANY, LONG = 6, 1000  # networks of each, and steps

LENGTHS = 64, 256, 1024, 4096, 16_384  # of the sequences of a contracting cell
CONTRACTING = 3  # cells, of as many seeds
WELL_STEPS = 10_000


def measure() -> Published:
    """Measure all facts.

    Returns:
        The `Published`.
    """
    with jax.enable_x64(True):
        return Published(observed(STEPS), threshold(), lengths())


def observed(steps: int) -> list[Observed]:
    """Solve the observers of all systems.

    Args:
        steps: Number of steps.

    Returns:
        One `Observed` per system.
    """
    keys = jax.random.split(jax.random.key(OBSERVERS_SEED), 6)
    gain = jax.random.normal(keys[0], (1, 3))[0]
    guess = jax.random.normal(keys[2], (steps, 3))
    shifts = jax.random.split(jax.random.key(0), len(flows.SYSTEMS))
    cell, watched = flows.observer_cell(), flows.system_cell()

    @jax.jit
    def solve(params, start, key):
        nothing = jnp.zeros((steps, 3))
        states, _ = nets.unroll(watched, params, nothing, start, all_states=True)
        xs = jnp.concatenate([start[None], states[:-1]])
        start = start + jax.random.normal(key, (3,))
        spectrum = flow.lyapunov_spectrum(cell, params, xs, start, count=1)
        return spectrum.exponents[0], newton(cell, params, xs, start, guess)

    results = []
    for number, system in enumerate(tqdm(flows.SYSTEMS, "observers", disable=None)):
        params, start = flows.observer(number, gain), jnp.array(system.start)
        exponent, end = solve(params, start, shifts[system.key])
        results.append(
            Observed(
                system,
                int(end.iterations) + NOTICED,
                float(exponent) / flows.STEP,
                bool(end.converged),
            )
        )
    return results


def newton(
    cell: nets.Cell,
    params: Any,
    xs: Array,
    state: Array,
    guess: Array,
    most: int | None = None,
    **options: Any,
) -> nets.Solve:
    """Solve by Newton's method, from a guess and to the published tolerance.

    Args:
        cell: A cell.
        params: Its parameters.
        xs: Inputs.
        state: State before the first step.
        guess: Guess of all states.
        most: Largest number of iterations; None for the number of steps.
        **options: As in `nets.solve_states`.

    Returns:
        The `Solve`.
    """
    solver = nets.ParallelSolver(
        "newton", tolerance=TOLERANCE, max_iterations=most, guess=guess
    )
    return nets.solve_states(cell, params, xs, state, solver=solver, **options)[1]


def threshold() -> Threshold:
    """Solve random networks of several gains.

    Returns:
        The `Threshold`.
    """
    cell, steps = flows.tanh_network(), NETWORK_STEPS

    def exponent(gain, seed, steps):
        w, xs, start, _ = network(gain, seed, steps)
        return flow.lyapunov_spectrum(cell, w, xs, start, count=1).exponents[0]

    def solve(gain, seed):
        w, xs, start, guess = network(gain, seed, steps)
        end = newton(cell, w, xs, start, guess, steps // SHARE)
        return exponent(gain, seed, steps), end

    grid = _grid(GAINS, NETWORKS)
    exponents, end = jax.jit(lambda *grid: jax.lax.map(lambda g: solve(*g), grid))(
        *grid
    )
    exponents, iterations, converged = (
        np.asarray(values).reshape(len(GAINS), NETWORKS)
        for values in (exponents, end.iterations, end.converged)
    )
    near = jax.jit(jax.vmap(partial(exponent, steps=LONG)))(*_grid(NEAR, MANY))
    mean = np.asarray(near).reshape(len(NEAR), MANY).mean(axis=1)
    onset = float(np.interp(0.0, mean, NEAR))
    return Threshold(np.array(GAINS), steps, exponents, iterations, converged, onset)


def _grid(gains: Sequence[float], networks: int) -> tuple[Array, Array]:
    """Gains and seeds of all networks."""
    pairs = np.meshgrid(gains, np.arange(networks), indexing="ij")
    gain, seed = (jnp.asarray(values.ravel()) for values in pairs)
    return gain, seed


def network(gain: Array, seed: Array, steps: int) -> tuple[Array, Array, Array, Array]:
    """A random network.

    Args:
        gain: Gain g of its weights, N(0, g^2 / units), without a diagonal.
        seed: Seed.
        steps: Number of steps.

    Returns:
        Weights, inputs, the state before the first step, and a guess of all states.
    """
    keys, shape = jax.random.split(jax.random.key(seed), 7), (UNITS,)
    size = jax.random.uniform(keys[0], shape, maxval=0.2)
    speed = jax.random.uniform(keys[1], shape, minval=0.5, maxval=3.0)
    phase = jax.random.uniform(keys[2], shape, maxval=2 * jnp.pi)
    start = jax.random.uniform(keys[3], shape, minval=-1.0)
    w = jax.random.normal(keys[4], (UNITS, UNITS)) * gain / UNITS**0.5
    guess = jax.random.uniform(keys[5], (steps, UNITS), minval=-1.0)
    times = jnp.arange(steps)[:, None]
    xs = size[None] * jnp.sin(speed[None] * times + phase[None])
    return jnp.fill_diagonal(w, 0, inplace=False), xs, start, guess


def lengths() -> Lengths:
    """Solve a contracting cell, and a particle in two wells, for several lengths.

    Shorter sequences are padded, so that all lengths share one program.
    """
    gru, wells = nets.gru(), flows.two_wells_cell()

    def contracting(seed, steps):
        keys = jax.random.split(jax.random.key(seed))
        params = gru.init(keys[0], 4, 16)
        params = jax.tree.map(lambda leaf: leaf.astype(float), params)
        xs = jax.random.normal(keys[1], (LENGTHS[-1], 1, 4))
        return nets.solve_states(gru, params, xs, lengths=steps[None])[1].iterations

    def in_wells(steps):
        keys = jax.random.split(jax.random.key(0))
        guess, xs = (jax.random.normal(key, (WELL_STEPS, 1, 2)) for key in keys)
        start, options = jnp.zeros((1, 2)), {"lengths": steps[None]}
        return newton(wells, None, xs, start, guess, **options).iterations

    steps, seeds = jnp.array(LENGTHS), jnp.arange(CONTRACTING)
    grid = [values.ravel() for values in jnp.meshgrid(seeds, steps, indexing="ij")]
    rows = jax.jit(lambda grid: jax.lax.map(lambda pair: contracting(*pair), grid))(
        tuple(grid)
    )
    short = jnp.minimum(steps, WELL_STEPS)
    others = jax.jit(lambda steps: jax.lax.map(in_wells, steps))(short)
    return Lengths(
        np.array(LENGTHS),
        np.asarray(rows, float).reshape(CONTRACTING, -1).T,
        np.asarray(others, float),
    )
