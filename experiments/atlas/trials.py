"""Training of the atlas: every initialization and seed of a cell is one study."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from flax.linen.initializers import lecun_normal
from jaxtyping import Float

from experiments.atlas.config import Config
from experiments.harness import replay, training
from experiments.harness.long_memory import tasks
from experiments.harness.long_memory.tasks import TASKS, Task
from experiments.harness.padding import arguments
from experiments.harness.runs import Run
from experiments.harness.starts import Start
from train import NonFiniteError, make_optimizer

HELD_OUT = 256  # sequences of an evaluation


class Trial(NamedTuple):
    """A task, and how long networks are trained on it.

    Attributes:
        task: The task.
        length: Length of its sequences, as in `task.example`.
        steps: Training steps, at most.
    """

    task: Task
    length: int
    steps: int

    @property
    def solved(self) -> float:
        """Held-out loss at or below which the task is solved."""
        return self.task.solved(self.length)


class Outcome(NamedTuple):
    """How networks have learned a task, [networks].

    Attributes:
        steps: Steps in which each has solved it; inf if it has not.
        loss: Smallest held-out loss.
    """

    steps: Float[np.ndarray, " networks"]
    loss: Float[np.ndarray, " networks"]


def trials(config: Config) -> list[Trial]:
    """The tasks, as the flags set them."""
    return [
        Trial(TASKS["adding"], config.adding_length, config.adding_steps),
        Trial(TASKS["temporal_order"], config.order_length, config.order_steps),
        Trial(TASKS["copy_memory"], config.copy_length, config.copy_steps),
    ]


def parameters(
    trial: Trial, starts: Sequence[Start], features: int, seeds: Sequence[int]
) -> Any:
    """Initial parameters of all networks of a cell: each initialization, each seed.

    Args:
        trial: The task.
        starts: The cell with each initialization.
        features: Number of units.
        seeds: Seeds.

    Returns:
        Parameters of `network`, a tree of arrays [networks, ...].
    """
    example = tasks.held_out(trial.task, trial.length, 2)[0]
    shapes = jax.eval_shape(
        network(trial, starts[0], features).init,
        jax.random.key(0),
        *arguments(example),
    )["params"]
    head = {name: part for name, part in shapes.items() if name != "recurrent"}

    # Not under jit: operations that are compiled once serve all cells.
    def draw(start, seed):
        key, key_head = jax.random.split(jax.random.fold_in(jax.random.key(seed), 0))
        cell = start.made.init(key, trial.task.inputs, features)
        return {"recurrent": {"cell": cell}} | jax.tree.map(
            lambda leaf: (
                lecun_normal()(key_head, leaf.shape)
                if leaf.ndim > 1
                else jnp.zeros(leaf.shape)
            ),
            head,
        )

    drawn = [draw(start, seed) for start in starts for seed in seeds]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *drawn)


def network(trial: Trial, start: Start, features: int) -> nn.Module:
    """The network of a cell for a task."""
    return tasks.model(trial.task, start.made, features)


def learn(
    trial: Trial,
    model: nn.Module,
    params: Any,
    seeds: Sequence[int],
    rates: Sequence[float],
    title: str,
    config: Config,
    results: Run,
) -> Outcome:
    """Train networks, all members of one study, each until it has solved the task.

    Args:
        trial: The task.
        model: The network.
        params: Initial parameters of all networks, [networks, ...].
        seeds: Seed of each network.
        rates: Learning rate of each network.
        title: Name of the training in the run.
        config: The flags.
        results: The run, which keeps the training.

    Returns:
        An `Outcome`. A network that diverges keeps the smallest loss before.
    """
    loss_of = training.loss_of(model)
    data = tasks.held_out(trial.task, trial.length, HELD_OUT)

    def loss_fn(params, indices, key):
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(indices)
        return loss_of(params, tasks.draw(trial.task, trial.length, keys), key)

    def evaluate(params):
        return loss_of(params, data, jax.random.key(0))  # which it ignores

    def dropped(error: NonFiniteError):
        row = {"seed": error.seed, **error.settings, "step": error.step}
        row |= {"tensor": error.tensor, "done": "dropped"}
        results.log(kind="nonfinite", network=title, **row)

    make = optax.inject_hyperparams(make_optimizer, static_args=("name", "clip_norm"))
    fitted = replay.fit(
        results,
        title,
        loss_fn,
        make("adam", rates[0], config.clip_norm),
        params,
        np.arange(config.batch_size, dtype=np.uint32),  # each step draws new sequences
        list(seeds),
        steps=trial.steps,
        batch_size=config.batch_size,
        checkpoint_every=config.checkpoint_every,
        hyperparameters={"learning_rate": np.asarray(rates, np.float32)},
        evaluate_fn=evaluate,
        evaluate_every=min(config.evaluate_every, trial.steps),
        steps_per_call=config.evaluate_every,
        target=trial.solved,
        on_nonfinite="drop_member",
        nonfinite_fn=dropped,
        desc=title,
    )
    assert fitted.scores is not None  # evaluated at least once
    steps, losses = fitted.scores.steps, np.asarray(fitted.scores.values)
    reached = losses <= trial.solved
    solved = np.where(reached.any(axis=0), steps[reached.argmax(axis=0)], np.inf)
    best = np.where(np.isfinite(losses), losses, np.inf).min(axis=0)
    return Outcome(solved, best)


def best_rate(
    trial: Trial,
    start: Start,
    model: nn.Module,
    params: Any,
    config: Config,
    results: Run,
) -> float:
    """The learning rate with which a cell solves a task first, or comes closest.

    Args:
        trial: The task.
        start: The cell, with its first initialization.
        model: The network.
        params: Result of `parameters`, whose first network is trained.
        config: The flags.
        results: The run.

    Returns:
        One of `config.learning_rates`.
    """
    rates = config.learning_rates
    if len(rates) == 1:
        return rates[0]
    outcome = learn(
        trial,
        model,
        jax.tree.map(lambda leaf: jnp.stack([leaf[0]] * len(rates)), params),
        config.seeds[:1] * len(rates),
        rates,
        f"{start.cell}, {trial.task.name}, rates",
        config,
        results,
    )
    for rate, steps, loss in zip(rates, *outcome, strict=True):
        results.log(
            kind="rate",
            cell=start.cell,
            task=trial.task.name,
            learning_rate=rate,
            steps=steps,
            loss=loss,
        )
    pairs = zip(outcome.steps, outcome.loss, rates, strict=True)
    return min(pairs)[2]
