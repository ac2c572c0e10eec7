"""Jobs on a GPU, in the order of their importance, and their contenders."""

import importlib.util
import os
import tempfile
from collections.abc import Callable

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
from experiments.throughput.workers import peers
from experiments.throughput.workers.contenders import (
    ASSOCIATIVE,
    FLOOR,
    OURS,
    PARALLEL,
    UNROLLED,
)
from experiments.throughput.workers.jobs import (
    BFLOAT16,
    DEFAULT,
    FORWARD,
    HIGHEST,
    TRAIN,
    Job,
)

JAX, GRAPH_WORKER, TORCH = "jax", "graph", "torch"  # workers
GRAPH = "ours, CUDA graph"
CUDA_GRAPH = (
    "--xla_gpu_enable_command_buffer=+WHILE,+CONDITIONAL "
    "--xla_gpu_graph_min_graph_size=1"
)
SCAN = 16, 128  # sequences and features of the minGRU
FIRST_STEPS = 1024
THREADS = 8  # that compile
WARM_UP = 3  # runs before the first time: an old fault of CUDA graphs shows by then
# Largest deviation that is not reported: TF32 and bfloat16 have few digits.
TOLERANCE = {HIGHEST: 1e-5, DEFAULT: 1e-2, BFLOAT16: 1e-1}


def plan(config: Config) -> list[Job]:
    """All jobs, the most important first.

    Args:
        config: The flags.

    Returns:
        Train steps, of the first size at the highest precision too; the minGRU; train
        steps in bfloat16; forward passes.
    """
    order = ["lstm", "gru"]
    layers = sorted(
        (layer for layer in config.layers if layer != "min_gru"),
        key=lambda layer: order.index(layer) if layer in order else len(order),
    )
    sizes = [parse(size) for size in config.sizes]

    def of(program: str, precision: str, layers=layers, sizes=sizes) -> list[Job]:
        if program not in config.programs:
            return []
        return [
            Job(layer, batch, time, inputs, features, program, precision)
            for layer in layers
            for batch, time, inputs, features in sizes
        ]

    batch, features = SCAN
    steps = [FIRST_STEPS]
    while steps[-1] * 8 <= config.most_steps:
        steps.append(steps[-1] * 8)
    scans = [(batch, time, features, features) for time in steps]
    return [
        *of(TRAIN, DEFAULT, layers[:1]),
        *of(TRAIN, HIGHEST, sizes=sizes[:1]),
        *of(TRAIN, DEFAULT, layers[1:]),
        *of(TRAIN, DEFAULT, ["min_gru"] if "min_gru" in config.layers else [], scans),
        *of(TRAIN, BFLOAT16),
        *of(FORWARD, DEFAULT),
    ]


def entries(job: Job, config: Config) -> list[Entry]:
    """The contenders of a job.

    Args:
        job: The job.
        config: The flags.

    Returns:
        Entries, that of this library first.
    """
    names = [OURS]
    if job.layer == "min_gru":
        names += [PARALLEL, ASSOCIATIVE]
    elif job.precision != BFLOAT16:
        chosen = [name for name in config.peers if name in ("linen", "nnx", "equinox")]
        names += [UNROLLED, "cudnn", *(n for n in chosen if not peers.missing(n))]
    made = [Entry(name, JAX, name) for name in [*names, FLOOR]]
    made.insert(1, Entry(GRAPH, GRAPH_WORKER, OURS))
    if has_torch(config) and job.layer != "min_gru":
        made.append(Entry(TORCH, TORCH, TORCH))
    return made


def has_torch(config: Config) -> bool:
    """Whether PyTorch is to be timed, and is installed."""
    return "torch" in config.peers and importlib.util.find_spec("torch") is not None


def start(workers: Workers, config: Config) -> None:
    """Start all workers at once; those that need a GPU only if there is one."""
    platform = jax.default_backend()
    workers.start(JAX, "jax_layers", "1")
    if platform == "gpu":
        flags = f"{os.environ.get('XLA_FLAGS', '')} {CUDA_GRAPH}".strip()
        environment = {"XLA_FLAGS": flags}
        workers.start(GRAPH_WORKER, "jax_layers", "1", environment=environment)
    else:
        workers.lost[GRAPH_WORKER] = (
            f"a CUDA graph needs a GPU of NVIDIA; the device is a {platform}"
        )
    if has_torch(config):
        workers.start(TORCH, "torch_layers", f"{cores()} {platform}")


def run_jobs(config: Config, log: Callable[[Row], None], began: float) -> Measured:
    """Time all jobs until the time is over.

    Args:
        config: The flags.
        log: Receives each row as soon as it is measured.
        began: Time of `time.monotonic` at which the budget began.

    Returns:
        The rows, and the jobs that were not started or not completed.
    """
    until = began + 60 * config.minutes
    with Workers() as workers:
        start(workers, config)
        return measure_until(
            plan(config),
            until,
            lambda job: _measured(job, config, workers, until),
            log,
        )


def _measured(job: Job, config: Config, workers: Workers, until: float) -> list[Row]:
    """The rows of one job."""
    with tempfile.TemporaryDirectory() as folder:
        return measure(
            job,
            entries(job, config),
            workers,
            folder,
            rounds=config.rounds,
            seconds=config.seconds,
            tolerance=float("inf"),
            threads=min(THREADS, cores()),
            together=True,
            warm_up=WARM_UP,
            until=until,
        )


def deviating(rows: list[Row]) -> list[str]:
    """Sentences about contenders whose numbers deviate more than precision explains."""
    return [
        f"The numbers of {row.contender} deviate by {row.difference:.1e} of the largest"
        f" ({row.job.layer} {row.job.size} {row.job.program}, {row.job.precision} "
        f"precision; expected at most {TOLERANCE[row.job.precision]:g})."
        for row in rows
        if row.difference > TOLERANCE[row.job.precision]
    ]
