"""The answer, the table and the claim of each remedy."""

from collections.abc import Sequence

from experiments.harness import tables
from experiments.harness.claims import (
    PARTLY_SUPPORTED,
    REFUTED,
    SUPPORTED,
    Case,
    Claim,
    claim_of_cases,
)
from experiments.remedies.measure import RemedyResult

RELEVANT = 0.1  # smallest relative reduction of the error that is reported


def counted_outcome(result: RemedyResult) -> str:
    """Outcome of the claim, with the number of seeds that support it."""
    count, seeds = int(result.held.sum()), len(result.held)
    word = SUPPORTED if count == seeds else REFUTED if count == 0 else PARTLY_SUPPORTED
    return f"{word}, {count} of {seeds} seeds"


def evaluate_claims(results: Sequence[RemedyResult]) -> list[Claim]:
    """The claim of each remedy; every seed is a case."""
    return [
        claim_of_cases(
            f"With {result.remedy}, {result.claim}",
            f"{result.quantity[0].upper()}{result.quantity[1:]}, without and with the "
            "remedy.",
            [
                Case(
                    f"seed {i + 1} of {len(result.held)}",
                    f"{result.without[i]:.3g} -> {result.with_it[i]:.3g}",
                    SUPPORTED if held else REFUTED,
                )
                for i, held in enumerate(result.held)
            ],
        )
        for result in results
    ]


def answer(results: Sequence[RemedyResult]) -> str:
    """The remedies whose claim every seed supports, in one sentence."""
    supported = [result.remedy for result in results if result.held.all()]
    if len(supported) == len(results):
        return "Yes: each remedy changes what it claims to change, with every seed."
    if not supported:
        return "No: no remedy changes what it claims to change, with every seed."
    names = ", ".join(supported)
    return f"Not all: with every seed, only {names} do what they claim."


def title(results: Sequence[RemedyResult]) -> str:
    """The finding: supported claims, and remedies that reduce the error."""
    supported = sum(bool(result.held.all()) for result in results)
    better = [
        result.remedy
        for result in results
        if (result.error_with < (1 - RELEVANT) * result.error_without).all()
    ]
    return (
        f"{supported} of {len(results)} remedies change what they claim to, in all "
        f"seeds;\nthe test error falls by {100 * RELEVANT:.0f} % or more, in all "
        f"seeds, with {', '.join(better) or 'none of them'}"
    )


def table(results: Sequence[RemedyResult]) -> tables.Table:
    """Quantities and errors, one row per remedy."""
    header = [
        "remedy",
        "measured",
        "without",
        "with",
        "claim",
        "test MSE without",
        "test MSE with",
    ]
    rows = [
        [
            result.remedy,
            result.quantity,
            tables.mean_and_deviation(result.without, "{:.4f}"),
            tables.mean_and_deviation(result.with_it, "{:.4f}"),
            counted_outcome(result),
            tables.mean_and_deviation(result.error_without, "{:.4f}"),
            tables.mean_and_deviation(result.error_with, "{:.4f}"),
        ]
        for result in results
    ]
    return tables.Table(header, rows)
