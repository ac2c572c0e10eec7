"""Studies of a task that needs a long memory: cells, initializations and seeds.

All models of a cell are members of one training: every initialization from every seed.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import linen as nn
from jaxtyping import Float, Int

from experiments.harness import (
    cli,
    long_memory,
    machine,
    memory_training,
    probing,
    shards,
    training,
)
from experiments.harness.long_memory import Task
from experiments.harness.networks import Network
from experiments.harness.runs import Run
from experiments.harness.starts import Start, starts


class Member(NamedTuple):
    """One model of a training.

    Attributes:
        seed: Its seed.
        init: Name of its initialization.
        start: Index of its initialization.
    """

    seed: int
    init: str
    start: int

    @property
    def settings(self) -> dict[str, str]:
        """The setting that distinguishes members with the same seed."""
        return {"init": self.init}


class Study(NamedTuple):
    """The training of one cell at one length.

    Attributes:
        title: Its name.
        cell: Name of the cell.
        length: As in `Task.example`.
        starts: The initializations of the cell.
        networks: One network per initialization.
        members: All members, by initialization and seed.
    """

    title: str
    cell: str
    length: int
    starts: Sequence[Start]
    networks: Sequence[nn.Module]
    members: Sequence[Member]


class Curve(NamedTuple):
    """Results of one cell with one initialization at one length.

    Attributes:
        cell: Name of the cell.
        init: Name of the initialization.
        length: As in `Task.example`.
        parameters: Number of parameters of the network.
        seeds: Seeds of the models.
        steps: Number of steps taken before each evaluation.
        losses: Held-out losses, [seeds, evaluations].
        solved: Steps after which the task was solved; 0 if it was not, [seeds].
        profile: ln |dL/ds_t| before training, [seeds, time].
    """

    cell: str
    init: str
    length: int
    parameters: int
    seeds: Sequence[int]
    steps: Int[np.ndarray, " evaluations"]
    losses: Float[np.ndarray, "seeds evaluations"]
    solved: Int[np.ndarray, " seeds"]
    profile: Float[np.ndarray, "seeds time"]

    @property
    def last(self) -> Float[np.ndarray, " seeds"]:
        """The last held-out loss of every model."""
        return self.losses[:, -1]

    @property
    def decay(self) -> Float[np.ndarray, " seeds"]:
        """Decay rate of the gradient before training, nats per step."""
        return probing.decay_rates(self.profile)


def check(task: Task, config: Any) -> None:
    """Raise a UsageError if flags contradict each other.

    Args:
        task: The task.
        config: The flags, a `MemoryConfig` with `lengths`, `cells` and `inits`.
    """
    training.check(config, config.batch_size, "sequences")
    for length in config.lengths:
        try:
            jax.eval_shape(
                lambda key, n=length: task.example(key, n), jax.random.key(0)
            )
        except ValueError as error:
            raise cli.UsageError(f"flag --lengths: {error}") from error
    size = max(config.lengths) * max(config.batch_size, long_memory.AT_ONCE)
    machine.need(
        4 * size * (task.inputs + 8 * config.features),
        "the states of a batch",
        "--lengths, --batch_size, --features",
    )


def setting(config: Any) -> str:
    """The setting of the flags, for the caption of a figure."""
    clip = f"clipped at {config.clip_norm:g}" if config.clip_norm else "not clipped"
    return (
        f"{config.features} units; {config.optimizer}, rate {config.learning_rate:g}, "
        f"gradient {clip}, at most {config.steps:,} steps of {config.batch_size} new "
        f"sequences; {len(config.seeds)} seeds."
    )


def studies(task: Task, config: Any) -> tuple[list[Study], list[str]]:
    """All trainings.

    Args:
        task: The task.
        config: As in `check`.

    Returns:
        The trainings; and one sentence for each initialization that a cell does not
        take.
    """
    made, refused = [], []
    for length in config.lengths:
        sizes = task.inputs, config.features, length
        all_starts, sentences = starts(config.cells, config.inits, *sizes)
        refused += [text for text in sentences if text not in refused]
        for cell in dict.fromkeys(start.cell for start in all_starts):
            group = [start for start in all_starts if start.cell == cell]
            made.append(
                Study(
                    f"{cell}, {length}",
                    cell,
                    length,
                    group,
                    [long_memory.model(task, s.made, config.features) for s in group],
                    [
                        Member(seed, start.init, i)
                        for i, start in enumerate(group)
                        for seed in config.seeds
                    ],
                )
            )
    return made, refused


def members(task: Task, config: Any) -> dict[str, list[Member]]:
    """The members that shards divide, by the name of the training."""
    return {study.title: list(study.members) for study in studies(task, config)[0]}


def reopen(task: Task, config: Any) -> dict[str, Network]:
    """The networks that a run keeps, by the name of the training."""
    return {
        study.title: memory_training.reopen(
            task, study.length, study.networks[0], config.evaluate_on
        )
        for study in studies(task, config)[0]
    }


def run(task: Task, study: Study, config: Any, results: Run) -> Iterator[Curve]:
    """Train the members of a study, and log one row per member.

    Args:
        task: The task.
        study: One of `studies`.
        config: As in `check`.
        results: The run.

    Yields:
        One `Curve` per initialization that has members.
    """
    group = shards.select(study.members, shards.parse(results.launch.shard))
    parts = []
    for i, network in enumerate(study.networks):
        if seeds := [member.seed for member in group if member.start == i]:
            parts.append(long_memory.start(task, study.length, network, seeds))
    params = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
    # Members are in the order of their initializations, in a shard, too.
    network = study.networks[0]  # the initializations differ only in the parameters
    profiles = memory_training.profiles(task, study.length, network, params)
    places = np.array([member.start for member in group])
    learned = memory_training.train(
        task,
        study.length,
        network,
        params,
        dataclasses.replace(config, seeds=[member.seed for member in group]),
        results,
        title=study.title,
        labels={"cell": study.cell, "length": study.length},
        hyperparameters={"start": places} if len(study.starts) > 1 else None,
    )
    count = sum(leaf[0].size for leaf in jax.tree.leaves(params))
    for i, start in enumerate(study.starts):
        index = np.flatnonzero(places == i)
        if len(index):
            seeds = [group[place].seed for place in index]
            curve = Curve(
                study.cell,
                start.init,
                study.length,
                count,
                seeds,
                learned.steps,
                learned.losses[index],
                learned.solved[index],
                profiles[index],
            )
            log(curve, results)
            yield curve


def log(curve: Curve, results: Run) -> None:
    """Log one row per seed."""
    for i, seed in enumerate(curve.seeds):
        results.log(
            kind="learned",
            cell=curve.cell,
            init=curve.init,
            length=curve.length,
            parameters=curve.parameters,
            seed=seed,
            solved_step=int(curve.solved[i]) or None,
            loss=curve.last[i],
            best_loss=curve.losses[i].min(),
            decay=curve.decay[i],
            log_norms=curve.profile[i],
        )
