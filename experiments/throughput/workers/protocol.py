"""The task of all contenders, and how they report times."""

import json
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from experiments.harness import allocator

EXAMPLES, CLASSES = 1437, 10  # as the digits
LEARNING_RATE, CLIP_NORM = 3e-3, 1.0


class Task(NamedTuple):
    """The training step to time.

    Attributes:
        cell: "elman", "lstm" or "gru".
        features: Units of the recurrent layer.
        time: Steps of a sequence.
        batch_size: Sequences per step.
        members: Models that are trained in each step.
        cores: Devices of JAX, or threads of PyTorch.
        seconds: Time for which steps are repeated.
    """

    cell: str
    features: int
    time: int
    batch_size: int
    members: int
    cores: int
    seconds: float


def task() -> Task:
    """The task, from the command line, in a process that allocates as commands do."""
    allocator.keep_memory()
    return Task(**json.loads(sys.argv[1]))


def data(task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Random sequences and labels: their values do not change the times.

    Args:
        task: The task.

    Returns:
        Sequences [examples, time, 1], and labels [examples].
    """
    rng = np.random.default_rng(0)
    xs = rng.normal(size=(EXAMPLES, task.time, 1)).astype(np.float32)
    return xs, rng.integers(0, CLASSES, EXAMPLES)


def serve(run: Callable[[int], Any], seconds: float) -> None:
    """Time steps whenever a line arrives on standard input.

    Args:
        run: Function that takes so many steps, and waits for their end.
        seconds: Time for which steps are repeated.
    """
    run(1)  # compiles
    count = 1
    while (elapsed := _timed(run, count)) < seconds and count < 1_000_000:
        count = max(2 * count, int(0.9 * count * seconds / max(elapsed, 1e-9)))
    print("ready", flush=True)
    for _ in sys.stdin:
        print(_timed(run, count) / count, flush=True)


def _timed(run: Callable[[int], Any], count: int) -> float:
    """Duration of some steps in seconds."""
    began = time.perf_counter()
    run(count)
    return time.perf_counter() - began
