"""Results of a grid search, in words: the best, and whether the choice matters."""

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from experiments.harness import tables
from experiments.harness.claims import SUPPORTED, Claim, Judgment, judge
from experiments.harness.intervals import Interval

MOST_DIGITS = 5


class Grid(NamedTuple):
    """Scores of every combination.

    Attributes:
        values: Each flag's value, of each combination.
        scores: [seeds] of each combination, nan where it diverged.
        best: Place of the best combination; None if all diverged.
        objective: "max" or "min", which of the scores is best.
        metric: Name of the scores, which select.
        reported: Name of what is reported of the best, if it is measured on other data.
        test: That number of the best, [seeds].
    """

    values: Sequence[dict[str, str]]
    scores: Sequence[np.ndarray]
    best: int | None
    objective: str
    metric: str
    reported: str | None = None
    test: np.ndarray | None = None


def selection(grid: Grid, means: str = "") -> str:
    """The selection of the best, and whether its value is optimistic, in words.

    Args:
        grid: Results of the search.
        means: Labels over which each seed's score is a mean.

    Returns:
        A sentence or two.

    Example:
        >>> grid = Grid([{"rate": "1"}], [np.array([0.9])], 0, "max", "accuracy")
        >>> selection(grid)
        'Selected by accuracy; the best value of 1 is flattered, as it also selects.'
    """
    over = f" (the mean over {means})" if means else ""
    digits = decimals(grid.scores)
    if grid.best is None:
        return "No combination is selected, as training diverged in all of them."
    if grid.test is None:
        return (
            f"Selected by {grid.metric}{over}; the best value of {len(grid.scores)} is "
            "flattered, as it also selects."
        )
    return (
        f"Selected by {grid.metric}{over} on data held out of the training set, "
        f"{said(grid.scores[grid.best], digits)}; {grid.reported} of the selected "
        f"combination {said(grid.test, digits)}."
    )


def answer(grid: Grid) -> str:
    """The best combination, and whether it is better than all others."""
    if grid.best is None:
        return "None: training diverged with all combinations."
    best = f"The best combination is {named(grid.values[grid.best])}"
    found = against(grid)
    if found is None:
        return f"{best}."
    count, others = found.outcomes.count(SUPPORTED), len(found.outcomes)
    return f"{best}; it is reliably better than {count} of {others} others."


def headline(grid: Grid) -> str:
    """The finding: which is best, and than how many others it is better for sure."""
    if grid.best is None:
        return "All combinations diverged"
    found, rest = against(grid), ""
    if found:
        sure, others = found.outcomes.count(SUPPORTED), len(found.outcomes)
        rest = f";\nsurely better than {sure} of {others} others"
    flags = textwrap.fill(named(grid.values[grid.best]), 50)
    digits = decimals(grid.scores)
    numbers = f"{grid.metric} {said(grid.scores[grid.best], digits)}"
    test = "" if grid.test is None else f",\n{grid.reported} {said(grid.test, digits)}"
    return f"Best: {flags}\n{numbers}{test}{rest}"


def table(grid: Grid) -> tables.Table:
    """All combinations, the best first, and by how much it is better than each."""
    sign = -1 if grid.objective == "max" else 1
    means = [np.nan_to_num(sign * one.mean(), nan=np.inf) for one in grid.scores]
    digits = decimals(grid.scores)
    header = [*grid.values[0], f"{grid.metric}, mean ± deviation over seeds", "seeds"]
    gains = {i: "-" for i in range(len(grid.scores))}
    found = against(grid)
    if found:
        header.append("the best is better by [interval judged]")
        others = [i for i in gains if i != grid.best]
        texts = [gained(gain, digits) for gain in found.intervals]
        gains |= dict(zip(others, texts, strict=True))
    if grid.test is not None:
        header.append(f"{grid.reported} of the best")
    rows = []
    for i in np.argsort(means, kind="stable"):
        one = grid.scores[i]
        row = [*grid.values[i].values(), said(one, digits), str(len(one))]
        row += [gains[int(i)]] if found else []
        if grid.test is not None:
            row.append(said(grid.test, digits) if i == grid.best else "-")
        rows.append(row)
    return tables.Table(header, rows)


