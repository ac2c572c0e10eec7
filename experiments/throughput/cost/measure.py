"""Train steps of this library as the work grows."""

import tempfile
from collections.abc import Callable, Iterator
from typing import NamedTuple

from tqdm import tqdm

from experiments.harness.devices import cores
from experiments.harness.powers import power
from experiments.throughput import ratios
from experiments.throughput.config import Config
from experiments.throughput.rows import Entry, Row, Workers, measure
from experiments.throughput.workers.contenders import (
    ALL_DEVICES,
    OURS,
    PARALLEL,
    REMAT,
)
from experiments.throughput.workers.jobs import TRAIN, Job

TIME, FEATURES, BATCH, DEVICES, SCAN = "time", "features", "batch", "devices", "scan"
AXES = {TIME: "steps T", FEATURES: "units", BATCH: "batch", DEVICES: "devices"}
TITLES = AXES | {SCAN: "steps T of a minGRU"}
FACTORS = {
    TIME: (0.25, 1, 4, 16, 64),
    FEATURES: (0.25, 0.5, 1, 2, 4, 8),
    BATCH: (0.0625, 0.25, 1, 4, 16),
}
SCAN_BATCH, LEAST_STEPS = 4, 100
TOLERANCE = 1e-4  # in float32, of a sum over 65,536 steps in another order


class Point(NamedTuple):
    """A job on an axis.

    Attributes:
        axis: Name of the axis.
        value: Value on the axis.
        job: The job.
        entries: Its contenders.
    """

    axis: str
    value: int
    job: Job
    entries: list[Entry]


class Curve(NamedTuple):
    """Costs along an axis.

    Attributes:
        axis: Name of the axis.
        label: Name of the cell, and of the form of the program.
        values: Values on the axis.
        seconds: Shortest time of a step, one per value.
        bytes: Memory of a step, one per value.
    """

    axis: str
    label: str
    values: list[int]
    seconds: list[float]
    bytes: list[float]

    def powers(self) -> tuple[float, float]:
        """Exponents of time and memory, fitted to the larger half of the values."""
        half = len(self.values) // 2
        return (
            power(self.values[half:], self.seconds[half:]),
            power(self.values[half:], self.bytes[half:]),
        )


def device_counts() -> list[int]:
    """Numbers of devices: powers of two up to the number of cores."""
    counts = [1]
    while 2 * counts[-1] <= cores():
        counts.append(2 * counts[-1])
    return counts


def points(config: Config) -> Iterator[Point]:
    """All jobs, one axis after another.

    Args:
        config: The flags.

    Yields:
        Points; those of one axis and cell in the order of their values.
    """
    base = {TIME: config.time, FEATURES: config.features, BATCH: config.batch_size}
    ours = Entry(OURS, worker(1), OURS)
    for cell in config.cells:
        for axis, factors in FACTORS.items():
            for value in sorted({max(1, int(base[axis] * f)) for f in factors}):
                job = _job(cell, base | {axis: value})
                remat = Entry(REMAT, worker(1), REMAT)
                yield Point(axis, value, job, [ours, *[remat] * (axis == TIME)])
        for count in device_counts():
            name = OURS if count == 1 else ALL_DEVICES
            entry = Entry(name, worker(count), name)
            yield Point(DEVICES, count, _job(cell, base), [entry])
    sizes = {FEATURES: config.features, BATCH: SCAN_BATCH}
    steps = LEAST_STEPS
    while steps <= config.most_steps:
        job = _job("min_gru", sizes | {TIME: steps})
        yield Point(SCAN, steps, job, [ours, Entry(PARALLEL, worker(1), PARALLEL)])
        last = config.most_steps > steps > config.most_steps // 4
        steps = config.most_steps if last else 4 * steps


def worker(devices: int) -> str:
    """Name of the worker with so many devices."""
    return f"JAX with {devices} device{'s' * (devices > 1)}"


def _job(cell: str, sizes: dict[str, int]) -> Job:
    """A train step, with as many inputs as units."""
    features = sizes[FEATURES]
    return Job(cell, sizes[BATCH], sizes[TIME], features, features, TRAIN)


def run_points(
    config: Config, log: Callable[[Point, Row], None]
) -> list[tuple[Point, Row]]:
    """Time all jobs.

    Args:
        config: The flags.
        log: Receives each row as soon as it is measured.

    Returns:
        All points with their rows.

    Raises:
        ChildProcessError: A worker has ended.
    """
    measured = []
    with Workers() as workers:
        for count in device_counts():
            workers.start(worker(count), "jax_layers", str(count))
        for point in tqdm(list(points(config)), desc="jobs", disable=None):
            with tempfile.TemporaryDirectory() as folder:
                rows = measure(
                    point.job,
                    point.entries,
                    workers,
                    folder,
                    rounds=config.rounds,
                    seconds=config.seconds,
                    tolerance=TOLERANCE,
                )
            for error in workers.lost.values():
                raise ChildProcessError(error)
            for row in rows:
                log(point, row)
                measured.append((point, row))
    return measured


def curves(measured: list[tuple[Point, Row]]) -> list[Curve]:
    """Curves of all that was timed.

    Args:
        measured: As `run_points` returns it.

    Returns:
        One curve per axis, cell and form of the program.
    """
    made: dict[tuple[str, str], Curve] = {}
    for point, row in measured:
        if not len(row.seconds):
            continue
        form = "" if row.contender in (OURS, ALL_DEVICES) else row.contender
        label = f"{point.job.layer} {form.removeprefix('ours, ')}".strip()
        new = Curve(point.axis, label, [], [], [])
        curve = made.setdefault((point.axis, label), new)
        curve.values.append(point.value)
        curve.seconds.append(row.least)
        curve.bytes.append(row.bytes)
    return list(made.values())


def crossover(measured: list[tuple[Point, Row]]) -> int | None:
    """Fewest steps from which the parallel scan is faster than the loop.

    Args:
        measured: As `run_points` returns it.

    Returns:
        A number of steps that was measured; None if the loop is faster at the most.
    """
    by_steps: dict[int, dict[str, float]] = {}
    for point, row in measured:
        if point.axis == SCAN and len(row.seconds):
            by_steps.setdefault(point.value, {})[row.contender] = row.least
    return ratios.crossover(by_steps, PARALLEL)
