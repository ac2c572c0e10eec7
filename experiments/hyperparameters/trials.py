"""Trials of a grid search: each is run, and its scores are read from what it logs."""

import contextlib
import dataclasses
import io
import pathlib
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.harness import cli
from experiments.harness.folders import ResultsError
from experiments.harness.runs import Run, new_run, read_rows
from experiments.hyperparameters.grid import Trial
from experiments.hyperparameters.scores import Scored, Search, read
from train import NonFiniteError

AUTO = "auto"
# Metric and objective of each experiment that logs no test accuracy. A number after a
# dot is the place in a list.
METRICS = {
    "autoencoder": ("test_mse", "min"),
    "catalogue": ("parameters", "min"),
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
    "translate_dates": ("greedy", "max"),
}
DEFAULT = ("test_accuracy", "max")


def search(
    module: Any, trials: Sequence[Trial], metric: str, objective: str, where: str
) -> Search:
    """Read the flags of the search.

    Args:
        module: The experiment.
        trials: All of them.
        metric: A name, or "auto" for the experiment's.
        objective: "max" or "min", for a metric that is named.
        where: "NAME=VALUE;NAME=VALUE", or "".

    Returns:
        A `Search`. Trials are evaluated on a validation set if the experiment can, and
        if the flags of the trials leave that open.

    Raises:
        cli.UsageError: `where` is no such text.
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


def on(trial: Trial, part: str) -> Trial:
    """A trial that is evaluated on the validation set, or on the test set."""
    config = dataclasses.replace(trial.config, evaluate_on=part)
    return trial._replace(config=config, given={**trial.given, "evaluate_on": part})


def measure(
    module: Any, trials: Sequence[Trial], search: Search, results: Run, named: str = ""
) -> list[Scored]:
    """The scores of some trials of one group.

    Args:
        module: The experiment.
        trials: Those of the group that are left to do.
        search: Metric to read.
        results: Where each run gets a folder, in "runs".
        named: End of the names of these folders.

    Returns:
        One `Scored` per trial; nan for a model that diverged.

    Raises:
        cli.UsageError: The experiment does not log what is searched by.
    """
    if not trials:
        return []
    if hasattr(module, "TOGETHER"):
        found = module.scores([trial.config for trial in trials])
        if len(found) != len(trials):
            raise cli.UsageError(
                f"flag --experiment: expected scores of {len(trials)} configs from "
                f"{module.__name__}.scores; got {len(found)}"
            )
        return [_together(one, search) for one in found]
    scored = []
    for trial in trials:
        folder = results.path / "runs" / f"{trial.number:03d}{named}"
        try:
            if not folder.exists():
                _run(module, trial, folder)
        except NonFiniteError:
            scored.append(Scored([np.nan]))
            continue
        scored.append(read(_rows(folder), search))
    return scored


def _run(module: Any, trial: Trial, folder: pathlib.Path) -> None:
    """One run of the experiment, in its own folder, with the table it prints."""
    flags = [f"--{name}={value}" for name, value in trial.given.items()]
    settings = {
        "experiment": module.__name__.removeprefix("experiments."),
        "command": shlex.join(["python", "-m", module.__name__, *flags]),
        "config": dataclasses.asdict(trial.config),
    }
    said = io.StringIO()
    question = module.__doc__ or ""
    with new_run(folder, settings, question=question, resume=True) as results:
        (results.path / "metrics.jsonl").unlink(missing_ok=True)  # of an unfinished one
        with contextlib.redirect_stdout(said):
            module.run(trial.config, results)
        (results.path / "output.txt").write_text(
            said.getvalue(), encoding="utf-8", errors="backslashreplace"
        )


def _rows(folder: pathlib.Path) -> list[dict[str, Any]]:
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


def _together(found: Mapping[str, list[Any]], search: Search) -> Scored:
    """The scores of a model that was trained with others, by name, one a seed."""
    seeds = range(max(map(len, found.values()), default=0))
    plain = {name: np.asarray(values, float).tolist() for name, values in found.items()}
    rows = [{"seed": i, **{name: v[i] for name, v in plain.items()}} for i in seeds]
    return read(rows, search._replace(where={}))
