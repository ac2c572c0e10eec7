r"""Which hyperparameters serve an experiment best? A grid search over its flags.

    python -m experiments.hyperparameters --experiment=image_classification \
        --grid="learning_rate=1e-3,3e-3,1e-2;filters=8|8,16|16,32" --set="seeds=0,1"

Every combination of the values is run, for all seeds. Combinations that differ only in
what leaves every shape as it is (the experiment says in what: the learning rate) are
trained as one vmapped program, the others in turn. An interrupted search goes on where
it stopped if its command is given again, with --results=FOLDER and --resume.
"""

import contextlib
import dataclasses
import importlib
import io
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments import grid_figures, launch, page, report
from experiments.flag_grid import Trial, combinations
from train import NonFiniteError, Run, new_run, read_rows

GOALS = {"max": max, "min": min}


@dataclasses.dataclass(frozen=True)
class Config:
    """The flags."""

    experiment: str = launch.flag(
        "image_classification", "Of experiments/, or package.module of one's own."
    )
    grid: str = launch.flag(
        "learning_rate=3e-4,1e-3,3e-3,1e-2;filters=8|8,16|16,32",
        'Flags and their values, "NAME=VALUE,VALUE;NAME=VALUE|VALUE"; with | between '
        "them the values may be lists.",
    )
    set: str = launch.flag(
        "steps=140;seeds=0,1,2",
        'What other flags of the experiment are set to, "NAME=VALUE;...".',
    )
    metric: str = launch.flag(
        "test_accuracy", "What to search by: a number that the experiment logs."
    )
    goal: str = launch.flag(
        "max", "Whether it shall be large or small.", choices=tuple(GOALS)
    )


def run(config: Config, results: Run) -> None:
    """Run every combination that has not been; log, draw and print what was found."""
    module = find(config.experiment)
    trials = combinations(module.Config, config.grid, config.set)
    found = {
        row["trial"]: row["scores"]
        for row in results.logged()
        if row["kind"] == "trial"
    }
    for group in groups(module, trials):
        left = [trial for trial in group if trial.name not in found]
        for trial, scores in zip(
            left, measure(module, left, config, results), strict=True
        ):
            results.log(kind="trial", trial=trial.name, **trial.values, scores=scores)
            found[trial.name] = scores
    scores = [np.array(found[trial.name], float) for trial in trials]
    values = [trial.values for trial in trials]
    best = best_of(scores, config.goal)
    text = caption(config)
    figure = grid_figures.draw(values, scores, best, config.metric, config.goal, text)
    figure.savefig(results.path / "grid.png")
    found = table(values, scores, best, config)
    verdicts = grid_figures.verdicts(values, scores, best, config.goal)
    page.write(
        results,
        question=__doc__,
        findings=[report.finding(figure)],
        figures={"grid.png": text},
        tables={"All combinations, the best first": found},
        verdicts=verdicts,
    )
    print(found.text())
    for verdict in verdicts:
        print(verdict.text())


def find(name: str) -> Any:
    """The module of an experiment.

    Args:
        name: A module of `experiments`, or the full name of another.

    Returns:
        The module, which has a `Config` and a `run`.

    Raises:
        launch.UsageError: There is none.
    """
    path = name if "." in name else f"experiments.{name}"
    try:
        module = importlib.import_module(path)
    except (ImportError, TypeError, ValueError) as error:
        raise launch.UsageError(f"flag --experiment: {error}") from None
    if not (hasattr(module, "Config") and hasattr(module, "run")):
        raise launch.UsageError(
            f"flag --experiment: expected a module with a Config and a run; got {path}"
        )
    return module


def groups(module: Any, trials: Sequence[Trial]) -> list[list[Trial]]:
    """Which trials can be trained together: those that differ in no other flag.

    Args:
        module: The experiment. If it can train several configs at once it has
            `TOGETHER`, the names of the flags in which these may differ, and
            `scores(configs)`, which gives for each the numbers that it logs, by name,
            one a seed.
        trials: All of them.

    Returns:
        The trials in groups, each of which is one program, or one run.
    """
    together = getattr(module, "TOGETHER", ())
    found: dict[Any, list[Trial]] = {}
    for trial in trials:
        key = repr({k: v for k, v in vars(trial.config).items() if k not in together})
        found.setdefault(key if together else trial.name, []).append(trial)
    return list(found.values())


