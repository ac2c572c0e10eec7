"""Metrics and curves that runs have measured for every seed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.compare.records import (
    NO_METRIC,
    Case,
    Row,
    RunRecord,
    Series,
    of_kind,
    series,
    text_of,
)

TRAINING = "training"  # the kind of rows that are logged during training
ENTRIES = {"exponents": 0, "log10_norms": -1}  # of lists: the largest, and the last
PROFILE = "log_norm"  # ln |dL/ds_t| by time step


class Metric(NamedTuple):
    """A number that runs have measured for every seed.

    Attributes:
        name: Name of the metric.
        case: Values of the labels that distinguish it, such as "lstm, after".
        by_run: Values by seed, for every run; empty if a run has not measured it.
    """

    name: str
    case: str
    by_run: Sequence[Mapping[int, float]]

    @property
    def label(self) -> str:
        """Name and case."""
        return f"{self.name} ({self.case})" if self.case else self.name

    def values(self, run: int) -> np.ndarray:
        """Values of a run, [seeds]."""
        return np.array(list(self.by_run[run].values()), float)

    def common_seeds(self, run: int) -> list[int]:
        """The seeds by which a run and the first run are paired.

        Args:
            run: Index of the run.

        Returns:
            Seeds of both; none if there are fewer than two, unless neither run has
            another seed.
        """
        first, later = self.by_run[0], self.by_run[run]
        common = [seed for seed in first if seed in later]
        alone = len(first) == len(later) == 1
        return common if len(common) > 1 or alone else []


class Curves(NamedTuple):
    """Curves of all seeds, for the runs that have them.

    Attributes:
        case: Values of the labels that distinguish them.
        by_run: From the index of a run to the x of its curves, [x], and their values,
            [seeds, x].
    """

    case: str
    by_run: Mapping[int, tuple[np.ndarray, np.ndarray]]


def metrics(runs: Sequence[RunRecord]) -> list[Metric]:
    """The metrics that the runs have measured for every seed.

    The last value of a metric that is logged during training counts. Metrics that are
    the same for all seeds and runs, such as sizes, are left out if there are others.

    Args:
        runs: Runs of one experiment.

    Returns:
        Metrics in the order in which they are logged, metrics of the training last.
    """
    series_by_run = [series(run) for run in runs]
    kinds = dict.fromkeys(s.kind for some in series_by_run for s in some)
    values: dict[tuple[str, str, Case], list[dict[int, list[float]]]] = {}
    for kind in sorted(kinds, key=lambda kind: kind == TRAINING):
        for i, some in enumerate(of_kind(series_by_run, kind)):
            for case, model in some:
                labels = [name for name, _ in case]
                for name, value in numbers(model.rows[-1], labels):
                    by_run = values.setdefault((kind, name, case), [{} for _ in runs])
                    by_run[i].setdefault(model.seed, []).append(value)
    kinds_of: dict[str, set[str]] = {}
    for kind, name, _ in values:
        kinds_of.setdefault(name, set()).add(kind)
    made = {
        (kind, name, case): Metric(
            f"{kind} {name}" if kind == TRAINING or len(kinds_of[name]) > 1 else name,
            text_of(case),
            [{seed: float(np.mean(v)) for seed, v in run.items()} for run in by_run],
        )
        for (kind, name, case), by_run in values.items()
    }
    names = {metric.name for metric in made.values() if not _is_constant(metric)}
    return [m for m in made.values() if m.name in names or not names]


def _is_constant(metric: Metric) -> bool:
    """Whether a metric is the same for all seeds and runs, as a size is."""
    return len({str(v) for run in metric.by_run for v in run.values()}) == 1


def numbers(row: Row, labels: Sequence[str] = ()) -> Iterator[tuple[str, float]]:
    """The numbers of a row by name; nan for null.

    Args:
        row: A row, or a table in it.
        labels: Names of fields to leave out.

    Returns:
        Pairs of names and numbers; names in a table have a dot. Of some lists, one
        entry is a number.

    Example:
        >>> list(numbers({"seed": 0, "loss": 0.5, "gates": {"forget": 1.0}}))
        [('loss', 0.5), ('gates.forget', 1.0)]
        >>> list(numbers({"exponents": [0.5, -1.0]}))
        [('exponents[0]', 0.5)]
    """
    for name, value in row.items():
        if name in NO_METRIC or name in labels or isinstance(value, bool):
            continue
        if isinstance(value, Mapping):
            yield from ((f"{name}.{part}", number) for part, number in numbers(value))
        elif name in ENTRIES and value:
            entry = value[ENTRIES[name]]
            yield f"{name}[{ENTRIES[name]}]", float("nan") if entry is None else entry
        elif value is None or isinstance(value, int | float):
            yield name, float("nan") if value is None else value


def learning_curves(runs: Sequence[RunRecord], name: str) -> list[Curves]:
    """The curves of a number that is logged during training.

    Args:
        runs: Runs of one experiment.
        name: Name of the number, such as "loss".

    Returns:
        One `Curves` per case that several runs have.
    """
    return _curves(
        runs,
        lambda model: (
            ([row["step"] for row in model.rows], [row.get(name) for row in model.rows])
            if model.kind == TRAINING
            else None
        ),
    )


def profiles(runs: Sequence[RunRecord]) -> list[Curves]:
    """The gradient's norm over time, as log10, at the end of each run.

    Args:
        runs: Runs of one experiment.

    Returns:
        One `Curves` per case that several runs have; profiles from before training are
        left out if there are later ones.
    """

    def draw(model: Series) -> Any:
        row = model.rows[-1]
        norms = row.get(PROFILE)
        if not isinstance(norms, list) or row.get("when") in ("before", "untrained"):
            return None
        return range(len(norms)), np.array(norms, float) / np.log(10)

    return _curves(runs, draw)


def _curves(runs: Sequence[RunRecord], draw: Callable[[Series], Any]) -> list[Curves]:
    """Curves of the cases that several runs have."""
    series_by_run = [[s for s in series(run) if draw(s)] for run in runs]
    kinds = dict.fromkeys(s.kind for some in series_by_run for s in some)
    made: dict[str, dict[int, list[tuple[Any, Any]]]] = {}
    for kind in kinds:
        for i, some in enumerate(of_kind(series_by_run, kind)):
            for case, model in some:
                made.setdefault(text_of(case), {}).setdefault(i, []).append(draw(model))
    return [
        Curves(
            case,
            {
                i: (np.array(max((x for x, _ in pairs), key=len)), _stacked(pairs))
                for i, pairs in by_run.items()
            },
        )
        for case, by_run in made.items()
        if len(by_run) > 1
    ]


def _stacked(pairs: Sequence[tuple[Any, Any]]) -> np.ndarray:
    """Values of curves, [curves, x]; nan after the end of a model that was dropped."""
    longest = max(len(x) for x, _ in pairs)
    return np.array([[*y, *[np.nan] * (longest - len(y))] for _, y in pairs], float)
