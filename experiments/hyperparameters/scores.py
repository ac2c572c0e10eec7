"""Scores of a run: the numbers of one metric, read from the rows that it logged."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.harness import cli

MOST_LABELS = 4  # values of a label listed in a text
VALID = "validation_"  # prefix of metrics on the validation set


class Search(NamedTuple):
    """Metric by which combinations are compared.

    Attributes:
        metric: Name of the metric.
        objective: "max" or "min".
        where: Labels of the rows that count, such as {"cell": "lstm"}; {} for all rows.
        splits: Whether trials run with `--evaluate_on=validation`, and the best trial
            again on the test set.
    """

    metric: str
    objective: str
    where: Mapping[str, str]
    splits: bool

    @property
    def label(self) -> str:
        """Name of the metric that selects, such as "validation_accuracy"."""
        if not self.splits or self.metric.startswith(("train", "loss", VALID)):
            return self.metric
        if self.metric.startswith("test_"):
            return VALID + self.metric.removeprefix("test_")
        return f"validation {self.metric}"

    @property
    def reported(self) -> str | None:
        """Name of the metric reported for the best, if it differs from `label`."""
        if self.splits:
            plain = self.label == self.metric or self.metric.startswith("test_")
            return self.metric if plain else f"test {self.metric}"
        if self.metric.startswith(VALID):
            return "test_" + self.metric.removeprefix(VALID)
        return None


class TrialScores(NamedTuple):
    """Scores of a trial.

    Attributes:
        scores: Scores that select, one per seed; nan where training diverged.
        test: Scores that are reported, if the same run measures them.
        means: Labels over which the scores are means, as text; "" if none.
    """

    scores: list[float]
    test: list[float] | None = None
    means: str = ""


def read(rows: Sequence[dict[str, Any]], search: Search) -> TrialScores:
    """Scores of a run, from the rows that it logged.

    If a metric is logged during training, its last value counts. If a run logs several
    values per seed, for example of several cells, their mean counts. Values from before
    training do not count, unless `where` selects them.

    Args:
        rows: Rows of the run's metrics.jsonl.
        search: Metric to read.

    Returns:
        One score per seed; one score if the run does not log seeds.

    Raises:
        cli.UsageError: The run does not log the metric.

    Example:
        >>> rows = [{"seed": 0, "cell": "lstm", "accuracy": 1.0}]
        >>> rows += [{"seed": 0, "cell": "gru", "accuracy": 0.0}]
        >>> read(rows, Search("accuracy", "max", {}, False))
        TrialScores(scores=[0.5], test=None, means='cell lstm, gru')
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
    return TrialScores(scores, test, _means(counted, search.metric))


def _last(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows, without those that a later step of the same training replaces."""
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
    """Value in a row by name, with a dot for lists and tables; "" if there is none."""
    value: Any = row
    for part in [metric] if metric in row else metric.split("."):
        try:
            value = value[int(part) if isinstance(value, list) else part]
        except (LookupError, TypeError, ValueError):
            return ""
    return value


def _is_score(value: Any) -> bool:
    """Whether a value is a number, or null, which stores a non-finite number."""
    return value is None or type(value) in (int, float)


def _unknown(search: Search, rows: Sequence[Mapping[str, Any]]) -> str:
    """Error message for a missing metric, with the metrics that exist."""
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
    """Labels over which the scores are means, such as "cell lstm, gru"."""
    texts = []
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row[name] for row in rows if isinstance(row.get(name), str | bool)]
        values = list(dict.fromkeys(map(str, values)))
        if len(values) > 1 and name != metric:
            few = values if len(values) <= MOST_LABELS else [f"{len(values)} values"]
            texts.append(f"{name} {', '.join(few)}")
    return "; ".join(texts)
