"""The answer, the tables and the claims about parallel solutions."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np

from experiments.harness import tables
from experiments.harness.claims import (
    INCONCLUSIVE,
    REFUTED,
    SUPPORTED,
    Claim,
    Judgment,
    judge,
    positive,
)
from experiments.harness.intervals import Interval, bootstrap
from experiments.parallel.records import (
    AFTER,
    FEWEST,
    METHODS,
    QUASI,
    STAGES,
    Rows,
    Trajectory,
    by,
    effort,
    known,
    networks,
    rank_correlation,
    right,
    stable,
    variation,
)

RIGHT = 0.9  # share of the trajectories that the sign of the exponent must decide
STEADY = 0.25  # coefficient of variation up to which a product is constant


def evaluate_claims(rows: Rows, flossed: Rows) -> list[Claim]:
    """All claims of the parts that were run.

    Args:
        rows: Trajectories of the cells.
        flossed: Trajectories of the flossed cells.

    Returns:
        The claims.
    """
    claims = []
    if known(rows):
        claims += [sign_decides(known(rows))]
        claims += [product_is_constant(known(rows), method) for method in METHODS]
        claims += [vanishing_is_parallel(known(rows))]
    if known(flossed):
        claims.append(flossing_is_a_dial(known(flossed)))
    return claims


def sign_decides(rows: Rows) -> Claim:
    """The claim that the sign of the exponent decides whether Newton's method works."""
    cells = by(rows, lambda row: row.cell)
    groups = {"all cells": rows, **(cells if len(cells) > 1 else {})}
    judged = judge(
        list(map(networks, groups.values())),
        partial(positive, threshold=RIGHT),
        partial(bootstrap, right),
    )
    names = [f"{name}: {_count(some)} right" for name, some in groups.items()]
    converged = np.mean([bool(row.solved().converged) for row in rows])
    return judged.claim(
        "Newton's method converges exactly where the largest exponent is below 0, in "
        f"{RIGHT:.0%} of the trajectories or more",
        f"Share of the trajectories; the more frequent outcome alone is right in "
        f"{max(converged, 1 - converged):.0%} of all.",
        names,
        "{:.2f}",
    )


def _count(rows: Rows) -> str:
    """Trajectories on which the sign is right, of all."""
    return f"{round(right(rows) * len(rows))} of {len(rows)}"


def product_is_constant(rows: Rows, method: str) -> Claim:
    """The claim that iterations x |exponent| is constant within each cell."""
    cells = by(stable(rows, method), lambda row: row.cell)
    cells = {name: some for name, some in cells.items() if len(some) >= FEWEST}
    judged = judge(
        list(map(networks, cells.values())),
        lambda bounds: _flipped(positive(bounds, STEADY)),
        partial(bootstrap, partial(variation, method=method)),
    )
    return _claim(
        judged,
        f"Within a cell, the iterations of {method} times |exponent| are constant, up "
        f"to {STEADY:.0%}",
        "Coefficient of variation over the trajectories that converge with an exponent "
        "below 0.",
        cells,
    )


def _flipped(outcome: str) -> str:
    """Outcome of the opposite claim."""
    return {SUPPORTED: REFUTED, REFUTED: SUPPORTED}.get(outcome, outcome)


def _claim(judged: Judgment, text: str, evidence: str, names: Iterable[str]) -> Claim:
    """A claim of judged cases, which may be none."""
    if not judged.outcomes:
        return Claim(text, INCONCLUSIVE, f"{evidence} There are too few.")
    return judged.claim(text, evidence, names, "{:.2f}")


def vanishing_is_parallel(rows: Rows) -> Claim:
    """The claim that faster vanishing gradients go with fewer iterations."""
    with_rate = [row for row in rows if np.isfinite(row.measured.decay)]
    cases: dict[str, list[list]] = {}
    for stage in STAGES:
        groups = networks([row for row in with_rate if row.stage == stage])
        if groups:
            cases[f"all networks, {stage} training"] = [
                [_pair(row) for row in group] for group in groups
            ]
    plain = [row for row in with_rate if row.settings.get("gain", 1.0) == 1.0]
    for stage in STAGES:
        cells = by([r for r in plain if r.stage == stage], lambda row: row.cell)
        if len(cells) > 2:
            cases[f"cells at gain 1, {stage} training"] = [
                [_middle(some)] for some in cells.values()
            ]
    judged = judge(
        list(cases.values()),
        lambda bounds: positive(Interval(-bounds.mean, -bounds.high, -bounds.low)),
        partial(bootstrap, rank_correlation),
    )
    return judged.claim(
        "The faster the gradient vanishes, the fewer iterations Newton's method needs",
        "Rank correlation of the gradient's decay rate and the iterations; a solver "
        "that does not converge ranks last.",
        cases,
    )


