"""The claim, the answer and the table of a grid search."""

import textwrap

import numpy as np

from experiments.harness import tables
from experiments.harness.claims import (
    SUPPORTED,
    Case,
    Claim,
    Judgment,
    claim_of_cases,
    judge,
)
from experiments.harness.intervals import Interval
from experiments.harness.tables import decimals, finite
from experiments.hyperparameters.grid import GridResult


def selection(result: GridResult, means: str = "") -> str:
    """How the best combination is selected, and whether its value is biased.

    Args:
        result: Results of the search.
        means: Labels over which the score of each seed is a mean.

    Returns:
        A sentence or two.

    Example:
        >>> scores = [np.array([0.9])]
        >>> result = GridResult([{"rate": "1"}], scores, 0, "max", "accuracy")
        >>> selection(result)
        'Selected by accuracy; the best of 1 values is biased, as it also selects.'
    """
    over = f" (the mean over {means})" if means else ""
    digits = decimals(result.scores)
    if result.best is None:
        return "No combination is selected, as training diverged in all of them."
    if result.test is None:
        return (
            f"Selected by {result.metric}{over}; the best of {len(result.scores)} "
            "values is biased, as it also selects."
        )
    return (
        f"Selected by {result.metric}{over} on data held out of the training set, "
        f"{mean_text(result.scores[result.best], digits)}; {result.reported} of the "
        f"selected combination {mean_text(result.test, digits)}."
    )


def answer(result: GridResult) -> str:
    """The best combination, and whether it is reliably better than the others."""
    if result.best is None:
        return "None: training diverged with all combinations."
    best = f"The best combination is {combination_text(result.values[result.best])}"
    comparison = compare_with_best(result)
    if comparison is None:
        return f"{best}."
    beaten = {outcome == SUPPORTED for outcome in comparison.outcomes}
    others = "each" if beaten == {True} else "some" if True in beaten else "none"
    return f"{best}; it is reliably better than {others} of the others."


def headline(result: GridResult) -> str:
    """The finding: the best combination, and the number of others that it beats."""
    if result.best is None:
        return "All combinations diverged"
    comparison, rest = compare_with_best(result), ""
    if comparison:
        beaten, others = comparison.outcomes.count(SUPPORTED), len(comparison.outcomes)
        rest = f";\nreliably better than {beaten} of {others} others"
    flags = textwrap.fill(combination_text(result.values[result.best]), 50)
    digits = decimals(result.scores)
    numbers = f"{result.metric} {mean_text(result.scores[result.best], digits)}"
    test = (
        ""
        if result.test is None
        else f",\n{result.reported} {mean_text(result.test, digits)}"
    )
    return f"Best: {flags}\n{numbers}{test}{rest}"


def table(result: GridResult) -> tables.Table:
    """All combinations, the best first, and its gains over each of them."""
    sign = -1 if result.objective == "max" else 1
    means = [np.nan_to_num(sign * s.mean(), nan=np.inf) for s in result.scores]
    digits = decimals(result.scores)
    header = [
        *result.values[0],
        f"{result.metric}, mean ± deviation over seeds",
        "seeds",
    ]
    gains = {i: "-" for i in range(len(result.scores))}
    comparison = compare_with_best(result)
    if comparison:
        header.append("gain of the best [interval]")
        others = [i for i in gains if i != result.best]
        texts = [gain_text(gain, digits) for gain in comparison.intervals]
        gains |= dict(zip(others, texts, strict=True))
    if result.test is not None:
        header.append(f"{result.reported} of the best")
    rows = []
    for i in np.argsort(means, kind="stable"):
        scores = result.scores[i]
        row = [*result.values[i].values(), mean_text(scores, digits), str(len(scores))]
        row += [gains[int(i)]] if comparison else []
        if result.test is not None:
            row.append(mean_text(result.test, digits) if i == result.best else "-")
        rows.append(row)
    return tables.Table(header, rows)


def combination_text(values: dict[str, str]) -> str:
    """A combination as text."""
    return ", ".join(f"{name} {value}" for name, value in values.items())


def compare_with_best(result: GridResult) -> Judgment | None:
    """Compare the best combination with each of the others.

    Args:
        result: Results of the search; a combination that diverged is worse than any
            number.

    Returns:
        Outcome and gain of the best for each other combination; None if there is no
        other, or if the numbers of seeds differ.

    Example:
        >>> scores = [np.array([0.9, 0.91]), np.array([np.nan] * 2)]
        >>> result = GridResult([{"rate": "1"}, {"rate": "9"}], scores, 0, "max", "m")
        >>> compare_with_best(result).outcomes
        ['supported']
    """
    scores, best = result.scores, result.best
    seeds = {len(values) for values in scores if finite(values)}
    if best is None or len(scores) < 2 or len(seeds) > 1:
        return None
    sign = 1 if result.objective == "max" else -1
    others = [values for i, values in enumerate(scores) if i != best]
    judgment = judge([sign * (scores[best] - v) for v in others if finite(v)])
    of_finite = iter(zip(judgment.outcomes, judgment.intervals, strict=True))
    diverged = SUPPORTED, Interval(np.inf, np.inf, np.inf)
    pairs = [next(of_finite) if finite(values) else diverged for values in others]
    return Judgment([outcome for outcome, _ in pairs], [gain for _, gain in pairs])


def evaluate_claims(result: GridResult) -> list[Claim]:
    """The claim that the choice matters.

    Args:
        result: Results of the search.

    Returns:
        One claim, that the best is better than each other combination; none if they
        cannot be compared.
    """
    values, comparison = result.values, compare_with_best(result)
    if comparison is None or result.best is None:
        return []
    others = [value for i, value in enumerate(values) if i != result.best]
    digits = decimals(result.scores)
    cases = [
        Case(combination_text(other), gain_text(gain, digits), outcome)
        for other, gain, outcome in zip(
            others, comparison.intervals, comparison.outcomes, strict=True
        )
    ]
    claim = (
        f"The choice of {' and '.join(values[result.best])} matters: the best "
        "combination is better than each of the others"
    )
    best = combination_text(values[result.best])
    evidence = f"Gain in {result.metric} of the best combination, {best}."
    return [claim_of_cases(claim, evidence, cases)]


def gain_text(gain: Interval, digits: int) -> str:
    """The gain of the best combination, as text."""
    return gain.text(f"{{:+.{digits}f}}") if np.isfinite(gain.mean) else "diverged"


def mean_text(scores: np.ndarray, digits: int | None = None) -> str:
    """Mean and deviation over seeds, as text.

    Args:
        scores: Scores, [seeds].
        digits: Number of decimals; by default chosen by `decimals`.

    Returns:
        "mean ± deviation"; "diverged" if training diverged for a seed.

    Example:
        >>> mean_text(np.array([0.9368, 0.9572])), mean_text(np.array([np.nan, 1.0]))
        ('0.947 ± 0.014', 'diverged')
    """
    if not finite(scores):
        return "diverged"
    digits = decimals([scores]) if digits is None else digits
    return tables.mean_and_deviation(scores, f"{{:.{digits}f}}")
