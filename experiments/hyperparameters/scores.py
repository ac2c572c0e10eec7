"""Scores of a run: the numbers of one metric, read from the rows that it logged."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.harness import cli

MOST_LABELS = 4  # named one by one
VALID = "validation_"  # begins names of what is measured on a validation set


class Search(NamedTuple):
    """Metric by which combinations are compared.

    Attributes:
        metric: Name of the number.
        objective: "max" or "min".
        where: Labels of the rows that count, such as {"cell": "lstm"}; {} for all.
        splits: True if trials run with `--evaluate_on=validation`, and the best of them
            again on the test set.
    """

    metric: str
    objective: str
    where: Mapping[str, str]
    splits: bool

    @property
    def label(self) -> str:
        """Name of what selects, such as "validation_accuracy"."""
        if not self.splits or self.metric.startswith(("train", "loss", VALID)):
            return self.metric
        if self.metric.startswith("test_"):
            return VALID + self.metric.removeprefix("test_")
        return f"validation {self.metric}"

    @property
    def reported(self) -> str | None:
        """Name of what is reported of the best, if that differs from what selects."""
        if self.splits:
            plain = self.label == self.metric or self.metric.startswith("test_")
            return self.metric if plain else f"test {self.metric}"
        if self.metric.startswith(VALID):
            return "test_" + self.metric.removeprefix(VALID)
        return None


class Scored(NamedTuple):
    """Scores of a trial.

    Attributes:
        scores: Numbers that select, one per seed; nan where training diverged.
        test: Numbers that are reported, if the same run measures them.
        means: The labels over which the scores are means, in words; "" if none.
    """

    scores: list[float]
    test: list[float] | None = None
    means: str = ""


def read(rows: Sequence[dict[str, Any]], search: Search) -> Scored:
    """The scores of a run, from the rows that it logged.

    Of a number that is logged on the way, the last counts. Where a run logs several for
    a seed, as of several cells, their mean counts. Numbers from before training do not,
    unless `where` asks for them.

    Args:
        rows: Rows of its metrics.jsonl.
        search: Metric to read.

    Returns:
        One number per seed; one number if the run does not log seeds.

    Raises:
        cli.UsageError: There is no such number.

    Example:
        >>> rows = [{"seed": 0, "cell": "lstm", "accuracy": 1.0}]
        >>> rows += [{"seed": 0, "cell": "gru", "accuracy": 0.0}]
        >>> read(rows, Search("accuracy", "max", {}, False))
        Scored(scores=[0.5], test=None, means='cell lstm, gru')
    """
    chosen = [
        row
        for row in rows
        if all(str(row.get(name)) == text for name, text in search.where.items())
        and ("when" in search.where or row.get("when") not in ("before", "untrained"))
    ]
    if any("seed" in row for row in chosen):
        chosen = [row for row in chosen if "seed" in row]
    counted = _last([row for row in chosen if _is_score(_value(row, search.metric))])
    if not counted:
        raise cli.UsageError(_unknown(search, chosen))
    by_seed: dict[Any, list[float]] = {}
    for row in counted:
        number = _value(row, search.metric)
        number = np.nan if number is None else float(number)
        by_seed.setdefault(row.get("seed"), []).append(number)
    test = None
    if not search.splits and search.reported:
        with contextlib.suppress(cli.UsageError):
            test = read(rows, search._replace(metric=search.reported)).scores
    scores = [float(np.mean(numbers)) for numbers in by_seed.values()]
    return Scored(scores, test, _means(counted, search.metric))


def _last(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows without those that a later step of the same training replaces."""
    kept: list[dict[str, Any]] = []
    places: dict[Any, int] = {}
    for row in rows:
        if "step" in row:
            words = (value for value in row.values() if isinstance(value, str | bool))
            key = row.get("seed"), *words
            before = kept[places[key]]["step"] if key in places else np.inf
            if row["step"] > before:
                kept[places[key]] = row
                continue
            places[key] = len(kept)
        kept.append(row)
    return kept


def _value(row: Mapping[str, Any], metric: str) -> Any:
    """Value in a row by name, in a list or table after a dot; "" if there is none."""
    found: Any = row
    for part in [metric] if metric in row else metric.split("."):
        try:
            found = found[int(part) if isinstance(found, list) else part]
        except (LookupError, TypeError, ValueError):
            return ""
    return found


def _is_score(value: Any) -> bool:
    """True for a number, and for null, which stores one that is not finite."""
    return value is None or type(value) in (int, float)


def _unknown(search: Search, rows: Sequence[Mapping[str, Any]]) -> str:
    """Why there is no score, and what there is."""
    names = sorted(
        {
            name
            for row in rows
            for name, value in row.items()
            if name not in ("seed", "step") and type(value) in (int, float)
        }
    )
    if not rows:
        where = ";".join(f"{name}={text}" for name, text in search.where.items())
        return f"flag --where: the experiment logs no row of {where or 'any kind'}"
    return (
        f"flag --metric: the experiment logs no number {search.metric!r} for each "
        f"seed; expected one of {', '.join(names) or 'none: it logs no number'}"
    )


def _means(rows: Sequence[Mapping[str, Any]], metric: str) -> str:
    """Over which labels the scores are means, such as "cell lstm, gru"."""
    said = []
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row[name] for row in rows if isinstance(row.get(name), str | bool)]
        values = list(dict.fromkeys(map(str, values)))
        if len(values) > 1 and name != metric:
            few = values if len(values) <= MOST_LABELS else [f"{len(values)} values"]
            said.append(f"{name} {', '.join(few)}")
    return "; ".join(said)
