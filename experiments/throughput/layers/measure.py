"""Layers of this library and of its peers, timed in turn."""

import importlib.util
import tempfile
from collections.abc import Callable

from tqdm import tqdm

from experiments.harness.devices import cores
from experiments.throughput.config import Config, parse
from experiments.throughput.rows import Entry, Row, Workers, measure
from experiments.throughput.workers import peers
from experiments.throughput.workers.contenders import (
    ALL_DEVICES,
    AS_HAIKU,
    ASSOCIATIVE,
    FLOOR,
    HAIKU,
    OURS,
    PARALLEL,
    PLAIN,
)
from experiments.throughput.workers.jobs import Job

TOLERANCE = 1e-5
JAX, DEVICES, TORCH = "jax", "devices", "torch"  # workers; PyTorch has several


def threads() -> list[int]:
    """Numbers of PyTorch's threads."""
    return sorted({1, cores()})


def torch_name(count: int) -> str:
    """Name of PyTorch at a number of threads."""
    return f"torch, {count} thread{'s' * (count > 1)}"


def missing(config: Config) -> list[str]:
    """Peers that are not installed.

    Args:
        config: The flags.

    Returns:
        Their names.
    """
    return [name for name in config.peers if not _installed(name)]


def _installed(name: str) -> bool:
    """Whether a peer is installed."""
    if name == TORCH:
        return importlib.util.find_spec("torch") is not None
    return not peers.missing(name)


def entries(job: Job, config: Config) -> list[Entry]:
    """The contenders of a job.

    Args:
        job: The job.
        config: The flags.

    Returns:
        Entries, that of this library first.
    """
    chosen = [name for name in config.peers if _installed(name)]
    names = [OURS]
    if job.cell == "min_gru":
        names += [PARALLEL, PLAIN, ASSOCIATIVE]
        chosen = []
    if "haiku" in chosen and job.cell in HAIKU:
        names.append(AS_HAIKU)
    names += [name for name in chosen if name != TORCH]
    made = [Entry(name, JAX, name) for name in [*names, FLOOR]]
    if cores() > 1:
        made.append(Entry(ALL_DEVICES, DEVICES, ALL_DEVICES))
    if TORCH in chosen:
        made += [Entry(torch_name(n), torch_name(n), TORCH) for n in threads()]
    return made


def run_jobs(config: Config, log: Callable[[Row], None]) -> list[Row]:
    """Time all jobs.

    Args:
        config: The flags.
        log: Receives each row as soon as it is measured.

    Returns:
        All rows.

    Raises:
        ChildProcessError: This library's process has ended.
    """
    jobs = [
        Job(layer, *parse(size), program)
        for layer in config.layers
        for size in config.sizes
        for program in config.programs
    ]
    rows = []
    with Workers() as workers:
        workers.start(JAX, "jax_layers", "1")
        if cores() > 1:
            workers.start(DEVICES, "jax_layers", str(cores()))
        if TORCH in config.peers and _installed(TORCH):
            for count in threads():
                workers.start(torch_name(count), "torch_layers", str(count))
        for job in tqdm(jobs, desc="jobs", disable=None):
            with tempfile.TemporaryDirectory() as folder:
                measured = measure(
                    job,
                    entries(job, config),
                    workers,
                    folder,
                    rounds=config.rounds,
                    seconds=config.seconds,
                    tolerance=TOLERANCE,
                )
            if JAX in workers.lost:
                raise ChildProcessError(workers.lost[JAX])
            for row in measured:
                log(row)
            rows += measured
    return rows
