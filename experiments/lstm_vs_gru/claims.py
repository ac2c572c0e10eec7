"""The answer, the table and the claims of the GRU compared with the LSTM."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from experiments.harness import tables
from experiments.harness.claims import (
    INCONCLUSIVE,
    PARTLY_SUPPORTED,
    REFUTED,
    SUPPORTED,
    Case,
    Claim,
    Judgment,
    claim_of_cases,
    judge,
    positive,
)
from experiments.harness.intervals import Interval
from experiments.lstm_vs_gru.measure import EQUAL_UNITS, CellComparison

MARGIN = 1.0  # percentage points of accuracy by which the GRU may be lower
# The ratio of two step times, median over rounds, varies by up to a quarter between
# processes (equal parameters: MNIST-1D 0.82 to 1.06, words 0.92 to 1.16). The rounds of
# one process do not show this variation.
FACTOR = 1.25

PHRASES = {  # of an answer, by the outcome of a claim
    SUPPORTED: "is {}",
    PARTLY_SUPPORTED: "is {} in some cases",
    INCONCLUSIVE: "is perhaps {}",
    REFUTED: "is not {}",
}


def table(
    comparisons: Sequence[CellComparison], score: str = "accuracy"
) -> tables.Table:
    """Sizes, accuracies (or R2) and step times, one row per comparison."""
    header = [
        "task",
        "LSTM units",
        "GRU units",
        "LSTM parameters",
        "GRU parameters",
        f"LSTM {score}, %",
        f"GRU {score}, %",
        "GRU - LSTM, points",
        "LSTM ms/step",
        "GRU ms/step",
        "GRU / LSTM",
    ]
    rows = [
        [
            pair.name,
            *map(str, pair.features),
            *(f"{count:,}" for count in pair.parameters),
            *(tables.mean_and_deviation(100 * a, "{:.1f}") for a in pair.accuracy),
            gain.text("{:+.1f}"),
            *(f"{ms:.2f}" for ms in np.median(pair.milliseconds, axis=0)),
            f"{np.median(pair.ratios):.2f}",
        ]
        for pair, gain in zip(
            comparisons, judge_accuracy(comparisons).intervals, strict=True
        )
    ]
    return tables.Table(header, rows)


def evaluate_claims(
    comparisons: Sequence[CellComparison], score: str = "accuracy"
) -> list[Claim]:
    """Evaluate the claims that the GRU is simpler, faster and no worse."""
    return [
        simpler_claim(comparisons),
        faster_claim(comparisons),
        accuracy_claim(comparisons, score),
    ]


def answer(claims: Sequence[Claim]) -> str:
    """The outcomes of the three claims, in one sentence."""
    simpler, faster, no_worse = (
        PHRASES[claim.outcome].format(word)
        for word, claim in zip(("simpler", "faster", "no worse"), claims, strict=True)
    )
    return f"The GRU {simpler}, {faster}, and {no_worse}."


def simpler_claim(comparisons: Sequence[CellComparison]) -> Claim:
    """Claim that the GRU has fewer parameters; this does not depend on the seed."""
    same = [pair for pair in comparisons if pair.setting == EQUAL_UNITS]
    cases = [
        Case(
            pair.task,
            f"{pair.parameters[1]:,} against {pair.parameters[0]:,}",
            SUPPORTED if pair.parameters[1] < pair.parameters[0] else REFUTED,
        )
        for pair in same
    ]
    return claim_of_cases(
        "The GRU is simpler: it has fewer parameters than an LSTM with as many units",
        "Parameters of the whole model, GRU against LSTM.",
        cases,
    )


def judge_speed(comparisons: Sequence[CellComparison]) -> Judgment:
    """Judge whether a step takes less time, by more than the noise between runs."""

    def clear(gain: Interval) -> str:
        margin = np.log(FACTOR)
        return positive(Interval(gain.mean, gain.low - margin, gain.high + margin))

    return judge([-np.log(pair.ratios) for pair in comparisons], clear)


def faster_claim(comparisons: Sequence[CellComparison]) -> Claim:
    """Claim that a training step takes less time, at equal units and parameters."""
    judgment = judge_speed(comparisons)
    cases = [
        Case(pair.name, _ratio(gain).text(), outcome)
        for pair, gain, outcome in zip(
            comparisons, judgment.intervals, judgment.outcomes, strict=True
        )
    ]
    return claim_of_cases(
        "The GRU is faster: its training step takes less time",
        "Step time of the GRU over that of the LSTM, geometric mean over rounds. This "
        "ratio varies between runs, so the claim requires a factor of "
        f"{FACTOR:g}.",
        cases,
    )


def _ratio(gain: Interval) -> Interval:
    """Interval of a ratio of times, from the interval of minus its logarithm."""
    if not np.isfinite(gain.low):  # a single round
        return Interval(float(np.exp(-gain.mean)), -np.inf, np.inf)
    return Interval(*(float(np.exp(-x)) for x in (gain.mean, gain.high, gain.low)))


def judge_accuracy(comparisons: Sequence[CellComparison]) -> Judgment:
    """Judge whether the accuracy of the GRU is no worse, within the margin."""
    return judge(
        [pair.gain for pair in comparisons], partial(positive, threshold=-MARGIN)
    )


def accuracy_claim(
    comparisons: Sequence[CellComparison], score: str = "accuracy"
) -> Claim:
    """Claim that the GRU is no less accurate than the LSTM, within the margin."""
    judgment = judge_accuracy(comparisons)
    return judgment.claim(
        f"The GRU is no worse: after as many training steps its {score} is at most "
        f"{MARGIN:g} percentage point lower",
        "Accuracy of the GRU minus that of the LSTM, in percentage points.",
        (pair.name for pair in comparisons),
        "{:+.1f}",
    )


def title(comparisons: Sequence[CellComparison]) -> str:
    """The finding: number of comparisons that support or refute each claim."""
    accuracy, speed = (
        judge_accuracy(comparisons).outcomes,
        judge_speed(comparisons).outcomes,
    )
    return (
        f"After as many steps, in {len(comparisons)} comparisons, the GRU is\nno worse "
        f"in {accuracy.count(SUPPORTED)} and worse in {accuracy.count(REFUTED)}; its "
        f"step is faster in {speed.count(SUPPORTED)} and slower in "
        f"{speed.count(REFUTED)}"
    )
