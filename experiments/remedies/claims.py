"""The answer, the table and the sentences on each remedy."""

from collections.abc import Sequence

from experiments.harness import tables
from experiments.harness.claims import PARTLY_SUPPORTED, REFUTED, SUPPORTED
from experiments.remedies.measure import RemedyResult

RELEVANT = 0.1  # smallest relative reduction of the error that is reported


def counted_outcome(result: RemedyResult) -> str:
    """Outcome of the claim, with the number of seeds that support it."""
    count, seeds = int(result.held.sum()), len(result.held)
    word = SUPPORTED if count == seeds else REFUTED if count == 0 else PARTLY_SUPPORTED
    return f"{word}, {count} of {seeds} seeds"


def sentence(result: RemedyResult) -> str:
    """The outcome of one remedy, in a sentence."""
    return (
        f"{result.remedy} claims that {result.claim}: {counted_outcome(result)} "
        f"({result.quantity} {result.without.mean():.3g} -> "
        f"{result.with_it.mean():.3g}; {result.note}); test error "
        f"{result.error_without.mean():.4f} -> {result.error_with.mean():.4f}."
    )


def answer(results: Sequence[RemedyResult]) -> str:
    """The number of remedies whose claim is supported, in one sentence."""
    count = sum(bool(result.held.all()) for result in results)
    return (
        f"{count} of {len(results)} remedies change what they claim to change, in "
        "every seed."
    )


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
