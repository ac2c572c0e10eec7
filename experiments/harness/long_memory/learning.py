"""Training of networks on tasks that need a long memory.

Every batch has new sequences: the loss draws them from its key, on the device. Nothing
is stored, members of a study with the same seed see the same sequences, and a run is
resumed as any other. A member stops when it has solved its task.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import ArrayLike, Float, Int

from experiments.harness import networks, training
from experiments.harness.common_flags import TrainingConfig
from experiments.harness.long_memory import tasks
from experiments.harness.long_memory.tasks import (
    AT_ONCE,
    HELD_OUT,
    Task,
    draw,
    held_out,
)
from experiments.harness.networks import Network
from experiments.harness.padding import median_from_end, trimmed
from experiments.harness.runs import Run
from nets import flow
from nets.flow.decay import norms_of

MEASURED = 64  # sequences along which gradients are measured


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
    hyperparameters: Mapping[str, ArrayLike] | None = None,
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

    varied: dict[str, Any] = {}
    if hyperparameters:
        varied["hyperparameters"] = hyperparameters
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
        **varied,
    )
    assert fitted.scores is not None  # evaluated at least once
    steps, losses = fitted.scores.steps, np.asarray(fitted.scores.values).T
    reached = losses <= task.solved(length)
    solved = np.where(reached.any(axis=1), steps[reached.argmax(axis=1)], 0)
    return Learning(steps, losses, solved, fitted.params)


def held_out_loss(
    task: Task, length: int, network: nn.Module, evaluate_on: str = ""
) -> Callable[[Any], jax.Array]:
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
            data = draw(task, length, tasks.held_out_keys(indices, evaluate_on))
            return loss_of(params, data, jax.random.key(0))  # which it ignores

        return jax.lax.map(of_part, jnp.arange(HELD_OUT).reshape(-1, AT_ONCE)).mean()

    return loss


def profiles(
    task: Task, length: int, network: nn.Module, params: Any
) -> Float[np.ndarray, "members time"]:
    """ln of the norm of dL/ds_t at every step, of all members.

    The norm is the median over held-out sequences, each with its loss. Sequences with
    different numbers of steps are aligned at their ends.

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
