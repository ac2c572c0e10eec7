"""The steps of the experiment."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from experiments.atlas import claims, figures, page, records, scores, trials
from experiments.atlas.config import Config
from experiments.atlas.measure import SEQUENCES, measurer
from experiments.atlas.records import Row
from experiments.atlas.rows import analyze, tables_of
from experiments.harness import cli, common_flags, folders, machine
from experiments.harness.long_memory import tasks
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.harness.starts import Start, every, starts

TASK = "adding"  # whose sequences the measurements before training are made with


def run(config: Config, results: Run) -> None:
    """Measure and train every cell, and publish the results; or read earlier rows."""
    check(config)
    refused: list[str] = []
    if config.rows:
        rows = records.read(config.rows)
    else:
        rows = []
        names, length = every(config.cells), config.adding_length
        sizes = trials.TASKS[TASK].inputs, min(config.features), length
        possible, refused = starts(names, config.inits, *sizes)
        for sentence in refused:
            results.log(kind="refused", why=sentence)
        for name in names:
            of_cell = [start for start in possible if start.cell == name]
            rows += measure_cell(of_cell, config, results)
    file = results.path / records.FILE
    folders.write(file, records.as_csv(rows))
    # Numbers are drawn as the file has them, so that it gives the same figures again.
    show(records.read([str(file)]), refused, config, results)


def check(config: Config) -> None:
    """Raise a UsageError if a flag is out of range."""
    common_flags.check_seeds(config.seeds)
    if config.order_length % 11:
        raise cli.UsageError(
            f"flag --order_length: expected a multiple of 11; got {config.order_length}"
        )
    machine.need(
        4.0 * SEQUENCES * config.adding_length * max(config.features),
        "the gradients of the states",
        "--adding_length, --features",
    )


def measure_cell(of_cell: Sequence[Start], config: Config, results: Run) -> list[Row]:
    """Measure and train one cell with every initialization, width and seed."""
    cell, seeds = of_cell[0].cell, config.seeds
    rates: dict[str, float] = {}
    rows = []
    for features in config.features:
        columns: list[np.ndarray] = []
        for trial in trials.trials(config):
            model = cast(Any, trials.network(trial, of_cell[0], features))
            params = trials.parameters(trial, of_cell, features, seeds)
            task = trial.task.name
            if task == TASK:
                data = tasks.held_out(trial.task, trial.length)
                columns += map(np.asarray, measurer(model, data)(params))
            if task not in rates:  # with the first number of units
                rates[task] = trials.best_rate(
                    trial, of_cell[0], model, params, config, results
                )
            members = list(seeds) * len(of_cell)
            outcome = trials.learn(
                trial,
                model,
                params,
                members,
                [rates[task]] * len(members),
                f"{cell}, {features}, {task}",
                config,
                results,
            )
            columns += [np.full(len(members), rates[task]), *outcome]
        networks = [(start.init, seed) for start in of_cell for seed in seeds]
        for (init, seed), *numbers in zip(networks, *columns, strict=True):
            rows.append(Row(cell, init, features, seed, *map(float, numbers)))
            results.log(kind="network", **rows[-1]._asdict())
    return rows


def show(
    rows: Sequence[Row], refused: Sequence[str], config: Config, results: Run
) -> None:
    """Publish the results."""
    atlas = scores.points(rows)
    analysis = analyze(atlas)
    setting = caption(config, rows)
    page.write(results.path / page.FILE, atlas, setting)
    publish(
        results,
        answer=claims.answer(analysis),
        figures={
            "map.png": figures.draw_map(atlas, setting),
            "correlations.png": figures.draw_correlations(analysis, setting),
            "predictions.png": figures.draw_predictions(analysis, setting),
        },
        tables=tables_of(atlas, analysis),
        claims=claims.evaluate_claims(analysis),
        findings=[
            *claims.findings(atlas, analysis),
            *([] if config.rows else [claims.copied(atlas, config.copy_length)]),
            f"The page {page.FILE} has all rows, in a table that can be sorted.",
            *refused,
        ],
    )


def caption(config: Config, rows: Sequence[Row]) -> str:
    """The setting of the run, for the captions of the figures."""
    cells, units, seeds = (
        list(dict.fromkeys(getattr(row, name) for row in rows))
        for name in ("cell", "features", "seed")
    )
    count = len({row.network[:2] for row in rows})
    size = (
        f"{len(cells)} cells, {count} initializations of them, "
        f"{' and '.join(map(str, units))} units, {len(seeds)} seeds"
    )
    if config.rows:
        return f"{size}; rows of {', '.join(config.rows)}."
    lengths = ", ".join(
        f"{trial.task.name.replace('_', ' ')} ({trial.length}, {trial.steps:,} steps)"
        for trial in trials.trials(config)
    )
    rates = ", ".join(f"{rate:g}" for rate in config.learning_rates)
    return (
        f"{size}; length, and training steps at most: {lengths}; Adam, batches of "
        f"{config.batch_size}, gradients clipped to {config.clip_norm:g}; of the "
        f"learning rates {rates} the best for the cell, with its first initialization "
        f"and seed; evaluated every {config.evaluate_every} steps on {trials.HELD_OUT} "
        "sequences."
    )
