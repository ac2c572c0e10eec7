"""Layers in parallel over time: the jobs, their contenders and their descriptions."""

import math
import tempfile
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from experiments.harness.devices import cores
from experiments.throughput.config import Config, parse
from experiments.throughput.rows import (
    Entry,
    Measured,
    Row,
    Workers,
    measure,
    measure_until,
)
from experiments.throughput.workers.contenders import (
    BACKWARD,
    NEWTON,
    OURS,
    PARALLEL,
    QUASI,
)
from experiments.throughput.workers.jobs import FORWARD, TRAIN, Job

JAX = "jax"  # the worker
LINEAR = "min_gru"
THREADS = 8  # that compile
LONG = 100_000  # steps from which a job is timed once
TOLERANCE = 1e-2  # TF32 has few digits, and a loss sums over many steps
# Steps and units by importance: the published sizes of a GRU first.
STEPS, UNITS, BATCH = (1000, 10_000, 100_000, 300_000), (1, 8, 32, 2, 4, 16, 64), 16
CPU_STEPS, CPU_UNITS, CPU_BATCH = (256, 4096), (1, 16), 1
# Time of a loop divided by that of Newton's method, of a GRU with one unit and 16
# sequences on a V100 (Lim et al. 2024), by program and number of steps.
PUBLISHED = {
    FORWARD: {
        **{1000: 18, 3000: 44, 10_000: 138},
        **{30_000: 382, 100_000: 1122, 300_000: 2029},
    },
    TRAIN: {
        **{1000: 41, 3000: 109, 10_000: 289},
        **{30_000: 752, 100_000: 816, 300_000: 800},
    },
}


class Description(NamedTuple):
    """What a rule may know about a job, and the iterations that it takes.

    Attributes:
        state: Number n of coordinates of the state.
        exponent: Largest Lyapunov exponent, nats per step.
        iterations: Iterations by the name of the contender.
    """

    state: int
    exponent: float
    iterations: dict[str, int]


def plan(config: Config, platform: str) -> list[Job]:
    """All jobs, the most important first.

    Args:
        config: The flags.
        platform: Name of the backend.

    Returns:
        Jobs without duplicates.
    """
    if config.sizes:
        sizes = [parse(size) for size in config.sizes]
    elif platform == "cpu":
        sizes = [(CPU_BATCH, t, n, n) for n in CPU_UNITS for t in CPU_STEPS]
    else:
        sizes = [(BATCH, t, n, n) for n in UNITS for t in STEPS]
    order = ["gru", LINEAR, "lstm", "elman"]
    layers = sorted(config.layers, key=lambda name: (*order, name).index(name))
    first = layers[:1]
    units = {size[-1]: None for size in sizes}
    jobs = []
    # The first layer with each number of units, then the other layers.
    for some, features in [(first, n) for n in units] + [
        (layers[1:], n) for n in units
    ]:
        for layer in some:
            for program in (p for p in (FORWARD, TRAIN) if p in config.programs):
                jobs += [
                    Job(layer, *size, program) for size in sizes if size[-1] == features
                ]
    return jobs


def entries(job: Job) -> list[Entry]:
    """The contenders of a job.

    Args:
        job: The job.

    Returns:
        Entries, that of the loop first.
    """
    if job.layer == LINEAR:
        names = [OURS, PARALLEL]
    else:
        names = [OURS, NEWTON, QUASI, *[BACKWARD] * (job.program == TRAIN)]
    return [Entry(name, JAX, name) for name in names]


def run_jobs(
    config: Config, log: Callable[[Row, Description | None], None], began: float
) -> tuple[Measured, dict[Job, Description]]:
    """Time all jobs until the time is over.

    Args:
        config: The flags.
        log: Receives each row, with the description of its job, when it is measured.
        began: Time of `time.monotonic` at which the budget began.

    Returns:
        The rows and late jobs, and descriptions of the jobs that were run.
    """
    until, described = began + 60 * config.minutes, {}
    with Workers() as workers:

        def measured(job: Job) -> list[Row]:
            if JAX in workers.lost or not described:  # it may have filled the memory
                workers.lost.clear()
                workers.start(JAX, "jax_layers", "1")
            rows = _measured(job, config, workers, until)
            if description := describe(job, workers, until):
                described[job] = description
            return rows

        result = measure_until(
            plan(config, jax.default_backend()),
            until,
            measured,
            lambda row: log(row, described.get(row.job)),
        )
    return result, described


def _measured(job: Job, config: Config, workers: Workers, until: float) -> list[Row]:
    """The rows of one job."""
    long = job.time >= LONG
    with tempfile.TemporaryDirectory() as folder:
        return measure(
            job,
            entries(job),
            workers,
            folder,
            rounds=1 if long else config.rounds,
            seconds=config.seconds,
            tolerance=TOLERANCE,
            threads=min(THREADS, cores()),
            warm_up=0 if long else 1,
            until=until,
        )


def describe(job: Job, workers: Workers, until: float) -> Description | None:
    """The description of the job that was measured last.

    Args:
        job: The job.
        workers: The workers.
        until: As in `rows.measure`.

    Returns:
        A `Description`; None if there is no time left, or no worker.
    """
    if time.monotonic() > until:
        return None
    request: dict[str, Any] = {"do": "describe", "job": job._asdict()}
    answers = workers.ask({JAX: request}, math.inf, together=False)
    for _, ((state, exponent), iterations) in answers:
        return Description(state, exponent, iterations)
    return None
