"""The claim, the finding and the tables of sequence tagging."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from experiments.harness import tables
from experiments.harness.claims import SUPPORTED, Claim, judge
from experiments.tag_sequences.measure import (
    BACKWARD,
    BOTH,
    EQUAL,
    FORWARD,
    TaggingResult,
)
from train.data import words
from train.data.words import Words


def table(results: Sequence[TaggingResult], majority: float) -> tables.Table:
    """Scores, one row per way of reading, after a baseline that predicts no start."""
    header = ["reading", "units", "parameters", "F1 of word starts, %", "accuracy, %"]
    rows = [["no start predicted", "-", "0", "0", f"{100 * majority:.1f}"]]
    for result in results:
        directions = 2 if result.way in (BOTH, EQUAL) else 1
        rows.append(
            [
                result.way,
                f"{directions} x {result.features}",
                f"{result.parameters:,}",
                tables.mean_and_deviation(100 * result.f1, "{:.1f}"),
                tables.mean_and_deviation(100 * result.accuracy, "{:.1f}"),
                tables.mean_and_deviation(result.bits.mean(axis=1), "{:.3f}"),
            ]
        )
    rows[0].append(f"{entropy(majority):.3f}")
    return tables.Table([*header, "bits per letter"], rows)


def entropy(share: float) -> float:
    """Entropy of a binary variable with this probability, in bits.

    Example:
        >>> entropy(0.5)
        1.0
    """
    parts = np.array([share, 1 - share])
    return float(-(parts * np.log2(parts)).sum())


def examples(results: Sequence[TaggingResult], test: Words) -> tables.Table:
    """Held-out letters, cut into words by each way of reading."""
    rows = []
    for i, letters in enumerate(test.letters[: len(results[0].predictions)]):
        rows.append([f"{i + 1}, text", words.cut(letters, test.starts[i])])
        rows += [
            [result.way, words.cut(letters, result.predictions[i])]
            for result in results
        ]
    return tables.Table(["window", "words"], rows)


def gains(
    results: Sequence[TaggingResult],
) -> dict[tuple[str, str], Float[np.ndarray, " seeds"]]:
    """Gains in F1 of both directions over one, in percentage points, by seed."""
    f1 = {result.way: 100 * result.f1 for result in results}
    return {
        (both, single): f1[both] - f1[single]
        for both in (BOTH, EQUAL)
        for single in (FORWARD, BACKWARD)
    }


def evaluate_claim(results: Sequence[TaggingResult]) -> Claim:
    """The claim that both directions beat either one, also at equal parameters."""
    differences = gains(results)
    judgment = judge(list(differences.values()))
    return judgment.claim(
        "A network that reads in both directions is better at labels that depend on "
        "both sides",
        "Difference in the F1 of word starts, in percentage points.",
        (f"{both} minus {single}" for both, single in differences),
        "{:+.1f}",
    )


def better(results: Sequence[TaggingResult], both: str) -> bool:
    """Whether this network beats each direction alone, judged as the claim is."""
    differences = gains(results)
    outcomes = judge(list(differences.values())).outcomes
    return all(
        outcome == SUPPORTED
        for (name, _), outcome in zip(differences, outcomes, strict=True)
        if name == both
    )


def answer(results: Sequence[TaggingResult]) -> str:
    """The answer to the question of the experiment, in one sentence."""
    if better(results, EQUAL):
        return (
            "Word starts do: reading in both directions predicts them better, with no "
            "more parameters."
        )
    if better(results, BOTH):
        return (
            "Word starts do: reading in both directions predicts them better, but with "
            "more parameters."
        )
    return "The seeds do not decide whether word starts need both directions."


def title(results: Sequence[TaggingResult]) -> str:
    """The finding, judged as the claim is."""
    f1 = {result.way: result.f1 for result in results}
    best = np.maximum(f1[FORWARD], f1[BACKWARD])
    means = " versus ".join(
        f"{100 * values.mean():.0f} %" for values in (f1[EQUAL], best)
    )
    if better(results, EQUAL):
        return (
            f"Reading in both directions is better, with no more parameters: F1 {means}"
        )
    if better(results, BOTH):
        return "Reading in both directions is better, but with more parameters"
    return f"Whether both directions are better depends on the seed: F1 {means}"
