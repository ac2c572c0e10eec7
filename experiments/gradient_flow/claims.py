"""The answer, the claims and the table of how gradients decay over time."""

import itertools
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from experiments.gradient_flow.measure import DecayResult
from experiments.harness import plotting, tables
from experiments.harness.claims import (
    INCONCLUSIVE,
    REFUTED,
    SUPPORTED,
    Claim,
    Judgment,
    judge,
    within,
)
from experiments.harness.intervals import Interval
from experiments.harness.probing import DIRECTIONS, decay_rates
from nets import flow

SAME = np.log(2)  # nats, over a whole sequence, by which decays may differ and be alike


def table(results: list[DecayResult], score: str = "accuracy") -> tables.Table:
    """The table of decay rates, one row per result, with accuracy or another score."""
    header = [
        "cell",
        "parameters",
        f"test {score}, %",
        "decay before, nats/step",
        "decay after, nats/step",
        "half-life before, steps",
        "half-life after, steps",
        "horizon before, steps",
        "horizon after, steps",
        "ms/step, all seeds",
    ]
    rows = [
        [
            result.label,
            f"{result.parameters:,}",
            tables.mean_and_deviation(100 * result.accuracy, "{:.1f}"),
            tables.mean_and_deviation(decay_rates(result.before), "{:+.3f}"),
            tables.mean_and_deviation(decay_rates(result.after), "{:+.3f}"),
            halving(result.before),
            halving(result.after),
            horizon(result.before),
            horizon(result.after),
            f"{1e3 * result.seconds_per_step:.1f}",
        ]
        for result in results
    ]
    return tables.Table(header, rows)


def horizon(log_norms: np.ndarray) -> str:
    """Median over seeds of the steps until the gradient has fallen to 1e-3, as text."""
    steps = np.median(flow.gradient_horizon(jnp.asarray(log_norms).T))
    return f"{steps:.0f}" if np.isfinite(steps) else f"over {log_norms.shape[-1] - 1}"


def halving(log_norms: np.ndarray) -> str:
    """The half-life at the mean decay rate, as text.

    Args:
        log_norms: ln |dL/ds_t|, [seeds, time].

    Returns:
        Number of steps; "over 63" if a sequence of 64 steps is too short to show it. If
        the norm grows, the steps in which it doubles, followed by "(grows)".

    Example:
        >>> halving(0.1 * np.arange(20)[None]), halving(0.01 * np.arange(20)[None])
        ('6.9', 'over 19')
    """
    mean, most = decay_rates(log_norms).mean(), log_norms.shape[-1] - 1
    if not np.isfinite(mean):
        return "none"
    steps = float(flow.half_life(jnp.asarray(mean)))
    text = f"{steps:.1f}" if steps <= most else f"over {most}"
    return text if mean >= 0 else f"{text} (grows)"


class Differences(NamedTuple):
    """Comparison of every two cells: whether their gradients decay differently.

    Attributes:
        pairs: Indices of the two results.
        judged: Outcome per pair: `SUPPORTED` if the rates differ by more than the
            tolerance.
        tolerance: Tolerance in nats per step.
    """

    pairs: list[tuple[int, int]]
    judged: Judgment
    tolerance: float


def differences(
    results: list[DecayResult], when: str, directions: int = 1
) -> Differences:
    """Compare every two cells in one direction: the claim and the title follow.

    Args:
        results: Results, the directions of a cell in turn.
        when: "before" or "after" training.
        directions: Number of directions of a cell.

    Returns:
        A `Differences`.
    """
    pairs = [
        pair
        for i in range(directions)
        for pair in itertools.combinations(range(i, len(results), directions), 2)
    ]
    tolerance = float(SAME / max(results[0].before.shape[-1] - 1, 1))
    rates = [decay_rates(getattr(result, when)) for result in results]
    with np.errstate(invalid="ignore"):  # a gradient that is nothing has no rate
        cases = [rates[i] - rates[j] for i, j in pairs]
    return Differences(
        pairs, judge(cases, lambda apart: unlike(apart, tolerance)), tolerance
    )


def evaluate_claims(results: list[DecayResult], directions: int = 1) -> list[Claim]:
    """Claim that every two cells differ in how fast their gradients decay.

    Args:
        results: Results, the directions of a cell in turn.
        directions: Number of directions of a cell; each is compared separately.

    Returns:
        Two claims on all pairs, before and after training; none if there is no pair.
    """
    if len(results) <= directions:
        return []
    return [differ(results, when, directions) for when in ("before", "after")]


