"""The claims, their table, and the answer."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from experiments.harness.claims import Case, Claim, claim_of_cases, positive
from experiments.harness.intervals import Interval, interval
from experiments.harness.tables import Table
from experiments.throughput.study.measure import (
    CONTENDERS,
    IN_TURN,
    LOOP,
    ONE_DEVICE,
    PER_CORE,
    STUDY,
    Times,
    best,
)
from experiments.throughput.study.overhead import EVERY

MANY = 16  # models in the studies that the claims are about, at least
LANGUAGES = {IN_TURN: "PyTorch", LOOP: "a plain loop in JAX"}
OVERHEAD = 3.0  # percent
LSTM = "lstm"  # PyTorch has a faster program for it


class Target(NamedTuple):
    """A ratio that the study is claimed to exceed.

    Attributes:
        contender: Contender in the numerator.
        ratio: Least ratio.
        lstm: Least ratio for the LSTM.
        text: The claim.
    """

    contender: str
    ratio: float
    lstm: float
    text: str


TARGETS = (
    Target(
        IN_TURN,
        5.0,
        1.5,
        f"A study of {MANY} models or more trains at least 5 times as fast as PyTorch "
        "one after another (the LSTM: 1.5 times)",
    ),
    Target(
        PER_CORE,
        2.5,
        1.0,
        f"A study of {MANY} models or more trains at least 2.5 times as fast as "
        "PyTorch in one process per core (the LSTM: as fast)",
    ),
    Target(
        LOOP,
        1.0,
        1.0,
        f"A study of {MANY} models or more trains faster than a jitted step in a loop",
    ),
    Target(
        ONE_DEVICE,
        1.8,
        1.8,
        f"All devices train a study of {MANY} models or more at least 1.8 times as "
        "fast as one",
    ),
)


def evaluate_claims(times: Sequence[Times]) -> list[Claim]:
    """Judge every claim whose contenders were timed.

    Args:
        times: All times.

    Returns:
        The claims.
    """
    claims = []
    for target in TARGETS:
        cases = []
        for study in of_contender(times, STUDY):
            peer = best(times, study.cell, study.members, target.contender)
            if peer is None or study.members < MANY:
                continue
            least = target.lstm if study.cell == LSTM else target.ratio
            bounds = ratio(peer, study)
            cases.append(
                Case(
                    f"{study.cell}, {study.members} models",
                    bounds.text(),
                    positive(bounds, least),
                )
            )
        if cases:
            evidence = f"Time of a step, {target.contender} divided by one program."
            claims.append(claim_of_cases(target.text, evidence, cases))
    return claims


def overhead_claim(ratios: np.ndarray) -> Claim:
    """Judge the time that checkpoints and logging add.

    Args:
        ratios: Time of a step with them, divided by that without, [rounds].

    Returns:
        The claim.
    """
    added = interval(100 * (ratios - 1))
    outcome = positive(Interval(-added.mean, -added.high, -added.low), -OVERHEAD)
    case = Case("a step", added.text("{:+.1f} %"), outcome)
    return claim_of_cases(
        f"Checkpoints every {EVERY} steps and logging add less than {OVERHEAD:g} % to "
        "the time of a training",
        "Time that they add to a step.",
        [case],
    )


def of_contender(times: Sequence[Times], contender: str) -> list[Times]:
    """The times of one contender."""
    return [t for t in times if t.contender == contender]


def ratio(slow: Times, fast: Times) -> Interval:
    """Ratio of two times: its mean over rounds, and the interval.

    Args:
        slow: Times in the numerator.
        fast: Times in the denominator.

    Returns:
        An `Interval`.
    """
    return interval(slow.seconds / fast.seconds)


def table(times: Sequence[Times]) -> Table:
    """Milliseconds of a step of all models, and ratios, one row per study.

    Args:
        times: All times.

    Returns:
        A `Table`.
    """
    there = [c for c in CONTENDERS if of_contender(times, c)]
    rows = []
    for study in of_contender(times, STUDY):
        row: list[str] = [study.cell, str(study.members)]
        for contender in there:
            peer = best(times, study.cell, study.members, contender)
            if peer is None:
                row.append("")
                continue
            text = f"{1e3 * peer.seconds.min():.2f}, {1e3 * median(peer):.2f}"
            if contender != STUDY:
                text += f" ({least_ratio(peer, study):.2f})"
            row.append(text)
        rows.append(row)
    return Table(["cell", "models", *there], rows)


def median(times: Times) -> float:
    """Median over rounds, in seconds."""
    ordered = sorted(times.seconds.tolist())
    half = len(ordered) // 2
    return (ordered[half] + ordered[-1 - half]) / 2


def least_ratio(slow: Times, fast: Times) -> float:
    """Ratio of the shortest times, which are the least disturbed."""
    return float(slow.seconds.min() / fast.seconds.min())


def answer(times: Sequence[Times]) -> str:
    """One sentence that answers the question.

    Args:
        times: All times.

    Returns:
        The sentence.
    """
    largest = max(t.members for t in times)
    for contender in (IN_TURN, LOOP):
        ratios = [
            least_ratio(peer, study)
            for study in of_contender(times, STUDY)
            if study.members == largest
            and (peer := best(times, study.cell, largest, contender))
        ]
        if ratios:
            speed = f"{min(ratios):.1f} times as fast"
            if len(ratios) > 1:
                speed = f"between {min(ratios):.1f} and {max(ratios):.1f} times as fast"
            return (
                f"One program trains a study of {largest} models {speed} as one model "
                f"after another in {LANGUAGES[contender]}."
            )
    raise ValueError("expected the times of some contender")
