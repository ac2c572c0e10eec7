"""The steps of the experiment."""

import dataclasses
import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.harness import cli, common_flags
from experiments.harness.fingerprints import fingerprint
from experiments.harness.folders import ResultsError
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.hyperparameters import claims, figures, trials
from experiments.hyperparameters.config import Config
from experiments.hyperparameters.grid import GridResult, Trial, combinations
from experiments.hyperparameters.scores import Search, TrialScores

OBJECTIVES = {"max": max, "min": min}


def run(config: Config, results: Run) -> None:
    """Run every combination that has no result yet; publish the results."""
    module = find_experiment(config.experiment)
    config = dataclasses.replace(config, set=settings(config.set, module))
    all_trials = combinations(module.Config, config.grid, config.set)
    search = trials.search(
        module, all_trials, config.metric, config.objective, config.where
    )
    if search.splits:
        all_trials = [
            trials.evaluated_on(trial, common_flags.VALIDATION) for trial in all_trials
        ]
    expect_same_data(all_trials, results)
    scores_by_trial = resumed(results)
    for group in groups(module, all_trials):
        remaining = [trial for trial in group if trial.name not in scores_by_trial]
        measured = trials.measure(module, remaining, search, results)
        names = [trial.name for trial in remaining]
        scores_by_trial |= dict(zip(names, measured, strict=True))
        for trial in group:
            scored = scores_by_trial[trial.name]
            row = {"trial": trial.name, **trial.values, "scores": scored.scores}
            if scored.test is not None:
                row["test"] = scored.test
            results.log(kind="trial", **row, means=scored.means)
    all_scores = [scores_by_trial[trial.name] for trial in all_trials]
    scores = [np.array(trial_scores.scores, float) for trial_scores in all_scores]
    best = best_of(scores, search.objective)
    test = (
        None
        if best is None
        else tested(module, all_trials[best], search, all_scores, results)
    )
    result = GridResult(
        [trial.values for trial in all_trials],
        scores,
        best,
        search.objective,
        search.label,
    )
    result = result._replace(
        reported=search.reported if test is not None else None, test=test
    )
    show(result, all_scores[0].means, config, results)


def settings(text: str, module: Any) -> str:
    """Value of `--set`; its default is reduced to flags that the experiment has."""
    if text != Config().set:
        return text
    known = {field.name for field in dataclasses.fields(module.Config)}
    parts = text.split(";")
    return ";".join(part for part in parts if part.partition("=")[0] in known)


def expect_same_data(all_trials: Sequence[Trial], results: Run) -> None:
    """Log hashes of the user's data, or compare them with an interrupted search's.

    Raises:
        ResultsError: The data have changed since.
    """
    prints = filter(None, (fingerprint(trial.config) for trial in all_trials))
    hashes = sorted({data["sha256"] for data in prints})
    logged = [
        row.get("sha256") for row in results.logged() if row.get("kind") == "data"
    ]
    if logged and logged[0] != hashes:
        raise ResultsError(
            f"results folder {results.folder} belongs to a run with other data files; "
            "give the same, or name another folder"
        )
    if hashes:
        results.log(kind="data", sha256=hashes)


def resumed(results: Run) -> dict[str, TrialScores]:
    """Scores of the trials that an interrupted search has logged, by trial.

    Raises:
        ResultsError: A row is damaged.
    """
    scores = {}
    for row in results.logged():
        try:
            if row["kind"] == "trial":
                scores[row["trial"]] = TrialScores(
                    [float("nan" if s is None else s) for s in row["scores"]],
                    row.get("test"),
                    row.get("means", ""),
                )
        except (LookupError, TypeError, ValueError, AttributeError):
            raise ResultsError(
                f"results folder {results.folder} cannot be resumed, as a row in it is "
                "damaged; remove it, or name another"
            ) from None
    return scores


def tested(
    module: Any,
    best: Trial,
    search: Search,
    all_scores: Sequence[TrialScores],
    results: Run,
) -> np.ndarray | None:
    """Test scores of the best combination; None if the same scores are reported."""
    test = all_scores[best.number].test
    if search.splits:
        final = trials.evaluated_on(best, common_flags.TEST)
        again = search._replace(splits=False)
        (scored,) = trials.measure(module, [final], again, results, named="_test")
        test = scored.scores
    reported = all_scores[best.number].scores if test is None else test
    for seed, score in enumerate(reported):
        results.log(kind="chosen", trial=best.name, seed=seed, score=score)
    return None if test is None else np.array(test, float)


def show(result: GridResult, means: str, config: Config, results: Run) -> None:
    """Publish the results."""
    selected, text = claims.selection(result, means), caption(config)
    publish(
        results,
        answer=claims.answer(result),
        figures={"grid.png": figures.draw(result, f"{text} {selected}")},
        tables={"All combinations, the best first": claims.table(result)},
        claims=claims.evaluate_claims(result),
        findings=[selected],
    )


def find_experiment(name: str) -> Any:
    """Import the module of an experiment.

    Args:
        name: Name of a module of `experiments`, or the full name of a module elsewhere.

    Returns:
        The module, with its `Config` and `run`.

    Raises:
        cli.UsageError: There is no such module, or it is not an experiment.
    """
    path = name if "." in name else f"experiments.{name}"
    try:
        module = importlib.import_module(path)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # user modules may raise anything
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


def groups(module: Any, all_trials: Sequence[Trial]) -> list[list[Trial]]:
    """Group the trials that can be trained together.

    Args:
        module: The experiment. If it can train several configs at once, it has
            `TOGETHER`, the names of the flags in which they may differ, and
            `scores(configs)`, which returns one dictionary per config: metrics by name,
            with one number per seed.
        all_trials: All trials.

    Returns:
        Groups of trials; each group is one program, or one run.
    """
    together = getattr(module, "TOGETHER", ())
    grouped: dict[Any, list[Trial]] = {}
    for trial in all_trials:
        key = repr({k: v for k, v in vars(trial.config).items() if k not in together})
        grouped.setdefault(key if together else trial.name, []).append(trial)
    return list(grouped.values())


def best_of(scores: Sequence[np.ndarray], objective: str) -> int | None:
    """Index of the trial with the best mean; None if all diverged.

    Args:
        scores: Scores of each trial, [seeds].
        objective: A key of `OBJECTIVES`.

    Returns:
        Index into `scores`.

    Example:
        >>> best_of([np.array([0.5, np.nan]), np.array([0.4]), np.array([0.1])], "max")
        1
    """
    means = {i: s.mean() for i, s in enumerate(scores) if np.isfinite(s).all()}
    return OBJECTIVES[objective](means, key=lambda i: means[i]) if means else None


def caption(config: Config) -> str:
    """Description of the experiment, for the figure."""
    fixed = f", with {config.set}" if config.set else ""
    return f"Grid search over {config.experiment}{fixed}: mean ± deviation over seeds."
