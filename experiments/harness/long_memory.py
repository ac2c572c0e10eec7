"""Tasks that need a long memory: their examples, and networks for them.

`memory_training` trains the networks.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array

import nets
from experiments.harness import training
from experiments.harness.common_flags import VALIDATION
from experiments.harness.padding import Padded, arguments, first
from nets.models import SequenceClassifier, SequenceTagger
from train.data import adding, copy_memory, temporal_order

HELD_OUT = 1000  # sequences of an evaluation
AT_ONCE = 100  # of these
TEST_KEY, VALIDATION_KEY = 1, 2  # roots of the held-out sequences


class Task(NamedTuple):
    """A task with sequences of any length.

    Attributes:
        name: Name of the task.
        inputs: Features of each step.
        outputs: Numbers that are predicted, or classes.
        example: `sequence, target, *steps = example(key, length)`, one random example;
            `steps` is there if the sequences of one length have different numbers of
            steps.
        baseline: Loss of the best prediction without memory, by length.
        solved: Held-out loss at or below which the task is solved, by length.
        by_step: Whether there is a target for every step, or only for the last.
        loss: Name of the loss.
    """

    name: str
    inputs: int
    outputs: int
    example: Callable[..., Any]
    baseline: Callable[[int], float]
    solved: Callable[[int], float]
    by_step: bool
    loss: str


TASKS = {
    task.name: task
    for task in (
        Task(
            "adding",
            adding.INPUTS,
            adding.OUTPUTS,
            adding.example,
            baseline=lambda length: adding.BASELINE,
            solved=lambda length: 0.01,
            by_step=False,
            loss="mean squared error",
        ),
        Task(
            "copy_memory",
            copy_memory.INPUTS,
            copy_memory.OUTPUTS,
            copy_memory.example,
            baseline=copy_memory.baseline,
            solved=lambda length: 0.1 * copy_memory.baseline(length),
            by_step=True,
            loss="cross-entropy, nats per step",
        ),
        Task(
            "temporal_order",
            temporal_order.INPUTS,
            temporal_order.OUTPUTS,
            temporal_order.example,
            baseline=lambda length: temporal_order.BASELINE,
            solved=lambda length: 0.05,
            by_step=False,
            loss="cross-entropy, nats",
        ),
    )
}


def model(task: Task, cell: nets.Cell, features: int) -> nn.Module:
    """A network for a task: a recurrent layer, and a dense layer.

    Args:
        task: The task.
        cell: The cell.
        features: Hidden units.

    Returns:
        A Linen module.

    Example:
        >>> network = model(TASKS["adding"], nets.gru(), 8)
        >>> xs, targets = held_out(TASKS["adding"], 20, 5)
        >>> training.count(network, xs)
        281
    """
    make = SequenceTagger if task.by_step else SequenceClassifier
    return make(cell, features, task.outputs)


def draw(task: Task, length: int, keys: Array) -> tuple[Any, Array]:
    """Random examples.

    Args:
        task: The task.
        length: As in `task.example`.
        keys: One key per example.

    Returns:
        Inputs of `model`, an array [examples, time, inputs] or a `Padded`; and targets.
    """
    drawn = jax.vmap(functools.partial(task.example, length=length))(keys)
    xs, targets, *steps = drawn
    return (Padded(xs, *steps) if steps else xs), targets


def held_out(
    task: Task, length: int, count: int = HELD_OUT, evaluate_on: str = ""
) -> tuple[Any, Array]:
    """The first held-out examples, which are always the same.

    Args:
        task: The task.
        length: As in `task.example`.
        count: Number of examples.
        evaluate_on: `VALIDATION` for the examples of the validation set.

    Returns:
        As `draw`.
    """
    return draw(task, length, held_out_keys(jnp.arange(count), evaluate_on))


def held_out_keys(indices: Array, evaluate_on: str = "") -> Array:
    """Keys of held-out examples.

    Args:
        indices: Numbers of the examples, integers from 0.
        evaluate_on: As in `held_out`.

    Returns:
        Keys for `draw`.
    """
    root = VALIDATION_KEY if evaluate_on == VALIDATION else TEST_KEY
    return jax.vmap(lambda i: jax.random.fold_in(jax.random.key(root), i))(indices)


def start(task: Task, length: int, network: nn.Module, seeds: Sequence[int]) -> Any:
    """Initial parameters, one network per seed.

    Args:
        task: The task.
        length: As in `task.example`.
        network: Network of `model`.
        seeds: As in the flags.

    Returns:
        A tree of arrays [seeds, ...].
    """
    inputs = first(arguments(held_out(task, length, 2)[0]), 1)
    return training.start(network, inputs, list(seeds))
