"""The claims, the finding and the table of drawn digits."""

from collections.abc import Mapping, Sequence
from functools import partial

from experiments.draw_digits.controls import BLIND, REAL
from experiments.draw_digits.measure import DigitsResult
from experiments.harness import tables
from experiments.harness.claims import (
    INCONCLUSIVE,
    PARTLY_SUPPORTED,
    REFUTED,
    SUPPORTED,
    Case,
    Claim,
    claim_of_cases,
    judge,
    positive,
)

GOAL = 0.8  # share of the drawings read as their label


def table(results: Sequence[DigitsResult]) -> tables.Table:
    """The results, one row per kind of digits."""
    header = [
        "digits",
        "read as the label, %",
        "variety, held-out = 1",
        "distance to the nearest training digit",
        "NLL of a held-out row, nats",
    ]
    rows = [
        [
            result.name,
            tables.mean_and_deviation(100 * result.accuracy, "{:.1f}"),
            tables.mean_and_deviation(result.variety, "{:.2f}"),
            tables.mean_and_deviation(result.distance, "{:.3f}"),
            "-"
            if result.test_nll is None
            else tables.mean_and_deviation(result.test_nll, "{:.2f}"),
        ]
        for result in results
    ]
    return tables.Table(header, rows)


ANSWERS = {  # by the outcome of `goal`
    SUPPORTED: "Yes: a CNN reads most drawn digits as the requested label.",
    PARTLY_SUPPORTED: "Only at some temperatures does a CNN read most drawn digits as "
    "the requested label.",
    INCONCLUSIVE: "The seeds do not decide whether a CNN reads enough of the drawn "
    "digits as the requested label.",
    REFUTED: "No: a CNN reads too few drawn digits as the requested label.",
}


def evaluate_claims(
    drawn: Sequence[DigitsResult], controls: Mapping[str, DigitsResult]
) -> list[Claim]:
    """Claims on legibility, on the use of the rows before, and on copying."""
    return [
        goal(drawn),
        sight(drawn[0], controls[BLIND]),
        copies(drawn, controls[REAL]),
    ]


def goal(drawn: Sequence[DigitsResult]) -> Claim:
    """The claim that drawings at every temperature are read as the requested label."""
    judgment = judge(
        [100 * result.accuracy for result in drawn],
        partial(positive, threshold=100 * GOAL),
    )
    return judgment.claim(
        "From a label alone, a recurrent network draws digits; a CNN reads "
        f"{GOAL:.0%} of them as that label, at every temperature",
        "Share of the drawings read as their label, in percent. The CNN also reads "
        "digits whose rows do not fit together, so this share does not measure the "
        "quality of the drawings.",
        (result.name for result in drawn),
        "{:.1f}",
    )


def sight(seeing: DigitsResult, blind: DigitsResult) -> Claim:
    """The claim that a generator does better if it sees the rows before."""
    assert seeing.test_nll is not None and blind.test_nll is not None
    judgment = judge(
        [blind.test_nll - seeing.test_nll, 100 * (seeing.accuracy - blind.accuracy)]
    )
    likelihood, accuracy = judgment.outcomes
    nats, points = judgment.intervals
    return claim_of_cases(
        "Each row is drawn to fit the rows before: a network that sees them assigns "
        "handwritten rows a higher likelihood, and its drawings are read more often",
        "The network that sees the rows before minus the one that does not, paired by "
        "seed.",
        [
            Case("nats per held-out row", nats.text("{:+.2f}"), likelihood),
            Case(
                f"drawings read, at temperature {seeing.temperature:g}, points",
                points.text("{:+.1f}"),
                accuracy,
            ),
        ],
    )


def copies(drawn: Sequence[DigitsResult], real: DigitsResult) -> Claim:
    """The claim that drawings are not copies of training digits."""
    return judge([result.distance - real.distance for result in drawn]).claim(
        "Drawings are not copies: at every temperature, they are as far from the "
        "nearest training digit as digits of other writers are",
        "Root-mean-square distance per pixel, drawings minus handwritten digits.",
        (result.name for result in drawn),
        "{:+.3f}",
    )


def title(drawn: Sequence[DigitsResult], real: DigitsResult) -> str:
    """The finding: the accuracy of the judge at each temperature."""
    shares = ", ".join(
        f"{100 * result.accuracy.mean():.0f} % at temperature {result.temperature:g}"
        for result in drawn
    )
    return (
        f"A CNN reads drawn digits as the requested label: {shares};\n"
        f"it reads {100 * real.accuracy.mean():.0f} % of handwritten digits"
    )
