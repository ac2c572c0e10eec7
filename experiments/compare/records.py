"""Runs and their rows, divided by models.

Rows of one kind and seed are distinguished by the fields that are the same for all
seeds, such as the name of a cell.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from experiments.harness.folders import ResultsError
from experiments.harness.report import typed
from experiments.harness.saved import open_run

MOST_LETTERS = 16  # of a name
NO_LABEL = ("kind", "seed", "step")
NO_METRIC = (*NO_LABEL, "learning_rate")

Row = Mapping[str, Any]
Case = tuple[tuple[str, Any], ...]  # names and values of labels


class RunRecord(NamedTuple):
    """A complete run.

    Attributes:
        name: Name of the run in tables and figures.
        folder: Folder of the run, as the user gave it.
        metadata: Content of config.json.
        rows: Rows of metrics.jsonl.
    """

    name: str
    folder: str
    metadata: Mapping[str, Any]
    rows: Sequence[Row]


class Series(NamedTuple):
    """Rows of one model and one seed: all rows of its training, or a single row.

    Attributes:
        kind: Kind of the rows.
        seed: Seed of the model.
        rows: Rows, in the order of their steps.
    """

    kind: str
    seed: int
    rows: list[Row]


def read(folders: Sequence[str]) -> list[RunRecord]:
    """Open complete runs.

    Args:
        folders: Their folders.

    Returns:
        One `RunRecord` per folder, with the name of the folder. If a name is long, as a
        time is, or two folders have the same name, the names are "run 1", "run 2", ...

    Raises:
        ResultsError: A folder is missing, incomplete, damaged, or not of a run.
    """
    runs = [open_run(folder) for folder in folders]
    names = [run.folder.resolve().name for run in runs]
    if len(set(names)) < len(names) or not all(map(_is_short, names)):
        names = [f"run {number}" for number in range(1, len(runs) + 1)]
    for run in runs:
        if not run.experiment:
            raise ResultsError(
                f"run {run.folder} is damaged: config.json names no experiment"
            )
    return [
        RunRecord(name, folder, run.metadata, run.metrics)
        for name, folder, run in zip(names, folders, runs, strict=True)
    ]


def _is_short(name: str) -> bool:
    """Whether a name fits into a column; the time of a run does not."""
    return len(name) <= MOST_LETTERS


def series(run: RunRecord) -> list[Series]:
    """The rows that have a seed, divided by models.

    Args:
        run: The run. Models of a study have one of the values of each flag in their
            rows.

    Returns:
        One `Series` per training of a model, whose steps increase, and one per row
        without a step.
    """
    flags = run.metadata.get("config", {}).items()
    settings = [name for name, values in flags if isinstance(values, list)]
    divided: list[Series] = []
    latest: dict[Any, Series] = {}
    for row in run.rows:
        if not isinstance(row.get("seed"), int):
            continue
        words = [value for value in row.values() if isinstance(value, str)]
        key = row["seed"], *words, *(str(row.get(name)) for name in settings)
        last = latest.get(key)
        if last and "step" in row and last.rows[-1]["step"] < row["step"]:
            last.rows.append(row)
            continue
        divided.append(Series(str(row.get("kind")), row["seed"], [row]))
        if "step" in row:
            latest[key] = divided[-1]
    return divided


def of_kind(
    series_by_run: Sequence[Sequence[Series]], kind: str
) -> list[list[tuple[Case, Series]]]:
    """The series of one kind, each with the labels that distinguish it.

    Args:
        series_by_run: Series of every run.
        kind: Kind of the rows.

    Returns:
        Pairs of labels and series, for every run. The labels are the fields
        that distinguish models in any run: the cell, if a run has several cells.
    """
    chosen = [[s for s in some if s.kind == kind] for some in series_by_run]
    names = list(dict.fromkeys(name for some in chosen for name in _labels(some)))
    return [
        [(tuple((n, s.rows[-1].get(n)) for n in names), s) for s in some]
        for some in chosen
    ]


def _labels(some: Sequence[Series]) -> list[str]:
    """Names of the fields that distinguish the series of one seed, words first."""
    by_seed: dict[int, list[Row]] = {}
    for model in some:
        by_seed.setdefault(model.seed, []).append(model.rows[-1])
    groups = list(by_seed.values())
    names = dict.fromkeys(n for rows in groups for row in rows for n in row)
    fields = {n: [[row.get(n) for row in rows] for rows in groups] for n in names}
    words = [n for n, columns in fields.items() if _all(str | bool, columns)]
    numbers = [n for n, columns in fields.items() if _all(int | float, columns)]
    labels: list[str] = []
    for name in (*words, *numbers):
        count = _count(groups, labels)
        if count == sum(map(len, groups)):
            break
        same = all(column == fields[name][0] for column in fields[name])
        if same and name not in NO_LABEL and _count(groups, [*labels, name]) > count:
            labels.append(name)
    return labels


def _all(kind: Any, columns: Sequence[Sequence[Any]]) -> bool:
    """Whether all values are of a kind, or none."""
    return all(isinstance(v, kind | None) for column in columns for v in column)


def _count(groups: Sequence[Sequence[Row]], names: Sequence[str]) -> int:
    """The number of rows of every seed that differ in some fields."""
    return sum(len({tuple(r.get(n) for n in names) for r in rows}) for rows in groups)


def text_of(case: Case) -> str:
    """The values of labels, with the name before a number.

    Example:
        >>> text_of((("cell", "lstm"), ("bias", 0.5), ("init", None)))
        'lstm, bias 0.5'
    """
    words = [
        str(value) if isinstance(value, str) else f"{name} {value}"
        for name, value in case
        if value is not None
    ]
    return ", ".join(words)


def changed_flags(runs: Sequence[RunRecord]) -> dict[str, list[str]]:
    """The flags in which runs differ.

    Args:
        runs: The runs.

    Returns:
        Values of all runs as text, by flag; "-" where a run has no such flag.
    """
    configs = [run.metadata["config"] for run in runs]
    names = dict.fromkeys(name for config in configs for name in config)
    values = {
        name: [typed(c[name]) if name in c else "-" for c in configs] for name in names
    }
    return {name: texts for name, texts in values.items() if len(set(texts)) > 1}
