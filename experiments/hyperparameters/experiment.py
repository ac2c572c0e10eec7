"""The experiment: its flags and its steps."""

import dataclasses
import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.harness import cli, training
from experiments.harness.folders import ResultsError
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.hyperparameters import claims, figures, trials
from experiments.hyperparameters.claims import Grid
from experiments.hyperparameters.grid import Trial, combinations
from experiments.hyperparameters.scores import Scored, Search
from experiments.hyperparameters.trials import AUTO

OBJECTIVES = {"max": max, "min": min}


@dataclasses.dataclass(frozen=True)
class Config:
    """The flags."""

    experiment: str = cli.flag(
        "image_classification", "Of experiments/, or package.module of one's own."
    )
    grid: str = cli.flag(
        "learning_rate=3e-4,1e-3,3e-3,1e-2;filters=8|8,16|16,32",
        'Flags and their values, "NAME=VALUE,VALUE;NAME=VALUE|VALUE"; with | between '
        "them the values may be lists.",
    )
    set: str = cli.flag(
        "steps=140;seeds=0,1,2",
        'Values of other flags of the experiment, "NAME=VALUE;..."; of the default '
        "those that it has.",
    )
    metric: str = cli.flag(
        AUTO,
        "Number to search by, one that the experiment logs; auto is the test accuracy, "
        "or the experiment's own measure where it has none.",
    )
    objective: str = cli.flag(
        "max",
        "Whether the number that --metric names is maximized or minimized; for auto "
        "this is known.",
        choices=tuple(OBJECTIVES),
    )
    where: str = cli.flag(
        "",
        'Rows of the log that count, "NAME=VALUE;...", such as "cell=lstm"; by default '
        "all, and where there are several for a seed, their mean.",
    )


def run(config: Config, results: Run) -> None:
    """Run every combination that has not been; log, draw and print what was found."""
    module = find(config.experiment)
    config = dataclasses.replace(config, set=settings(config.set, module))
    found = combinations(module.Config, config.grid, config.set)
    how = trials.search(module, found, config.metric, config.objective, config.where)
    if how.splits:
        found = [trials.on(trial, training.VALIDATION) for trial in found]
    known = resumed(results)
    for group in groups(module, found):
        left = [trial for trial in group if trial.name not in known]
        measured = trials.measure(module, left, how, results)
        for trial, scored in zip(left, measured, strict=True):
            row = {"trial": trial.name, **trial.values, "scores": scored.scores}
            if scored.test is not None:
                row["test"] = scored.test
            results.log(kind="trial", **row, means=scored.means)
            known[trial.name] = scored
    every = [known[trial.name] for trial in found]
    scores = [np.array(one.scores, float) for one in every]
    best = best_of(scores, how.objective)
    test = None if best is None else tested(module, found[best], how, every, results)
    grid = Grid(
        [trial.values for trial in found], scores, best, how.objective, how.label
    )
    grid = grid._replace(reported=how.reported if test is not None else None, test=test)
    show(grid, every[0].means, config, results)


def settings(text: str, module: Any) -> str:
    """Value of `--set`: by default of those flags that the experiment has."""
    if text != Config().set:
        return text
    known = {field.name for field in dataclasses.fields(module.Config)}
    parts = text.split(";")
    return ";".join(part for part in parts if part.partition("=")[0] in known)


def resumed(results: Run) -> dict[str, Scored]:
    """The trials that an interrupted search has logged, by their names.

    Raises:
        ResultsError: A row is not one that a search logs.
    """
    known = {}
    for row in results.logged():
        try:
            if row["kind"] == "trial":
                known[row["trial"]] = Scored(
                    [float("nan" if one is None else one) for one in row["scores"]],
                    row.get("test"),
                    row.get("means", ""),
                )
        except (LookupError, TypeError, ValueError, AttributeError):
            raise ResultsError(
                f"results folder {results.folder} cannot be resumed, as a row in it is "
                "damaged; remove it, or name another"
            ) from None
    return known


