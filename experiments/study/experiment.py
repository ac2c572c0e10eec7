"""The steps of the experiment."""

import dataclasses
from typing import Any

import numpy as np

from experiments.harness import cli, own_sequences, probing, shards, training
from experiments.harness.common_flags import TrainingConfig
from experiments.harness.networks import Network, classifier
from experiments.harness.own_sequences import Sequences
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.study import claims, figures, measure
from experiments.study.config import Config
from experiments.study.measure import CellResult, Member


def run(config: Config, results: Run) -> None:
    """Train and measure the grid of every cell, and publish the results."""
    if config.tensorboard and len(config.learning_rate) > 1:
        raise cli.UsageError(
            "flag --tensorboard: expected a single --learning_rate with it, as the "
            "models in TensorBoard are named by all settings but this; got "
            f"{len(config.learning_rate)} rates"
        )
    data = own_sequences.load(config, results, least=2)
    models = {cell: measure.network(cell, config, data) for cell in config.cells}
    studied = []
    shard = shards.parse(results.launch.shard)
    for cell, model in models.items():
        grid = shards.select(measure.members(config, cell), shard)
        params = measure.start(cell, model, config, data, grid)
        measure_all = measure.measurer(model, data)
        *_, before = measure_all(params)
        fitted = training.train(
            measure.loss_of(model, drops=max(config.dropout) > 0),
            params,
            data.train,
            shared_flags(config, grid),
            results,
            title=cell,
            labels={"cell": cell},
            hyperparameters=hyperparameters(grid),
        )
        accuracy, loss, after = measure_all(fitted.params)
        failed = np.asarray(fitted.nonfinite) > 0
        stopped = failed & ~np.asarray(fitted.training)
        result = CellResult(
            cell,
            grid,
            np.asarray(accuracy),
            probing.decay_rates(before),
            probing.decay_rates(after),
            np.where(stopped, np.asarray(fitted.state.step) + 1, 0),
        )
        log(result, np.asarray(loss), results)
        studied.append(result)
    show(studied, config, data, results)


def members(config: Config) -> dict[str, list[Member]]:
    """The members that shards divide, by cell."""
    return {cell: measure.members(config, cell) for cell in config.cells}


def reopen(config: Config) -> dict[str, Network]:
    """The networks that a run keeps, by cell; the settings change only parameters."""
    data = own_sequences.load(config, least=2)
    return {
        cell: classifier(measure.network(cell, config, data), *data.test)
        for cell in config.cells
    }


def shared_flags(config: Config, grid: list[Member]) -> TrainingConfig:
    """The flags of training, with the seeds of all members.

    The learning rate and the clip norm are those of the first member; each member has
    its own in `hyperparameters`.
    """
    names = [field.name for field in dataclasses.fields(TrainingConfig)]
    flags: dict[str, Any] = {name: getattr(config, name) for name in names}
    flags["seeds"] = [member.seed for member in grid]
    flags["learning_rate"] = grid[0].learning_rate
    flags["clip_norm"] = grid[0].clip_norm
    return TrainingConfig(**flags)


def hyperparameters(grid: list[Member]) -> dict[str, Any]:
    """The settings of all members by name, arrays [members]."""
    rows = [member.settings for member in grid]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def log(result: CellResult, losses: np.ndarray, results: Run) -> None:
    """Log the measurements, one row per member."""
    for i, member in enumerate(result.members):
        results.log(
            kind="member",
            cell=result.cell,
            **member._asdict(),
            test_accuracy=result.accuracy[i],
            test_loss=losses[i],
            decay_before=result.before[i],
            decay_after=result.after[i],
            diverged=bool(result.diverged[i]),
            diverged_step=int(result.diverged[i]) or None,
        )


def show(
    studied: list[CellResult], config: Config, data: Sequences, results: Run
) -> None:
    """Publish the results."""
    axes = claims.varied(studied)
    least = config.trained_accuracy
    if results.launch.shard:  # it may have no setting with all seeds
        count = sum(len(result.members) for result in studied)
        publish(results, answer=f"Members trained: {count}.", findings=data.findings())
        return
    publish(
        results,
        answer=claims.answer(studied, least),
        figures={
            "study.png": figures.draw(
                studied, axes, least, caption(config, data, studied)
            )
        },
        tables={"Best and worst settings": claims.table(studied, axes, least)},
        claims=claims.evaluate_claims(studied, least),
        findings=data.findings(),
    )


def caption(config: Config, data: Sequences, studied: list[CellResult]) -> str:
    """The setting of the run, for the caption of the figure."""
    varied, first = claims.varied(studied), studied[0].members[0].settings
    fixed = {name: value for name, value in first.items() if name not in varied}
    shared = ", ".join(f"{claims.WORDS[name]} {v:g}" for name, v in fixed.items())
    counts = ", ".join(f"{r.cell} {len(r.members)}" for r in studied)
    return (
        f"{data.setting}; {config.features} units; {config.optimizer}, {config.steps} "
        f"steps of {config.batch_size}{'; ' if shared else ''}{shared}. Members: "
        f"{counts}, from {len(config.seeds)} seeds. Each panel varies one setting; "
        "the others are those at which the cell is most accurate. Lines: mean over "
        "seeds; bands: range. x: a member that diverged, with its last finite "
        f"parameters. Dashed: {config.trained_accuracy:.0%} accuracy. Decay rates are "
        f"on a log scale above {figures.LINEAR:g}."
    )
