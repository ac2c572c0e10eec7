"""The claims, the tables, and the answer."""

from collections.abc import Sequence

import numpy as np

from experiments.harness.claims import (
    INCONCLUSIVE,
    REFUTED,
    SUPPORTED,
    Case,
    Claim,
    claim_of_cases,
    positive,
)
from experiments.harness.intervals import Interval, interval
from experiments.harness.tables import Table
from experiments.instrument_cost.measure import Growth, InstrumentCost, StepCosts

LARGEST_RATIO = 1.15  # of the times with and without the gradients of the states
MEBIBYTE = 2**20
# Below these sizes, constant costs (starting a program, its buffers) decide.
SHORTEST = 1e-3  # seconds of a plain step
SMALLEST = MEBIBYTE  # bytes of the Jacobians


def evaluate_claims(steps: Sequence[StepCosts], grown: Sequence[Growth]) -> list[Claim]:
    """Judge the time of `state_gradients`, and the memory of each other instrument.

    Args:
        steps: Costs of the training steps, one per cell.
        grown: Costs of the other instruments.

    Returns:
        The claims.
    """
    cases = []
    for step in steps:
        for name, seconds in (
            (f"{step.cell}, state_gradients", step.alone),
            (f"{step.cell}, a recording training step", step.recorded),
        ):
            ratio = interval(seconds / step.plain)
            below = Interval(-ratio.mean, -ratio.high, -ratio.low)
            outcome = positive(below, -LARGEST_RATIO)
            if step.plain.min() < SHORTEST:
                outcome = INCONCLUSIVE
            cases.append(Case(name, ratio.text(), outcome))
    time = claim_of_cases(
        f"The gradient of every state takes at most {LARGEST_RATIO:g} times as long as "
        "a plain training step",
        "Time divided by that of a plain training step. A plain step of less than "
        f"{1e3 * SHORTEST:g} ms is too short to decide.",
        cases,
    )
    return [time, *(_memory_claim(growth.whole) for growth in grown)]


def _memory_claim(cost: InstrumentCost) -> Claim:
    """Judge whether an instrument keeps less than the Jacobians of all steps."""
    share = cost.bytes / cost.jacobian_bytes
    outcome = SUPPORTED if share < 1 else REFUTED
    if cost.jacobian_bytes < SMALLEST:
        outcome = INCONCLUSIVE
    size = f"{cost.features} units, {cost.time:,} steps"
    return claim_of_cases(
        f"{cost.instrument} needs less memory than the Jacobians of all steps take",
        "Memory for intermediate values, divided by that of an array [time, features, "
        f"features]. Jacobians of less than {mebibytes(SMALLEST)} MiB are too small to "
        "decide.",
        [Case(size, f"{share:.3g}", outcome)],
    )


def step_table(steps: Sequence[StepCosts]) -> Table:
    """Times, ratios and memory of the training steps, one row per cell.

    Args:
        steps: Costs of the training steps.

    Returns:
        A `Table`.
    """
    header = [
        "cell",
        "plain step, ms (least, median)",
        "state_gradients, ms",
        "ratio of the least",
        "recording step, ms",
        "ratio of the least",
        "plain step, MiB",
        "recording step, MiB",
    ]
    rows = [
        [
            step.cell,
            milliseconds(step.plain),
            milliseconds(step.alone),
            f"{step.alone_ratio:.2f}",
            milliseconds(step.recorded),
            f"{step.ratio:.2f}",
            mebibytes(step.plain_bytes),
            mebibytes(step.recorded_bytes),
        ]
        for step in steps
    ]
    return Table(header, rows)


def growth_table(grown: Sequence[Growth]) -> Table:
    """Time, memory and exponents of growth, one row per instrument.

    Args:
        grown: Costs of the instruments.

    Returns:
        A `Table`.
    """
    header = [
        "instrument",
        "units",
        "steps",
        "s (least)",
        "ms/step",
        "MiB",
        "Jacobians, MiB",
        "exponent: time by steps",
        "time by units",
        "memory by steps",
        "memory by units",
    ]
    rows = []
    for growth in grown:
        whole, exponents = growth.whole, growth.exponents()
        least = whole.seconds.min()
        rows.append(
            [
                whole.instrument,
                str(whole.features),
                f"{whole.time:,}",
                f"{least:.3g}",
                f"{1e3 * least / whole.time:.3g}",
                mebibytes(whole.bytes),
                mebibytes(whole.jacobian_bytes),
                f"{exponents['seconds by time']:.2f}",
                f"{exponents['seconds by features']:.2f}",
                f"{exponents['bytes by time']:.2f}",
                f"{exponents['bytes by features']:.2f}",
            ]
        )
    return Table(header, rows)


def milliseconds(seconds: np.ndarray) -> str:
    """The least and the median, with three digits."""
    return f"{1e3 * seconds.min():.3g}, {1e3 * np.median(seconds):.3g}"


def mebibytes(count: int) -> str:
    """Bytes in MiB, with three digits."""
    return f"{count / MEBIBYTE:.3g}"


def answer(steps: Sequence[StepCosts]) -> str:
    """One sentence that answers the question.

    Args:
        steps: Costs of the training steps.

    Returns:
        The sentence.
    """
    largest = max(step.ratio for step in steps)
    return (
        "A training step that records the gradient of every state takes at most "
        f"{largest:.2f} times as long as a plain step."
    )


def growth_finding(growth: Growth) -> str:
    """One sentence about the cost of an instrument.

    Args:
        growth: Costs of the instrument.

    Returns:
        The sentence.
    """
    whole = growth.whole
    return (
        f"{whole.instrument} of {whole.features} units over {whole.time:,} steps takes "
        f"{whole.seconds.min():.3g} s and {mebibytes(whole.bytes)} MiB."
    )
