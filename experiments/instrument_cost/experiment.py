"""The steps of the experiment."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from tqdm import tqdm

from experiments.harness import cells, tables
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.instrument_cost.config import Config
from nets import Cell, elman, flow, unroll
from nets.cells import ElmanState
from nets.flow.decay import norms_of


class StepTimes(NamedTuple):
    """Durations of two programs that run in turn.

    Attributes:
        name: Name of the cell.
        plain: Seconds of the training step, [repeats].
        recorded: Seconds of the step that also records the gradients of the states,
            [repeats].
    """

    name: str
    plain: np.ndarray
    recorded: np.ndarray

    @property
    def ratio(self) -> float:
        """Ratio of the shortest times, which are the least disturbed."""
        return float(self.recorded.min() / self.plain.min())


def run(config: Config, results: Run) -> None:
    """Time everything; log and print ratios."""
    named = {
        name: cells.named(name, config.inputs, config.features) for name in config.cells
    }
    timings = []
    for name, cell in named.items():
        timings.append(StepTimes(name, *time_step(name, cell, config)))
        results.log(
            kind="training step",
            cell=name,
            plain=timings[-1].plain,
            recorded=timings[-1].recorded,
            ratio=timings[-1].ratio,
        )
    seconds = time_spectrum(config)
    results.log(kind="spectrum", seconds=seconds)
    table = tables.Table(
        [
            "cell",
            "plain step, ms (least, median)",
            "with states' gradients, ms",
            "ratio of the least",
        ],
        [
            [p.name, milliseconds(p.plain), milliseconds(p.recorded), f"{p.ratio:.2f}"]
            for p in timings
        ],
    )
    largest = max(p.ratio for p in timings)
    publish(
        results,
        answer="A training step that records the gradient of every state takes at most "
        f"{largest:.2f} times as long as a plain step.",
        tables={"A training step": table},
        findings=[
            f"The Lyapunov spectrum of {config.spectrum_features} units over "
            f"{config.spectrum_time:,} steps takes {seconds.min():.2f} s."
        ],
    )


def milliseconds(seconds: np.ndarray) -> str:
    """The least and the median."""
    return f"{1e3 * seconds.min():.1f}, {1e3 * np.median(seconds):.1f}"


def time_step(name: str, cell: Cell, config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Seconds of a training step, plain and recorded."""
    key = jax.random.key(0)
    params = cell.init(key, config.inputs, config.features)
    shape = config.time, config.batch_size, config.inputs
    xs = jax.random.normal(key, shape)
    optimizer = optax.adam(1e-3)

    def loss(params, xs, perturbations):
        _, ys = unroll(cell, params, xs, perturbations=perturbations)
        return (ys**2).mean()

    def update(params, opt_state, gradient):
        updates, opt_state = optimizer.update(gradient, opt_state, params)
        return optax.apply_updates(params, updates), opt_state

    @jax.jit
    def plain(params, opt_state, xs):
        return update(params, opt_state, jax.grad(loss)(params, xs, None))

    @jax.jit
    def recorded(params, opt_state, xs):
        zeros = flow.zero_perturbations(cell, params, xs)
        gradient, states = jax.grad(loss, argnums=(0, 2))(params, xs, zeros)
        return update(params, opt_state, gradient), norms_of(states)

    args = params, optimizer.init(params), xs
    return alternately(plain, recorded, args, config.repeats, name)


def alternately(
    first: Callable[..., Any],
    second: Callable[..., Any],
    args: tuple,
    repeats: int,
    title: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Seconds of two functions, run in turn after a first call that compiles."""
    for function in (first, second):
        jax.block_until_ready(function(*args))
    seconds = np.zeros((2, repeats))
    for i in tqdm(range(repeats), desc=title, disable=None):
        for j, function in enumerate((first, second)):
            began = time.perf_counter()
            jax.block_until_ready(function(*args))
            seconds[j, i] = time.perf_counter() - began
    return seconds[0], seconds[1]


def time_spectrum(config: Config) -> np.ndarray:
    """Seconds of all exponents of an autonomous tanh network, three times."""
    size = config.spectrum_features
    cell, key = elman(), jax.random.key(0)
    params = cell.init(key, 1, size)
    params = params._replace(w_h=1.5 * jax.random.normal(key, (size, size)) / size**0.5)
    start = ElmanState(jax.random.normal(key, (size,)))

    @jax.jit
    def spectrum(params, xs):
        return flow.lyapunov_spectrum(cell, params, xs, start).exponents

    xs = jnp.zeros((config.spectrum_time, 1))
    jax.block_until_ready(spectrum(params, xs))
    seconds = []
    for _ in tqdm(range(3), desc="spectrum", disable=None):
        began = time.perf_counter()
        jax.block_until_ready(spectrum(params, xs))
        seconds.append(time.perf_counter() - began)
    return np.array(seconds)