def named(values: dict[str, str]) -> str:
    """A combination in words."""
    return ", ".join(f"{name} {value}" for name, value in values.items())


def against(grid: Grid) -> Judgment | None:
    """The best combination against each other, in turn.

    Args:
        grid: Results of the search; a combination that diverged is worse than any
            number.

    Returns:
        Outcome for each of the others, and by how much the best is better; None if
        it has no others, or others of another number of seeds.

    Example:
        >>> scores = [np.array([0.9, 0.91]), np.array([np.nan] * 2)]
        >>> grid = Grid([{"rate": "1"}, {"rate": "9"}], scores, 0, "max", "m")
        >>> against(grid).outcomes
        ['supported']
    """
    scores, best = grid.scores, grid.best
    seeds = {len(one) for one in scores if finite(one)}
    if best is None or len(scores) < 2 or len(seeds) > 1:
        return None
    sign = 1 if grid.objective == "max" else -1
    others = [one for i, one in enumerate(scores) if i != best]
    found = judge([sign * (scores[best] - one) for one in others if finite(one)])
    seen = iter(zip(found.outcomes, found.intervals, strict=True))
    diverged = SUPPORTED, Interval(np.inf, np.inf, np.inf)
    every = [next(seen) if finite(one) else diverged for one in others]
    return Judgment([part for part, _ in every], [gain for _, gain in every])


def finite(scores: np.ndarray) -> bool:
    """True if no seed has diverged."""
    return bool(np.isfinite(scores).all())


def evaluate_claims(grid: Grid) -> list[Claim]:
    """Claim that the choice matters.

    Args:
        grid: Results of the search.

    Returns:
        One claim, on the best against each other, if they can be compared.
    """
    values, found = grid.values, against(grid)
    if found is None or grid.best is None:
        return []
    others = [one for i, one in enumerate(values) if i != grid.best]
    nearest = int(np.argmin([gain.mean for gain in found.intervals]))
    least = found.intervals[nearest]
    why = (
        f"{named(values[grid.best])} is best in {grid.metric}, next is "
        f"{named(others[nearest])}; better by {gained(least, decimals(grid.scores))} "
        "(all others are in the table)."
    )
    claim = (
        f"The choice of {' and '.join(values[grid.best])} matters: the best "
        "combination is better than each of the others"
    )
    return [found.claim(claim, why)]


def gained(gain: Interval, digits: int) -> str:
    """By how much the best is better, in words."""
    return (
        gain.text(f"{{:+.{digits}f}}")
        if np.isfinite(gain.mean)
        else "all, as it diverged"
    )


def decimals(scores: Sequence[np.ndarray]) -> int:
    """Decimals that show two digits of the smallest deviation, at most 4 of them.

    Args:
        scores: [seeds] of each combination.

    Returns:
        A number of decimals, for all of them.

    Example:
        >>> decimals([np.array([0.93, 0.95]), np.array([0.2, 0.9])])
        3
    """
    sizes = []
    for one in filter(finite, scores):
        spread = one.std(ddof=1) if len(one) > 1 else 0.0
        sizes.append(spread or abs(one.mean()) / 100)
    size = min(filter(None, sizes), default=1.0)
    largest = max((abs(one.mean()) for one in filter(finite, scores)), default=1.0)
    least = largest / 10**MOST_DIGITS
    return int(np.clip(1 - np.floor(np.log10(max(size, least))), 0, 9))


def said(scores: np.ndarray, digits: int | None = None) -> str:
    """The mean over seeds and the deviation.

    Args:
        scores: [seeds].
        digits: Decimals of both; by default as many as the deviation leaves.

    Returns:
        "mean ± deviation"; "diverged" if a seed has.

    Example:
        >>> said(np.array([0.9368, 0.9572])), said(np.array([np.nan, 1.0]))
        ('0.947 ± 0.014', 'diverged')
    """
    if not finite(scores):
        return "diverged"
    digits = decimals([scores]) if digits is None else digits
    return tables.mean_and_deviation(scores, f"{{:.{digits}f}}")
