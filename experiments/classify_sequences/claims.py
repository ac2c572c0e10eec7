"""The answer, the table and the claims of classifying sequences from one vector."""

import re
from collections.abc import Sequence
from functools import partial

import numpy as np
from jaxtyping import Float

from experiments.classify_sequences.measure import ModelResult
from experiments.classify_sequences.networks import ALL, BOTH, END, LINEAR, SMALL
from experiments.harness import tables
from experiments.harness.claims import (
    INCONCLUSIVE,
    PARTLY_SUPPORTED,
    REFUTED,
    SUPPORTED,
    Claim,
    Judgment,
    judge,
    positive,
)
from experiments.harness.intervals import interval

POINTS = "{:+.1f}"
MARGIN = 1.0  # percentage points by which all outputs may be better


def baseline(score: str) -> str:
    """Name of the prediction that is always the same."""
    return "most frequent class" if score == "accuracy" else "mean of the targets"


def table(
    results: Sequence[ModelResult], majority: float, score: str = "accuracy"
) -> tables.Table:
    """Accuracies, or R2, one row per model, after the row of the baseline."""
    header = [worded("model, classified from", score), "units", "parameters"]
    header += [
        f"{score}, %",
        "mean [95 % interval]",
        "elsewhere, %",
        "ms/step, all seeds",
    ]
    rows = [[baseline(score), "-", "0", f"{100 * majority:.1f}", "-", "-", "-"]]
    for result in results:
        units = (
            f"{1 + result.bidirectional} x {result.features}"
            if result.features
            else "-"
        )
        rows.append(
            [
                result.name,
                units,
                f"{result.parameters:,}",
                tables.mean_and_deviation(100 * result.accuracy, "{:.1f}"),
                interval(100 * result.accuracy).text("{:.1f}"),
                "-" if result.known is None else f"{result.known:.1f}",
                f"{result.milliseconds:.1f}",
            ]
        )
    return tables.Table(header, rows)


def by_cell(results: Sequence[ModelResult], way: str) -> dict[str, ModelResult]:
    """The models with one way of reading, by the name of their cell."""
    return {result.cell: result for result in results if result.way == way}


def linear_model(results: Sequence[ModelResult]) -> ModelResult:
    """The linear model."""
    return next(result for result in results if result.cell == LINEAR)


def gain(result: ModelResult, reference: ModelResult) -> Float[np.ndarray, " seeds"]:
    """Difference of the accuracies in percentage points, seed by seed."""
    return 100 * (result.accuracy - reference.accuracy)


def against_linear(results: Sequence[ModelResult]) -> Judgment:
    """Judge for each cell whether its last output is better than the linear model."""
    base = linear_model(results)
    return judge([gain(result, base) for result in by_cell(results, END).values()])


def evaluate_claims(
    results: Sequence[ModelResult], majority: float, score: str = "accuracy"
) -> list[Claim]:
    """Evaluate the claims on chance, a linear model, all outputs, and both ends."""
    end = by_cell(results, END)
    chance = judge([100 * (result.accuracy - majority) for result in end.values()])
    claims = [
        chance.claim(
            "A recurrent net classifies sequences from its last output alone (many to "
            "one)",
            f"{_named(score)} minus that of the {baseline(score)}, in percentage "
            "points.",
            end,
            POINTS,
        )
    ]
    claims.append(
        against_linear(results).claim(
            "The last output classifies better than a linear model that sees the whole "
            "sequence at once",
            f"{_named(score)} minus that of the linear model, in percentage points.",
            end,
            POINTS,
        )
    )
    claims.append(last_output_claim(results))
    if by_cell(results, BOTH):
        claims.append(both_ends_claim(results))
    return [
        claim._replace(
            text=worded(claim.text, score), evidence=worded(claim.evidence, score)
        )
        for claim in claims
    ]


def worded(text: str, score: str) -> str:
    """A text about classes, in words for real targets if these are predicted.

    Example:
        >>> worded("It classifies sequences", "R2")
        'It predicts sequences'
    """
    if score == "accuracy":
        return text
    return re.sub("classif(ies|y|ied)", _prediction, text).replace(
        "more accurate", "better by R2"
    )


def _prediction(match: re.Match[str]) -> str:
    """The form of "predict" in place of one of "classify"."""
    return {"ies": "predicts", "y": "predict", "ied": "predicted"}[match[1]]


def _named(score: str) -> str:
    """Name of a score, at the start of a sentence."""
    return score[0].upper() + score[1:]


def answer(results: Sequence[ModelResult], score: str = "accuracy") -> str:
    """The answer to the question of the experiment, in one sentence."""
    text = {
        SUPPORTED: "Yes: the last output classifies a sequence as well as the outputs "
        "of all steps.",
        PARTLY_SUPPORTED: "For some cells: their last output classifies a sequence as "
        "well as the outputs of all steps.",
        INCONCLUSIVE: "The seeds do not decide whether the last output classifies a "
        "sequence as well as the outputs of all steps.",
        REFUTED: "No: for no cell does the last output classify a sequence as well as "
        "the outputs of all steps.",
    }[last_output_claim(results).outcome]
    return worded(text, score)


def last_output_claim(results: Sequence[ModelResult]) -> Claim:
    """Claim that the last output is as good as all outputs, within the margin."""
    last, every = by_cell(results, BOTH) or by_cell(results, END), by_cell(results, ALL)
    judgment = judge(
        [gain(last[cell], result) for cell, result in every.items()],
        partial(positive, threshold=-MARGIN),
    )
    return judgment.claim(
        "One vector at the end is enough: the outputs of all steps are at most "
        f"{MARGIN:g} percentage point more accurate",
        "Accuracy from the last output minus that from all outputs, whose last layer "
        "is larger, in percentage points.",
        (f"{cell}, {_sizes(last[cell], model)}" for cell, model in every.items()),
        POINTS,
    )


def both_ends_claim(results: Sequence[ModelResult]) -> Claim:
    """Claim that reading from both ends is better, also with no more parameters."""
    end = by_cell(results, END)
    pairs = [
        (cell, result)
        for way in (BOTH, SMALL)
        for cell, result in by_cell(results, way).items()
    ]
    judgment = judge([gain(result, end[cell]) for cell, result in pairs])
    return judgment.claim(
        "Reading from both ends classifies better than reading forward",
        "Accuracy in both directions minus accuracy forward, in percentage points.",
        (f"{cell}, {_sizes(result, end[cell])}" for cell, result in pairs),
        POINTS,
    )


def _sizes(model: ModelResult, reference: ModelResult) -> str:
    """Parameters of two models of one cell, as text."""
    return f"{model.parameters:,} parameters against {reference.parameters:,}"
