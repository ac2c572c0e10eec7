"""Contenders in separate processes, timed in turn."""

import contextlib
import importlib.util
import json
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from tqdm import tqdm

from experiments.harness.devices import cores
from experiments.throughput.config import Config
from experiments.throughput.processes import Worker
from experiments.throughput.workers.protocol import Task

STUDY, ONE_DEVICE, LOOP = "one program", "one program, one device", "loop in JAX"
IN_TURN, PER_CORE = "PyTorch, one after another", "PyTorch, one process per core"
CONTENDERS = STUDY, ONE_DEVICE, LOOP, IN_TURN, PER_CORE


class Times(NamedTuple):
    """Times of one contender.

    Attributes:
        cell: Name of the cell.
        members: Number of models in the study.
        contender: Name of the contender.
        cores: Devices or threads.
        seconds: Time of one step of all models, [rounds].
    """

    cell: str
    members: int
    contender: str
    cores: int
    seconds: Float[np.ndarray, " rounds"]


@contextlib.contextmanager
def _workers(module: str, tasks: Sequence[Task]) -> Iterator[list[Worker]]:
    """Processes that are ready."""
    started = []
    try:
        for task in tasks:
            name, argument = f"{module} with {task.cell}", json.dumps(task._asdict())
            started.append(Worker(name, module, argument))
            started[-1].answer()
        yield started
    finally:
        for worker in started:
            worker.end()


def has_torch() -> bool:
    """Whether PyTorch is installed."""
    return importlib.util.find_spec("torch") is not None


def measure(cell: str, config: Config) -> list[Times]:
    """Time all contenders in turn.

    Args:
        cell: Name of the cell.
        config: The flags.

    Returns:
        Their times, for every number of members.
    """
    task = Task(
        cell, config.features, config.time, config.batch_size, 1, 1, config.seconds
    )
    count = cores()
    contenders = {
        (name, devices, members): (
            "study",
            task._replace(members=members, cores=devices),
        )
        for members in config.members
        for name, devices in ((STUDY, min(count, members)), (ONE_DEVICE, 1))
        if name == STUDY or min(count, members) > 1
    }
    contenders[LOOP, 1, 1] = "jax_loop", task
    if has_torch():
        for threads in sorted({1, count}):
            contenders[IN_TURN, threads, 1] = "torch_loop", task._replace(cores=threads)
    seconds: dict[tuple, list[float]] = {}
    with contextlib.ExitStack() as stack:
        groups = {
            key: stack.enter_context(_workers(module, [contender]))
            for key, (module, contender) in contenders.items()
        }
        if has_torch() and count > 1:
            many = stack.enter_context(_workers("torch_loop", [task] * count))
            groups[PER_CORE, 1, count] = many
        for _ in tqdm(range(config.rounds), desc=cell, disable=None):
            for key, workers in groups.items():
                for worker in workers:
                    worker.send("go")
                slowest = max(float(worker.answer()) for worker in workers)
                seconds.setdefault(key, []).append(slowest)
    measured = {key: np.array(values) for key, values in seconds.items()}
    return [t for members in config.members for t in _of_study(cell, members, measured)]


def _of_study(
    cell: str, members: int, measured: dict[tuple, np.ndarray]
) -> Iterator[Times]:
    """Times of a step of all members, which single models take one after another."""
    for (name, count, models), seconds in measured.items():
        if name in (STUDY, ONE_DEVICE):
            if models == members:
                yield Times(cell, members, name, count, seconds)
        elif name == PER_CORE:
            # As many at once as there are cores; fewer members leave cores idle.
            yield Times(
                cell, members, name, models, math.ceil(members / models) * seconds
            )
        else:
            yield Times(cell, members, name, count, members * seconds)


def best(
    times: Sequence[Times], cell: str, members: int, contender: str
) -> Times | None:
    """The times of a contender at its best number of threads.

    Args:
        times: All times.
        cell: Name of the cell.
        members: Number of models.
        contender: Name of the contender.

    Returns:
        The times with the smallest minimum; None if it was not timed.
    """
    candidates = [
        t
        for t in times
        if (t.cell, t.members, t.contender) == (cell, members, contender)
    ]
    return min(candidates, key=lambda t: t.seconds.min(), default=None)
