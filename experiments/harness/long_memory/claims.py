"""Measured learning curves next to published and earlier numbers."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from experiments.harness import plotting, published, tables
from experiments.harness.claims import (
    Case,
    Claim,
    claim_of_cases,
    judge,
)
from experiments.harness.intervals import Interval
from experiments.harness.long_memory.trainings import Curve
from experiments.harness.published import Published
from experiments.harness.runs import Run

FEW = 4  # curves that a rank correlation needs,
FEW_SOLVED = 3  # of which so many solve the task from some seed
STEPS, SEQUENCES, LOSS = "steps", "sequences", "loss"
STANDARD = {
    **{"features": 64, "batch_size": 50, "optimizer": "adam", "learning_rate": 1e-3},
    **{"clip_norm": 1.0, "schedule": "auto", "warmup_steps": 0, "accumulate": 1},
    "average": 0.0,
}
WITHIN = {True: "yes", False: "no", None: "-"}


class Reference(NamedTuple):
    """A number that one curve is compared with.

    Attributes:
        length: Length of the task.
        cell: Name of the cell.
        init: Name of the initialization, without its argument.
        number: The number, with its source and tolerance.
        quantity: `STEPS` or `SEQUENCES` until the task was solved, or the last `LOSS`.
        standard: Settings of the flags with which the number was measured.
    """

    length: int
    cell: str
    init: str
    number: Published
    quantity: str = STEPS
    standard: dict[str, Any] = STANDARD


def compare(
    curves: Sequence[Curve],
    references: Sequence[Reference],
    config: Any,
    results: Run,
) -> list[dict[str, Any]]:
    """Compare curves with published numbers, and log the comparisons.

    A model that did not solve the task counts with all its steps, which is a lower
    bound. A number is left out if the flags are not those of its measurement, or if the
    training was too short to reach it.

    Args:
        curves: The curves.
        references: The numbers.
        config: The flags.
        results: Run that gets rows of the kind "published".

    Returns:
        The rows.
    """
    rows = []
    by_name = {(c.length, c.cell, plain_init(c)): c for c in curves}
    for reference in references:
        curve = by_name.get((reference.length, reference.cell, reference.init))
        other = any(getattr(config, n) != v for n, v in reference.standard.items())
        if curve is None or other:
            continue
        number, values = reference.number, curve.last
        if reference.quantity != LOSS:
            factor = 1 if reference.quantity == STEPS else config.batch_size
            steps = [int(s) or config.steps for s in curve.solved]
            values = [factor * count for count in steps]
            if factor * config.steps < number.published + (number.tolerance or 0):
                continue
        published.log(results, number, values)
        rows.append(published.compare(number, values))
    return rows


def table(rows: Sequence[dict[str, Any]]) -> tables.Table:
    """Published numbers, the measured ones and their deviation: one row per number."""
    header = [
        *("setting", "source", "published", "here [95 % interval]", "deviation"),
        *("tolerance", "within"),
    ]
    return tables.Table(
        header,
        [
            [
                row["setting"],
                row["source"],
                number_text(row["published"]),
                measured_text(row),
                f"{row['deviation']:+.3g}" if row["published"] < 10 else whole(row),
                "-" if row["tolerance"] is None else number_text(row["tolerance"]),
                WITHIN[row["within"]],
            ]
            for row in rows
        ],
    )


def whole(row: dict[str, Any]) -> str:
    """A deviation of steps."""
    return f"{row['deviation']:+,.0f}"


def number_text(value: float) -> str:
    """A count of steps as a whole number, a loss with its digits.

    Example:
        >>> number_text(1500), number_text(0.0204)
        ('1,500', '0.0204')
    """
    return f"{value:,.0f}" if value >= 10 else f"{value:.4g}"


def measured_text(row: dict[str, Any]) -> str:
    """The mean over seeds, with its interval."""
    form = "{:,.0f}" if row["published"] >= 10 else "{:.4g}"
    return Interval(row["measured"], row["low"], row["high"]).text(form)


def claim(rows: Sequence[dict[str, Any]]) -> list[Claim]:
    """The claim that all numbers are reproduced within their tolerance.

    Args:
        rows: Rows of `compare`.

    Returns:
        The claim; none without a number that has a tolerance.
    """
    judged = [row for row in rows if row["within"] is not None]
    if not judged:
        return []
    cases = [
        Case(
            f"{row['setting']} ({row['source']})",
            f"{measured_text(row)}, {number_text(row['published'])} ± "
            f"{number_text(row['tolerance'])}",
            published.outcome(row),
        )
        for row in judged
    ]
    return [
        claim_of_cases(
            "The published and the earlier numbers are reproduced",
            "Mean over seeds and its interval; the number with its tolerance.",
            cases,
        )
    ]


def plain_init(curve: Curve) -> str:
    """The initialization, without an argument that is the length."""
    return curve.init.removesuffix(f"({curve.length})")


def name_of(curve: Curve, curves: Sequence[Curve]) -> str:
    """The cell, with its initialization if the cell has several.

    Args:
        curve: The curve.
        curves: All curves.

    Returns:
        Text such as "GRU" or "LSTM (chrono)".
    """
    several = {plain_init(c) for c in curves if c.cell == curve.cell}
    written = plotting.written(curve.cell)
    return f"{written} ({plain_init(curve)})" if len(several) > 1 else written


def steps_text(curve: Curve, factor: int = 1) -> str:
    """Steps until the task was solved: their range over seeds.

    Args:
        curve: The curve.
        factor: Factor of the steps, to count sequences.

    Returns:
        Text such as "750-900", "900 to never" or "never".
    """
    solved = factor * curve.solved
    if not solved.any():
        return "never"
    low, high = int(solved[solved > 0].min()), int(solved.max())
    if not solved.all():
        return f"{low:,} to never"
    return f"{low:,}" if low == high else f"{low:,}-{high:,}"


def steps_to_solve(curve: Curve, limit: int) -> np.ndarray:
    """Steps of every seed until the task was solved; all its steps if it was not."""
    return np.where(curve.solved > 0, curve.solved, limit).astype(float)


def answer(curves: Sequence[Curve]) -> str:
    """The cells that solve the task at the greatest length, in one sentence."""
    longest = max(curve.length for curve in curves)
    group = [curve for curve in curves if curve.length == longest]
    group.sort(key=lambda curve: steps_to_solve(curve, 10**9).mean())
    solved = [curve for curve in group if curve.solved.all()]
    partly = [c for c in group if c.solved.any() and not c.solved.all()]
    never = [curve for curve in group if not curve.solved.any()]
    parts = []
    if solved:
        steps = ", ".join(f"{name_of(c, curves)} in {steps_text(c)}" for c in solved)
        parts.append(f"solved from every seed by {steps} steps")
    for words, some in (("from some seeds by", partly), ("from none by", never)):
        if some:
            names = ", ".join(name_of(c, curves) for c in some)
            parts.append(f"{words} {names}" if parts else f"solved {words} {names}")
    return f"At length {longest}: {'; '.join(parts)}."


def sooner_claim(
    curves: Sequence[Curve], init: str, limit: int, text: str
) -> list[Claim]:
    """Claim that an initialization solves the task sooner than the cell's other ones.

    Args:
        curves: The curves.
        init: Name of the initialization.
        limit: Steps of a model that did not solve the task.
        text: The claim.

    Returns:
        The claim; none without a cell that has this initialization and another.
    """
    cases, names = [], []
    for curve in curves:
        if plain_init(curve) != init:
            continue
        for other in curves:
            same = (other.cell, other.length) == (curve.cell, curve.length)
            if same and plain_init(other) != init:
                mine, theirs = (steps_to_solve(c, limit) for c in (curve, other))
                cases.append(theirs - mine)
                names.append(f"{curve.cell}, {curve.length}: {plain_init(other)}")
    if not cases:
        return []
    return [
        judge(cases).claim(
            text,
            f"Steps to solve with the named initialization minus those with {init}, "
            f"seed by seed; {limit:,} for a model that did not solve the task.",
            names,
            "{:+,.0f}",
        )
    ]


def gradient_claim(curves: Sequence[Curve], limit: int) -> list[Claim]:
    """Claim that the gradient before training predicts the steps to solve.

    Args:
        curves: The curves.
        limit: As in `sooner_claim`.

    Returns:
        The claim; none without enough curves of one length, some of which solve it.
    """
    cases, names = [], []
    for length in dict.fromkeys(curve.length for curve in curves):
        group = [curve for curve in curves if curve.length == length]
        decay = np.abs([curve.decay for curve in group])
        steps = np.array([steps_to_solve(curve, limit) for curve in group])
        varies = (np.ptp(decay, axis=0) > 0).all() and (np.ptp(steps, axis=0) > 0).all()
        some = sum(curve.solved.any() for curve in group) >= FEW_SOLVED
        if len(group) < FEW or not (some and varies and np.isfinite(decay).all()):
            continue
        pairs = zip(decay.T, steps.T, strict=True)
        cases.append([stats.spearmanr(*pair).statistic for pair in pairs])  # pyright: ignore
        names.append(f"length {length}, {len(group)} curves")
    if not cases:
        return []
    return [
        judge(cases).claim(
            "The more slowly the gradient of the untrained network decays, the sooner "
            "the task is solved",
            "Rank correlation of abs(decay rate) and steps to solve over cells and "
            "initializations, seed by seed.",
            names,
        )
    ]
