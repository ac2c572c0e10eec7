"""Tasks that need a long memory, and the training of networks on them.

Every batch has new sequences: the loss draws them from its key, on the device. Nothing
is stored, members of a study with the same seed see the same sequences, and a run is
resumed as any other. A member stops when it has solved its task.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float, Int

import nets
from experiments.harness import networks, training
from experiments.harness.common_flags import VALIDATION, TrainingConfig
from experiments.harness.networks import Network
from experiments.harness.padding import (
    Padded,
    arguments,
    first,
    median_from_end,
    trimmed,
)
from experiments.harness.runs import Run
from nets import flow
from nets.flow.decay import norms_of
from nets.models import SequenceClassifier, SequenceTagger
from train.data import adding, copy_memory, temporal_order

HELD_OUT = 1000  # sequences of an evaluation
AT_ONCE = 100  # of these
MEASURED = 64  # sequences along which gradients are measured
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


class Learning(NamedTuple):
    """Learning curves of all members of a study.

    Attributes:
        steps: Number of steps taken before each evaluation.
        losses: Held-out losses; a member that has stopped keeps its last.
        solved: Number of steps after which the task was solved; 0 if it was not.
        params: Parameters with the smallest held-out loss, arrays [members, ...].
    """

    steps: Int[np.ndarray, " evaluations"]
    losses: Float[np.ndarray, "members evaluations"]
    solved: Int[np.ndarray, " members"]
    params: Any


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
    return draw(task, length, _held_out_keys(jnp.arange(count), evaluate_on))


def _held_out_keys(indices: Array, evaluate_on: str) -> Array:
    """Keys of held-out examples."""
    root = VALIDATION_KEY if evaluate_on == VALIDATION else TEST_KEY
    return jax.vmap(lambda i: jax.random.fold_in(jax.random.key(root), i))(indices)


def train(
    task: Task,
    length: int,
    network: nn.Module,
    params: Any,
    config: TrainingConfig,
    results: Run,
    *,
    title: str,
    labels: dict[str, Any],
    hyperparameters: Mapping[str, Sequence[float] | np.ndarray] | None = None,
) -> Learning:
    """Train all members of a study on a task, each until it has solved the task.

    Args:
        task: The task.
        length: As in `task.example`.
        network: Network of `model`.
        params: Initial parameters of all members, [members, ...].
        config: The flags. `seeds` are those of the members; `evaluate_every` is at
            least 1.
        results: Run that gets rows of the kinds "training" and "evaluation".
        title: As in `training.train`.
        labels: As in `training.train`.
        hyperparameters: As in `train.fit`, such as the learning rates; all other names
            only distinguish members with the same seed.

    Returns:
        A `Learning`.
    """
    plain = training.loss_of(network)

    def loss_fn(params, indices, key, **settings):
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(indices)
        return plain(params, draw(task, length, keys), key)

    fitted = training.train(
        loss_fn,
        params,
        np.arange(config.batch_size, dtype=np.uint32),  # one step is one epoch
        config,
        results,
        title=title,
        labels=labels,
        evaluate_fn=held_out_loss(task, length, network, config.evaluate_on),
        evaluate_every=config.evaluate_every,
        patience=config.patience or None,
        target=task.solved(length),
        **({"hyperparameters": hyperparameters} if hyperparameters else {}),
    )
    assert fitted.scores is not None  # evaluated at least once
    steps, losses = fitted.scores.steps, np.asarray(fitted.scores.values).T
    reached = losses <= task.solved(length)
    solved = np.where(reached.any(axis=1), steps[reached.argmax(axis=1)], 0)
    return Learning(steps, losses, solved, fitted.params)


def held_out_loss(
    task: Task, length: int, network: nn.Module, evaluate_on: str = ""
) -> Callable[[Any], Array]:
    """The mean loss on the held-out examples.

    Args:
        task: The task.
        length: As in `task.example`.
        network: Network of `model`.
        evaluate_on: As in `held_out`.

    Returns:
        A function of the parameters of one member.
    """
    loss_of = training.loss_of(network)

    def loss(params):
        def of_part(indices):
            data = draw(task, length, _held_out_keys(indices, evaluate_on))
            return loss_of(params, data, None)

        return jax.lax.map(of_part, jnp.arange(HELD_OUT).reshape(-1, AT_ONCE)).mean()

    return loss


def profiles(
    task: Task, length: int, network: nn.Module, params: Any
) -> Float[np.ndarray, "members time"]:
    """ln of the norm of dL/ds_t at every step, of all members.

    The norm is the median over held-out sequences, each with the gradient of its own
    loss. Sequences with different numbers of steps are aligned at their ends.

    Args:
        task: The task.
        length: As in `task.example`.
        network: Network of `model`.
        params: Parameters of all members, [members, ...].

    Returns:
        Nats.
    """
    xs, targets = held_out(task, length, MEASURED)
    xs = trimmed(xs)
    part_of = networks.classifier(network, xs, targets).recurrent
    assert part_of is not None

    def of_member(params):
        part = part_of(params)
        _, gradients = flow.state_gradients(
            part.layer, part.params, part.xs, part.loss, lengths=part.lengths
        )
        norms = norms_of(gradients)
        if part.lengths is None:
            return jnp.median(norms, axis=1)
        return median_from_end(norms, part.lengths)

    return np.asarray(jax.jit(lambda params: jax.lax.map(of_member, params))(params))


def reopen(
    task: Task, length: int, network: nn.Module, evaluate_on: str = ""
) -> Network:
    """A network that a run keeps, with its held-out examples and its held-out loss.

    Args:
        task: The task.
        length: As in `task.example`.
        network: Network of `model`.
        evaluate_on: As in `held_out`.

    Returns:
        A `Network`.
    """
    xs, targets = held_out(task, length, evaluate_on=evaluate_on)
    score = held_out_loss(task, length, network, evaluate_on)
    return networks.classifier(network, xs, targets, score)


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