def differ(results: list[DecayResult], when: str, directions: int) -> Claim:
    """The claim that the cells of each pair differ, before or after training."""
    comparison = differences(results, when, directions)
    names = (f"{results[i].label} - {results[j].label}" for i, j in comparison.pairs)
    return comparison.judged.claim(
        f"{when.capitalize()} training, every two cells differ in how far back their "
        "gradient reaches, by more than a factor of two over the sequence",
        "Differences of their decay rates, in nats per step; a factor of two is "
        f"{comparison.tolerance:.3f}.",
        names,
        "{:+.3f}",
    )


def unlike(difference: Interval, tolerance: float) -> str:
    """Outcome of the claim that a difference, of either sign, exceeds a tolerance.

    Example:
        >>> unlike(Interval(-1, -1.1, -0.9), 0.2), unlike(Interval(0, -0.1, 0.1), 0.2)
        ('supported', 'refuted')
    """
    alike = within(difference, tolerance)
    return {SUPPORTED: REFUTED, REFUTED: SUPPORTED}.get(alike, INCONCLUSIVE)


def answer(results: list[DecayResult], directions: int = 1) -> str:
    """The answer to the question of the experiment, in one sentence.

    Args:
        results: Results, the directions of a cell in turn.
        directions: Number of directions of a cell; the sentence is on the first.

    Returns:
        Whose gradient decays slowest before and after training; the half-life after
        training if there is one cell.
    """
    if len(results) <= directions:
        return f"After training, {slowest(results, 'after', 0, directions)}."
    before, after = (
        slowest(results, when, 0, directions).partition(":")[0]
        for when in ("before", "after")
    )
    if before == after:
        return f"Before and after training, {before}."
    return f"Before training, {before}; after training, {after}."


def title(results: list[DecayResult], directions: int = 1) -> str:
    """The finding: whose gradient decays slowest, if the claim is supported."""
    lines = []
    for when in ("before", "after"):
        parts = [slowest(results, when, i, directions) for i in range(directions)]
        if directions > 1:
            names = DIRECTIONS[:directions]
            parts = [f"{n}: {part}" for n, part in zip(names, parts, strict=True)]
        lines.append(f"{when.capitalize()} training, {'; '.join(parts)}")
    return ";\n".join([lines[0], lines[1][0].lower() + lines[1][1:]])


def slowest(
    results: list[DecayResult], when: str, first: int = 0, step: int = 1
) -> str:
    """Name the cell whose gradient decays slowest, or grows fastest, in one direction.

    Args:
        results: Results.
        when: "before" or "after" training.
        first: Index of the direction.
        step: Number of directions of a cell.

    Returns:
        A sentence that claims no more than `differences` does.
    """
    group = range(first, len(results), step)
    means = {i: decay_rates(getattr(results[i], when)).mean() for i in group}
    names = {i: f"{plotting.written(results[i].label.split()[0])}'s" for i in group}
    life = {i: speed(getattr(results[i], when)) for i in group}
    if len(group) == 1:
        return f"{names[first]} gradient {life[first]}"
    comparison = differences(results, when, step)
    outcomes = {
        pair: outcome
        for pair, outcome in zip(
            comparison.pairs, comparison.judged.outcomes, strict=True
        )
        if pair[0] in means
    }
    apart = [pair for pair, outcome in outcomes.items() if outcome == SUPPORTED]
    order = sorted(group, key=lambda i: np.nan_to_num(means[i], nan=np.inf))
    grows = {i: bool(means[i] < 0) for i in group}
    for i, words in (
        (order[0], ("decays slowest", "grows fastest")),
        (order[-1], ("decays fastest", "grows slowest")),
    ):
        if sum(i in pair for pair in apart) == len(group) - 1:
            return f"{names[i]} gradient {words[grows[i]]}: it {life[i]}"
    if apart:
        i, j = sorted(
            max(apart, key=lambda p: abs(means[p[0]] - means[p[1]])), key=order.index
        )
        if grows[i] != grows[j]:
            return f"{names[i]} gradient grows, {names[j]} decays"
        words = "grows faster" if grows[i] else "decays more slowly"
        return f"{names[i]} gradient {words} than {names[j]}"
    if set(outcomes.values()) == {REFUTED}:
        return "all gradients decay alike, up to a factor of two over the sequence"
    seeds = len(getattr(results[first], when))
    count = "one seed does" if seeds == 1 else f"{seeds} seeds do"
    return f"{count} not show whose gradient decays slowest"


def speed(log_norms: np.ndarray) -> str:
    """The rate of decay or growth of a gradient, as a predicate."""
    steps = halving(log_norms)
    if steps == "none":
        return "has no half-life"
    verb = "doubles" if "grows" in steps else "halves"
    return f"{verb} in {steps.removesuffix(' (grows)')} steps"
