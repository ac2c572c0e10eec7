"""The differences between runs, their outcomes, and the table."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.compare.measure import Metric
from experiments.compare.records import RunRecord, changed_flags
from experiments.harness.claims import (
    SUPPORTED,
    Case,
    Claim,
    claim_of_cases,
    judge,
    nonzero,
)
from experiments.harness.intervals import Interval, interval, interval_of_difference
from experiments.harness.tables import Table, decimals, finite

EQUAL = "equal"  # for every seed, as numbers from before the training often are
LISTED = 3  # supported differences in the answer


class Difference(NamedTuple):
    """The difference of a metric between a run and the first run.

    Attributes:
        metric: The metric.
        run: Index of the run.
        interval: Interval of the difference; the first run is subtracted.
        outcome: Whether it is supported that the difference is not zero; or `EQUAL`.
    """

    metric: Metric
    run: int
    interval: Interval
    outcome: str


def differences(metrics: Sequence[Metric], runs: int) -> list[Difference]:
    """Judge every difference to the first run.

    The cases of a metric, such as its cells, and all runs are one claim: the metric
    differs. As in any claim, the intervals are simultaneous unless all support it.

    Args:
        metrics: The metrics.
        runs: Number of runs.

    Returns:
        One `Difference` per metric and later run, where both have measured it, and no
        number is nan.
    """
    made = []
    for name in dict.fromkeys(metric.name for metric in metrics):
        pairs = [
            (metric, run)
            for metric in metrics
            for run in range(1, runs)
            if metric.name == name and _is_comparable(metric, run)
        ]
        cases = [_case(*pair) for pair in pairs]
        judgment = judge([c for c in cases if not _is_zero(c)], nonzero, _estimate)
        judged = iter(zip(judgment.intervals, judgment.outcomes, strict=True))
        equal = Interval(0.0, 0.0, 0.0), EQUAL
        made += [
            Difference(*pair, *(equal if _is_zero(case) else next(judged)))
            for pair, case in zip(pairs, cases, strict=True)
        ]
    return made


def _is_comparable(metric: Metric, run: int) -> bool:
    """Whether a run and the first run have finite numbers."""
    both = metric.values(0), metric.values(run)
    return all(len(values) and finite(values) for values in both)


def _case(metric: Metric, run: int) -> Any:
    """Differences by seed, or the numbers of both runs if they share no seeds."""
    first, later = metric.by_run[0], metric.by_run[run]
    if seeds := metric.common_seeds(run):
        return np.array([later[seed] - first[seed] for seed in seeds])
    return metric.values(0), metric.values(run)


def _is_zero(case: Any) -> bool:
    """Whether runs that are paired measured the same numbers."""
    return isinstance(case, np.ndarray) and not case.any()


def _estimate(case: Any, cases: int) -> Interval:
    """The interval of a difference, paired or not."""
    if isinstance(case, tuple):
        return interval_of_difference(*case, cases=cases)
    return interval(case, cases)


def table(
    runs: Sequence[RunRecord],
    metrics: Sequence[Metric],
    judged: Sequence[Difference],
) -> Table:
    """The flags that differ, the metrics, and their differences.

    Args:
        runs: The runs.
        metrics: The metrics.
        judged: Differences, from `differences`.

    Returns:
        One row per flag and metric. Each run has a column, and each later run two more:
        its difference to the first run, and whether that is supported.
    """
    header = ["flag or metric", *(run.name for run in runs)]
    for run in runs[1:]:
        header += [f"{run.name} - {runs[0].name}", "supported?"]
    blank = [""] * 2 * (len(runs) - 1)
    rows = [["folder", *(run.folder for run in runs), *blank]]
    rows += [
        [f"--{flag}", *texts, *blank] for flag, texts in changed_flags(runs).items()
    ]
    by_key = {(id(d.metric), d.run): d for d in judged}
    for metric in metrics:
        samples = [metric.values(i) for i in range(len(runs)) if metric.by_run[i]]
        form = format_of(samples)
        row = [metric.label]
        row += [_interval(metric.values(i), form) for i in range(len(runs))]
        for i in range(1, len(runs)):
            difference = by_key.get((id(metric), i))
            row += (
                [_gain(difference, form), difference.outcome]
                if difference
                else ["-", "-"]
            )
        rows.append(row)
    return Table(header, rows)


def _interval(values: np.ndarray, form: str) -> str:
    """The mean of a run, with its interval over seeds."""
    if not len(values):
        return "-"
    return interval(values).text(form) if finite(values) else "none"


def _gain(difference: Difference, form: str) -> str:
    """A difference, with its sign."""
    if difference.outcome == EQUAL:
        return "0"
    return difference.interval.text(form.replace(":", ":+"))


def format_of(samples: Sequence[np.ndarray]) -> str:
    """The format of the numbers of one metric.

    Args:
        samples: Numbers of each run, [seeds].

    Returns:
        A format that shows two digits of the largest deviation.

    Example:
        >>> format_of([np.array([0.93, 0.95])]), format_of([np.array([3e-7, 5e-7])])
        ('{:.3f}', '{:.2e}')
    """
    sizes = np.abs(np.concatenate(samples))
    largest = sizes[np.isfinite(sizes)].max(initial=0.0)
    if 0 < largest < 1e-3 or largest >= 1e6:
        return "{:.2e}"
    return f"{{:.{min(decimals([values]) for values in samples)}f}}"


def evaluate_claims(
    judged: Sequence[Difference], runs: Sequence[RunRecord]
) -> list[Claim]:
    """For every metric, the claim that it differs from the first run.

    Args:
        judged: Differences, from `differences`.
        runs: The runs.

    Returns:
        One claim per metric that is not equal in all runs.
    """
    claims = []
    others = runs[1].name if len(runs) == 2 else "the other runs"
    for name in dict.fromkeys(d.metric.name for d in judged if d.outcome != EQUAL):
        some = [d for d in judged if d.metric.name == name and d.outcome != EQUAL]
        claim = claim_of_cases(
            f"{others} and {runs[0].name} differ in {name}",
            f"Difference of {name} to {runs[0].name}.",
            [Case(*words_of(d, runs), d.outcome) for d in some],
        )
        claims.append(claim)
    return claims


def words_of(difference: Difference, runs: Sequence[RunRecord]) -> tuple[str, str]:
    """A difference in words.

    Args:
        difference: The difference.
        runs: The runs.

    Returns:
        The name of the case, with the names of the runs if there are more than two or
        the metric has only one case, and the difference with its interval, such as
        "+0.02 [+0.01, +0.03]".
    """
    metric, run = difference.metric, difference.run
    samples = [metric.values(0), metric.values(run)]
    names = [f"{runs[run].name} - {runs[0].name}"]
    if len(runs) == 2 and metric.case:
        names = []
    words = [*names, *filter(None, [metric.case])]
    return ", ".join(words), _gain(difference, format_of(samples))


def answer(judged: Sequence[Difference], runs: Sequence[RunRecord]) -> str:
    """The number of supported differences, and the first of them.

    Args:
        judged: Differences, from `differences`.
        runs: The runs.

    Returns:
        One sentence.
    """
    unequal = [d for d in judged if d.outcome != EQUAL]
    supported = [d for d in unequal if d.outcome == SUPPORTED]
    if not unequal:
        return "The runs have measured the same numbers."
    if not supported:
        return f"None of {len(unequal)} differences is supported."
    verb = "is" if len(supported) == 1 else "are"
    listed = "; ".join(
        f"{d.metric.name}, {' '.join(words_of(d, runs))}" for d in supported[:LISTED]
    )
    rest = "" if len(supported) <= LISTED else "; the table has all"
    count = f"{len(supported)} of {len(unequal)} differences {verb} supported"
    return f"{count}: {listed}{rest}."
