"""The steps of the experiment."""

from typing import Any

from experiments.harness import cells
from experiments.harness.networks import Network, classifier
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.harness.tables import counted
from experiments.parallel import claims, figures
from experiments.parallel.config import PUBLISHED, Config
from experiments.parallel.measure import TIME, load
from experiments.parallel.published import experiment as published
from experiments.parallel.trials import Member, measured, trials


def run(config: Config, results: Run) -> None:
    """Train and measure all cells, measure the facts, and publish the results."""
    trained, data = trials(config), load(config)
    rows, flossed = [], []
    for trial in trained:
        into = flossed if "target" in trial.members[0].settings else rows
        into += measured(trial, data, config, results)
    if results.launch.shard:  # it may lack some seeds
        publish(results, answer=f"Trajectories measured: {len(rows) + len(flossed)}.")
        return
    parts: list[dict[str, Any]] = []
    text = caption(config)
    if rows:
        parts.append(
            {
                "figures": {
                    "parallel.png": figures.draw_axes(rows, text),
                    "cells.png": figures.draw_cells(rows, text),
                },
                "tables": {"Cells at gain 1, after training": claims.table(rows)},
            }
        )
    if flossed:
        plot = figures.draw_flossing(flossed, text)
        parts.append({"figures": {"flossing.png": plot}})
    if trained:
        parts.append(
            {
                "answer": claims.answer(rows, flossed),
                "claims": claims.evaluate_claims(rows, flossed),
            }
        )
    if PUBLISHED in config.parts:
        parts.append(published.run(results))
    publish(results, **merged(parts))


def merged(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Arguments of `publish` from those of the parts.

    Example:
        >>> merged([{"answer": "One."}, {"answer": "Two.", "findings": ["More."]}])
        {'answer': 'One. Two.', 'findings': ['More.']}
    """
    whole: dict[str, Any] = {}
    for part in parts:
        for name, value in part.items():
            if name not in whole:
                whole[name] = value
            elif isinstance(value, dict):
                whole[name] = whole[name] | value
            else:
                whole[name] += f" {value}" if isinstance(value, str) else value
    return whole


def members(config: Config) -> dict[str, list[Member]]:
    """The members that shards divide, by training."""
    return {trial.name: trial.members for trial in trials(config)}


def reopen(config: Config) -> dict[str, Network]:
    """The networks that a run keeps, by training; settings change only parameters."""
    _, test = load(config)
    return {trial.name: classifier(trial.model, *test) for trial in trials(config)}


def caption(config: Config) -> str:
    """The setting of the run, for the captions of the figures."""
    inits = (cells.initializer_name("lstm", name, TIME) for name in config.inits)
    units, steps = counted(config.features, "unit"), counted(config.steps, "step")
    seeds = counted(len(config.seeds), "seed")
    return (
        f"{units}; trained on digits as 64 pixels, {config.optimizer}, "
        f"rate {config.learning_rate:g}, {steps} of {config.batch_size}; "
        f"{seeds}. Initializations of an LSTM: {', '.join(inits)}; "
        f"gains of w_h with the first: {', '.join(f'{g:g}' for g in config.gains)}. "
        f"Measured along {counted(config.length, 'step')} of held-out digits, in "
        f"float32, by at most {counted(config.max_iterations, 'iteration')}."
    )
