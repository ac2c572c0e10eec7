"""Flags of experiments on tasks that need a long memory."""

import dataclasses
from typing import Any

from experiments.harness import cli, common_flags
from experiments.harness.common_flags import MOST_STEPS, TrainingConfig


def evaluate_every(default: int) -> Any:
    """Number of training steps between two evaluations."""
    return cli.flag(
        default,
        "Training steps between two evaluations of the loss on 1,000 held-out "
        "sequences. A model that has solved the task stops to train.",
        lower_bound=1,
        upper_bound=MOST_STEPS,
        group="training",
    )


@dataclasses.dataclass(frozen=True)
class MemoryConfig(TrainingConfig):
    """Flags of every experiment on such a task, a base class of its `Config`."""

    features: int = common_flags.features(64)
    batch_size: int = common_flags.batch_size(50, "New random sequences per step.")
    learning_rate: float = common_flags.learning_rate(1e-3)
    evaluate_every: int = evaluate_every(100)


def lengths(default: list[int], help: str) -> Any:
    """Lengths of the task."""
    return cli.flag(default, help, lower_bound=1, upper_bound=100_000, group="data")