def _pair(row: Trajectory) -> tuple[float, float]:
    """Decay rate and iterations."""
    return float(row.measured.decay), effort(row)


def _middle(rows: Rows) -> tuple[float, float]:
    """Median decay rate and median iterations of a cell."""
    rate, most = zip(*map(_pair, rows), strict=True)
    return float(np.median(rate)), float(np.quantile(most, 0.5, method="higher"))


def flossing_is_a_dial(rows: Rows) -> Claim:
    """The claim that the target of flossing sets exponent, gradient and iterations."""
    quantities: dict[str, Callable[[Trajectory], float]] = {
        "exponent": lambda row: row.exponent,
        "slower decay of the gradient": lambda row: -float(row.measured.decay),
        "iterations": effort,
    }
    cases: dict[str, list[float]] = {}
    last = [row for row in rows if row.stage == AFTER]
    for cell, of_cell in by(last, lambda row: row.cell).items():
        for name, quantity in quantities.items():
            cases[f"{cell}: {name}"] = [
                rank_correlation([(r.settings["target"], quantity(r)) for r in some])
                for some in by(of_cell, lambda row: row.seed).values()
            ]
    return judge(list(cases.values())).claim(
        "The target of flossing sets the exponent, and with it the reach of the "
        "gradient and the iterations",
        "Rank correlation with the target after training, for each seed.",
        cases,
    )


def table(rows: Rows) -> tables.Table:
    """Cells at gain 1 with the first initialization, after training.

    Args:
        rows: Trajectories of the cells.

    Returns:
        A `Table`, one row per cell.
    """
    header = [
        "cell",
        "test accuracy, %",
        "exponent, nats/step",
        "half-life, steps",
        "Newton, iterations",
        "error",
        "quasi, iterations",
        "error of quasi",
        "exponent below 0, all settings",
        "Newton converges",
        "quasi converges",
    ]
    lines = []
    for cell, some in by(rows, lambda row: row.cell).items():
        first = some[0].settings["init"]
        plain = [
            row
            for row in some
            if row.stage == AFTER
            and row.settings["gain"] == 1.0
            and row.settings["init"] == first
        ] or [row for row in some if row.stage == AFTER]
        line = [
            cell,
            _spread([100 * row.accuracy for row in plain], "{:.0f}"),
            _spread([row.exponent for row in plain], "{:+.3f}"),
            _spread([row.half_life for row in plain], "{:.1f}"),
        ]
        for method in METHODS:
            line.append(_iterations(plain, method))
            line.append(f"{max(row.solved(method).error for row in plain):.0e}")
        line.append(_share(some, lambda row: row.exponent < 0))
        for method in METHODS:
            line.append(_share(some, lambda row, m=method: row.solved(m).converged))
        lines.append(line)
    return tables.Table(header, lines)


def _spread(values: Sequence[float], form: str) -> str:
    """Mean and deviation over seeds."""
    return tables.mean_and_deviation(np.array(values), form)


def _share(rows: Rows, holds: Callable[[Trajectory], Any]) -> str:
    """Trajectories for which something holds, of all."""
    return f"{sum(bool(holds(row)) for row in rows)}/{len(rows)}"


def _iterations(rows: Rows, method: str) -> str:
    """Least and largest number of iterations; a dash if a solver does not converge."""
    efforts = sorted(effort(row, method) for row in rows)
    ends = dict.fromkeys(
        "-" if np.isinf(n) else f"{n:.0f}" for n in efforts[:: len(efforts) - 1 or 1]
    )
    return " to ".join(ends)


def answer(rows: Rows, flossed: Rows = ()) -> str:
    """The answer to the question, from trajectories of cells and of flossed cells."""
    sentences = []
    if there := known(rows):
        sentences.append(
            "The sign of the largest exponent predicts whether Newton's method "
            f"converges on {_count(there)} trajectories, and whether quasi does on "
            f"{right(there, QUASI):.0%}"
        )
    if there := [row for row in known(flossed) if row.stage == AFTER]:
        shift = rank_correlation([(r.settings["target"], effort(r)) for r in there])
        sentences.append(
            "The rank correlation of the target of flossing and the iterations is "
            f"{shift:.2f}"
        )
    if not sentences:
        return "No network had a finite exponent."
    return f"{'. '.join(sentences)}."