def measure(
    module: Any, trials: Sequence[Trial], config: Config, results: Run
) -> list[list[float]]:
    """The scores of some trials of one group, over seeds.

    Args:
        module: The experiment.
        trials: Those of the group that are left to do.
        config: The flags of the search.
        results: Where runs in turn get a folder of their own, in "runs".

    Returns:
        A list a trial; nan of a model that diverged.

    Raises:
        launch.UsageError: The experiment does not log what is searched by.
    """
    if not trials:
        return []
    if hasattr(module, "TOGETHER"):
        found = module.scores([trial.config for trial in trials])
        return [_of(config.metric, one) for one in found]
    scores = []
    for trial in trials:
        folder = results.path / "runs" / f"{trial.number:03d}"
        if not folder.exists():
            try:
                _run(module, trial, folder)
            except NonFiniteError:
                scores.append([np.nan])
                continue
        scores.append(_of(config.metric, _of_seeds(read_rows(folder), config.metric)))
    return scores


def _run(module: Any, trial: Trial, folder: pathlib.Path) -> None:
    """One run of the experiment, in a folder of its own, with the table it prints."""
    settings = {
        "experiment": module.__name__,
        "config": dataclasses.asdict(trial.config),
    }
    said = io.StringIO()
    with new_run(folder, settings, resume=True) as results:
        (results.path / "metrics.jsonl").unlink(missing_ok=True)  # of an unfinished one
        with contextlib.redirect_stdout(said):
            module.run(trial.config, results)
        (results.path / "output.txt").write_text(said.getvalue(), encoding="utf-8")


def _of_seeds(rows: Sequence[dict[str, Any]], metric: str) -> dict[str, list[Any]]:
    """What a run logged last for each seed, by name, a value a seed."""
    found: dict[str, dict[Any, Any]] = {}
    for row in rows:
        what = [value for value in row.values() if isinstance(value, str | bool)]
        for name, value in row.items():
            if "seed" in row and name not in ("seed", "step"):
                own = found.setdefault(name, {})
                own[row["seed"], *what] = value
    seeds = [seed for seed, *_ in found.get(metric, {})]
    if len(set(seeds)) < len(seeds):
        raise launch.UsageError(
            f"flag --metric: a run logs several {metric} for seed {seeds[0]}, as of "
            "several cells or decoders; let each run have one"
        )
    return {name: list(values.values()) for name, values in found.items()}


def _of(metric: str, found: dict[str, list[Any]]) -> list[float]:
    """The numbers logged by one name."""
    numbers = {
        name for name, values in found.items() if all(map(_number_or_none, values))
    }
    if metric not in numbers:
        raise launch.UsageError(
            f"flag --metric: the experiment logs no number {metric!r} for each seed; "
            f"expected one of {', '.join(sorted(numbers))}"
        )
    return [np.nan if value is None else float(value) for value in found[metric]]


def _number_or_none(value: Any) -> bool:
    return value is None or type(value) in (int, float)


def best_of(scores: Sequence[np.ndarray], goal: str) -> int | None:
    """Which trial has the best mean; None if all diverged.

    Args:
        scores: [seeds] of each trial.
        goal: A key of `GOALS`.

    Returns:
        Its place.

    Example:
        >>> best_of([np.array([0.5, np.nan]), np.array([0.4]), np.array([0.1])], "max")
        1
    """
    means = {i: one.mean() for i, one in enumerate(scores) if np.isfinite(one).all()}
    return GOALS[goal](means, key=lambda i: means[i]) if means else None


def table(
    values: Sequence[dict[str, str]],
    scores: Sequence[np.ndarray],
    best: int | None,
    config: Config,
) -> report.Table:
    """All combinations, the best first, and by how much it is better than each."""
    sign = -1 if config.goal == "max" else 1
    means = [np.nan_to_num(sign * one.mean(), nan=np.inf) for one in scores]
    header = [*values[0], f"{config.metric}, mean ± deviation over seeds", "seeds"]
    gains = {i: "-" for i in range(len(scores))}
    found = grid_figures.against(scores, best, config.goal)
    if found:
        header.append("the best is better by [interval judged]")
        others = [i for i in gains if i != best]
        texts = map(grid_figures.gained, found.intervals)
        gains |= dict(zip(others, texts, strict=True))
    rows = []
    for i in np.argsort(means, kind="stable"):
        said = grid_figures.said(scores[i])
        row = [*values[i].values(), said, str(len(scores[i])), gains[int(i)]]
        rows.append(row[: len(header)])
    return report.Table(header, rows)


def caption(config: Config) -> str:
    """What was done, so that the figure can stand alone."""
    fixed = f", with {config.set}" if config.set else ""
    return f"Grid search over {config.experiment}{fixed}: mean ± deviation over seeds."


if __name__ == "__main__":
    launch.main(Config, run, resumable=True)