def tested(
    module: Any,
    chosen: Trial,
    how: Search,
    every: Sequence[Scored],
    results: Run,
) -> np.ndarray | None:
    """The test scores of the chosen combination; None if nothing else is reported."""
    test = every[chosen.number].test
    if how.splits:
        final = trials.on(chosen, training.TEST)
        again = how._replace(splits=False)
        (scored,) = trials.measure(module, [final], again, results, named="_test")
        test = scored.scores
    reported = every[chosen.number].scores if test is None else test
    for seed, score in enumerate(reported):
        results.log(kind="chosen", trial=chosen.name, seed=seed, score=score)
    return None if test is None else np.array(test, float)


def show(grid: Grid, means: str, config: Config, results: Run) -> None:
    """The figure, the table, the claim and the page."""
    selected, text = claims.selection(grid, means), caption(config)
    publish(
        results,
        answer=claims.answer(grid),
        figures={"grid.png": figures.draw(grid, f"{text} {selected}")},
        tables={"All combinations, the best first": claims.table(grid)},
        claims=claims.evaluate_claims(grid),
        findings=[selected],
    )


def find(name: str) -> Any:
    """The module of an experiment.

    Args:
        name: A module of `experiments`, or the full name of another.

    Returns:
        The module, which has a `Config` and a `run`.

    Raises:
        cli.UsageError: There is none.
    """
    path = name if "." in name else f"experiments.{name}"
    try:
        module = importlib.import_module(path)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a module of the user's own may raise
        what = "" if isinstance(error, ImportError) else f"{type(error).__name__}: "
        sentence = " ".join(str(error).split())
        raise cli.UsageError(
            f"flag --experiment: {sentence or path}"
            if isinstance(error, ModuleNotFoundError)
            else f"flag --experiment: {path} cannot be imported: {what}{sentence}"
        ) from None
    made, start = getattr(module, "Config", None), getattr(module, "run", None)
    if made is None or start is None:
        raise cli.UsageError(
            f"flag --experiment: expected a module with a Config and a run; got {path}"
        )
    flags = dataclasses.fields(made) if dataclasses.is_dataclass(made) else ()
    if not (isinstance(made, type) and flags and callable(start)) or not all(
        "help" in field.metadata for field in flags
    ):
        raise cli.UsageError(
            f"flag --experiment: expected a Config of {path} that is a dataclass whose "
            f"fields are made by cli.flag, and a run(config, results); got "
            f"{made!r} and {start!r}"
        )
    if hasattr(module, "TOGETHER") and not callable(getattr(module, "scores", None)):
        raise cli.UsageError(
            f"flag --experiment: expected {path}, which has TOGETHER, to have "
            "scores(configs) too"
        )
    return module


def groups(module: Any, found: Sequence[Trial]) -> list[list[Trial]]:
    """Which trials can be trained together: those that differ in no other flag.

    Args:
        module: The experiment. If it can train several configs at once it has
            `TOGETHER`, the names of the flags in which these may differ, and
            `scores(configs)`, which gives for each the numbers that it logs, by name,
            one a seed.
        found: All trials.

    Returns:
        The trials in groups, each of which is one program, or one run.
    """
    together = getattr(module, "TOGETHER", ())
    grouped: dict[Any, list[Trial]] = {}
    for trial in found:
        key = repr({k: v for k, v in vars(trial.config).items() if k not in together})
        grouped.setdefault(key if together else trial.name, []).append(trial)
    return list(grouped.values())


def best_of(scores: Sequence[np.ndarray], objective: str) -> int | None:
    """Which trial has the best mean; None if all diverged.

    Args:
        scores: [seeds] of each trial.
        objective: A key of `OBJECTIVES`.

    Returns:
        Its place.

    Example:
        >>> best_of([np.array([0.5, np.nan]), np.array([0.4]), np.array([0.1])], "max")
        1
    """
    means = {i: one.mean() for i, one in enumerate(scores) if np.isfinite(one).all()}
    return OBJECTIVES[objective](means, key=lambda i: means[i]) if means else None


def caption(config: Config) -> str:
    """What was done, so that the figure can stand alone."""
    fixed = f", with {config.set}" if config.set else ""
    return f"Grid search over {config.experiment}{fixed}: mean ± deviation over seeds."
