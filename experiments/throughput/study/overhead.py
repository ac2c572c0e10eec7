"""The time that checkpoints and logging add to a training."""

import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float
from tqdm import tqdm

from experiments.harness import replay, runs
from experiments.throughput.config import Config
from experiments.throughput.workers import network, protocol
from experiments.throughput.workers.protocol import Task
from train import fit

MEMBERS = 3
EVERY = 100  # steps between two checkpoints


def measure(config: Config) -> Float[np.ndarray, " rounds"]:
    """Time trainings with and without checkpoints and logging, in turn.

    Args:
        config: The flags.

    Returns:
        Ratio of the times of a step in every round.
    """
    cell = "gru" if "gru" in config.cells else config.cells[0]
    task = Task(cell, config.features, config.time, config.batch_size, MEMBERS, 1, 0)
    arguments: tuple = (
        network.loss_fn_of(task),
        network.optimizer(),
        network.initial_params(task),
        protocol.data(task),
        range(MEMBERS),
    )
    options = {"steps": config.overhead_steps, "batch_size": config.batch_size}
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        settings = {"config": {}}
        with runs.new_run(f"{folder}/run", settings) as results:
            for i in tqdm(range(config.rounds), desc="checkpoints", disable=None):

                def kept(log_fn, name=f"{i}"):
                    replay.fit(
                        results,
                        name,
                        *arguments,
                        **options,
                        checkpoint_every=EVERY,
                        log_fn=lambda **row: (results.log(**row), log_fn(**row)),
                    )

                def plain(log_fn):
                    fit(*arguments, **options, log_fn=log_fn)

                trainings = (kept, plain) if i % 2 else (plain, kept)
                times = {training: _step_time(training) for training in trainings}
                ratios.append(times[kept] / times[plain])
    return np.array(ratios)


def _step_time(training: Callable[[Callable[..., Any]], None]) -> float:
    """Seconds of a step between the first and the last row that it logs."""
    stamps: list[tuple[int, float]] = []
    training(lambda **row: stamps.append((row["step"], time.perf_counter())))
    (first, began), (last, ended) = stamps[0], stamps[-1]
    return (ended - began) / max(last - first, 1)
