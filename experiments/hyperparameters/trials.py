"""Run the trials of a grid search, and read their scores from their logs."""

import contextlib
import dataclasses
import io
import pathlib
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.harness import cli
from experiments.harness.fingerprints import fingerprint
from experiments.harness.folders import ResultsError
from experiments.harness.rows import read_rows
from experiments.harness.runs import Run, new_run
from experiments.hyperparameters.config import AUTO
from experiments.hyperparameters.grid import Trial
from experiments.hyperparameters.scores import Search, TrialScores, read
from train import NonFiniteError

# Metric and objective of each experiment that logs no test accuracy. A number after a
# dot is an index into a list.
METRICS = {
    "adding": ("best_loss", "min"),
    "atlas": ("adding_loss", "min"),
    "autoencoder": ("test_mse", "min"),
    "capacity": ("bytes", "min"),
    "catalogue": ("parameters", "min"),
    "copy_memory": ("best_loss", "min"),
    "course": ("seconds", "min"),
    "draw_digits": ("test_nll", "min"),
    "edge_of_chaos": ("exponent", "max"),
    "hyperparameters": ("score", "max"),
    "initialization": ("log10_norms.-1", "max"),
    "instrument_cost": ("ratio", "min"),
    "language_model": ("bits", "min"),
    "memory": ("bytes", "min"),
    "music": ("test_nll", "min"),
    "remedies": ("error_with", "min"),
    "spectra": ("exponents.0", "max"),
    "tag_sequences": ("f1", "max"),
    "temporal_order": ("best_loss", "min"),
    "throughput": ("seconds.0", "min"),
    "translate_dates": ("greedy", "max"),
}
DEFAULT = ("test_accuracy", "max")


def search(
    module: Any, trials: Sequence[Trial], metric: str, objective: str, where: str
) -> Search:
    """Read the flags of the search.

    Args:
        module: The experiment.
        trials: All trials.
        metric: Name of a metric, or "auto" for the default of the experiment.
        objective: "max" or "min", for a metric that is not "auto".
        where: Labels, "NAME=VALUE;NAME=VALUE", or "".

    Returns:
        A `Search`. Trials are evaluated on a validation set if the experiment has the
        flag `--evaluate_on` and the trials do not set it.

    Raises:
        cli.UsageError: `where` has another form.
    """
    usual = METRICS.get(module.__name__.removeprefix("experiments."), DEFAULT)
    metric, objective = usual if metric == AUTO else (metric, objective)
    labels = {}
    for part in filter(None, (part.strip() for part in where.split(";"))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not (name and equals and value):
            raise cli.UsageError(
                f"flag --where: expected NAME=VALUE;NAME=VALUE; got {part!r}"
            )
        labels[name] = value
    known = {field.name for field in dataclasses.fields(module.Config)}
    given = any("evaluate_on" in trial.given for trial in trials)
    return Search(metric, objective, labels, "evaluate_on" in known and not given)


def evaluated_on(trial: Trial, part: str) -> Trial:
    """The trial, evaluated on the validation or the test set."""
    config = dataclasses.replace(trial.config, evaluate_on=part)
    return trial._replace(config=config, given={**trial.given, "evaluate_on": part})


def measure(
    module: Any, trials: Sequence[Trial], search: Search, results: Run, named: str = ""
) -> list[TrialScores]:
    """Run the trials of one group, and read their scores.

    Args:
        module: The experiment.
        trials: Trials of the group that have not been run.
        search: Metric to read.
        results: Results of the search; each run gets a folder in "runs".
        named: Suffix of the names of these folders.

    Returns:
        One `TrialScores` per trial; nan for a model that diverged.

    Raises:
        cli.UsageError: The experiment does not log the metric.
    """
    if not trials:
        return []
    watched = any(getattr(trial.config, "tensorboard", False) for trial in trials)
    if hasattr(module, "TOGETHER") and not watched:  # else each needs its folder
        all_scores = module.scores([trial.config for trial in trials])
        if len(all_scores) != len(trials):
            raise cli.UsageError(
                f"flag --experiment: expected scores of {len(trials)} configs from "
                f"{module.__name__}.scores; got {len(all_scores)}"
            )
        return [_read_named(by_name, search) for by_name in all_scores]
    scored = []
    for trial in trials:
        folder = results.path / "runs" / f"{trial.number:03d}{named}"
        try:
            if not folder.exists():
                _run(module, trial, folder)
        except NonFiniteError:
            scored.append(TrialScores([np.nan]))
            continue
        scored.append(read(_rows(folder), search))
    return scored


def _run(module: Any, trial: Trial, folder: pathlib.Path) -> None:
    """Run the experiment in a folder, and keep its output there."""
    flags = [f"--{name}={value}" for name, value in trial.given.items()]
    settings: dict[str, Any] = {
        "experiment": module.__name__.removeprefix("experiments."),
        "command": shlex.join(["python", "-m", module.__name__, *flags]),
        "config": dataclasses.asdict(trial.config),
    }
    if data := fingerprint(trial.config):
        settings["data"] = data
    output = io.StringIO()
    question = module.__doc__ or ""
    with new_run(folder, settings, question=question, resume=True) as results:
        with contextlib.redirect_stdout(output):
            module.run(trial.config, results)
        (results.path / "output.txt").write_text(
            output.getvalue(), encoding="utf-8", errors="backslashreplace"
        )


def _rows(folder: pathlib.Path) -> list[dict[str, Any]]:
    """Rows that a run has logged."""
    try:
        rows = read_rows(folder)
        if all(isinstance(row, dict) for row in rows):
            return rows
        error = "a row of it is no object"
    except (ValueError, OSError) as failure:
        error = str(failure)
    raise ResultsError(
        f"the metrics of {folder} are damaged: {error}; remove that folder"
    ) from None


def _read_named(by_name: Mapping[str, list[Any]], search: Search) -> TrialScores:
    """Scores from lists of numbers by metric, with one number per seed."""
    seeds = range(max(map(len, by_name.values()), default=0))
    plain = {
        name: np.asarray(values, float).tolist() for name, values in by_name.items()
    }
    rows = [{"seed": i, **{name: v[i] for name, v in plain.items()}} for i in seeds]
    return read(rows, search._replace(where={}))
