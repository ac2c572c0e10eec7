"""The answer, the table and the claims of an LSTM's clamped forget gate."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from jaxtyping import Float

from experiments.gates.measure import ForgetGateResult
from experiments.harness import tables
from experiments.harness.claims import (
    INCONCLUSIVE,
    PARTLY_SUPPORTED,
    REFUTED,
    SUPPORTED,
    Claim,
    judge,
    positive,
    within,
)

TIMES = "untrained", "trained"
# Tolerances of a decay rate, as a share of the predicted rate.
HIGHWAY_TOLERANCE, WHOLE_TOLERANCE = 0.01, 0.2
MARGIN = 1.0  # percentage points

ANSWERS = {  # by the outcome of the claim on the whole gradient
    SUPPORTED: "The whole gradient decays as the forget gate predicts, as does the "
    "gradient along the cell state.",
    PARTLY_SUPPORTED: "The whole gradient decays as the forget gate predicts in some "
    "cases only.",
    INCONCLUSIVE: "The seeds do not decide whether the whole gradient decays as the "
    "forget gate predicts.",
    REFUTED: "The forget gate does not predict how fast the whole gradient decays.",
}


def answer(claims: Sequence[Claim]) -> str:
    """The answer to the question of the experiment, from its claims."""
    highway, whole, *_ = claims
    if highway.outcome != SUPPORTED and whole.outcome == SUPPORTED:
        return "The whole gradient decays as the forget gate predicts."
    return ANSWERS[whole.outcome]


def table(results: Sequence[ForgetGateResult], score: str = "accuracy") -> tables.Table:
    """Accuracies and decay rates, one row per LSTM."""
    header = [
        "forget gate",
        f"test {score}, %",
        "-ln sigmoid(b), nats/step",
        "decay along c, before",
        "along c, after",
        "whole gradient, before",
        "whole, after",
        "half-life along c, after, steps",
    ]
    rows = []
    for result in results:
        predicted = "-" if result.predicted is None else f"{result.predicted:.4f}"
        decays = (
            result.highway_before,
            result.highway_after,
            result.before,
            result.after,
        )
        rows.append(
            [
                result.name,
                tables.mean_and_deviation(100 * result.accuracy, "{:.1f}"),
                predicted,
                *(tables.mean_and_deviation(values, "{:+.4f}") for values in decays),
                f"{np.log(2) / result.highway_after.mean():.3g}",
            ]
        )
    return tables.Table(header, rows)


def evaluate_claims(
    results: Sequence[ForgetGateResult], score: str = "accuracy"
) -> list[Claim]:
    """Evaluate the claims on the decay of gradients and on accuracy."""
    return [
        highway_claim(results),
        whole_gradient_claim(results),
        slower_decay_claim(results),
        *accuracy_claims(results, score),
    ]


def relative_errors(
    results: Sequence[ForgetGateResult], *fields: str
) -> list[Float[np.ndarray, " seeds"]]:
    """Relative error of -ln sigmoid(b), for every clamped gate and every field."""
    return [
        getattr(result, field) / result.predicted - 1
        for result in results
        if result.predicted is not None
        for field in fields
    ]


def highway_claim(results: Sequence[ForgetGateResult]) -> Claim:
    """Claim that the gradient along the cell state decays as sigmoid(b)^T."""
    cases = relative_errors(results, "highway_before", "highway_after")
    largest = max(np.abs(values).max() for values in cases)
    return judge(cases, partial(within, tolerance=HIGHWAY_TOLERANCE)).claim(
        "With the forget gate clamped, the gradient along the cell state decays as "
        "sigmoid(b)^T",
        f"The largest relative error of the decay rate is {largest:.1e}. This must "
        "hold, because f is the only factor between successive cell states: it "
        "validates the instruments.",
        case_names(results),
        "{:+.1e}",
    )


def whole_gradient_claim(results: Sequence[ForgetGateResult]) -> Claim:
    """Claim that the whole gradient decays as sigmoid(b)^T."""
    cases = relative_errors(results, "before", "after")
    return judge(
        [100 * values for values in cases],
        partial(within, tolerance=100 * WHOLE_TOLERANCE),
    ).claim(
        "The whole gradient, which also flows through the recurrent weights, decays as "
        f"sigmoid(b)^T too, to within {WHOLE_TOLERANCE:.0%} of the decay rate",
        "Relative error of the predicted decay rate, in percent.",
        case_names(results),
        "{:+.0f}",
    )


def slower_decay_claim(results: Sequence[ForgetGateResult]) -> Claim:
    """Claim that the whole gradient decays more slowly than sigmoid(b)^T."""
    cases = relative_errors(results, "before", "after")
    return judge([-100 * values for values in cases]).claim(
        "Through the recurrent weights the gradient reaches further back than "
        "sigmoid(b)^T predicts",
        "Percent by which the decay rate is below the predicted one.",
        case_names(results),
        "{:+.0f}",
    )


def case_names(results: Sequence[ForgetGateResult]) -> list[str]:
    """Names of the cases of `relative_errors`: each clamped gate at both times."""
    return [
        f"{result.name} {time}"
        for result in results
        if result.predicted is not None
        for time in TIMES
    ]


def accuracy_claims(
    results: Sequence[ForgetGateResult], score: str = "accuracy"
) -> list[Claim]:
    """Claims that an open gate is better than a closed one, and a learned gate best."""
    clamped = sorted((r for r in results if r.bias is not None), key=bias_of)
    learned = next(result for result in results if result.bias is None)
    lowest, highest = clamped[0], clamped[-1]
    best = max(clamped, key=lambda result: result.accuracy.mean())
    claims = []
    if len(clamped) > 1:
        claims.append(
            judge([100 * (highest.accuracy - lowest.accuracy)]).claim(
                "An LSTM is more accurate with its forget gate clamped open than "
                "clamped closed",
                f"Difference of the test {score}, in percentage points.",
                [f"{highest.name} minus {lowest.name}"],
                "{:+.1f}",
            )
        )
    claims.append(
        judge(
            [100 * (learned.accuracy - best.accuracy)],
            partial(positive, threshold=-MARGIN),
        ).claim(
            "A learned forget gate is no worse than the best clamped gate, within "
            f"{MARGIN:g} percentage point of {score}",
            f"Difference of the test {score}, in percentage points.",
            [f"learned minus {best.name}"],
            "{:+.1f}",
        )
    )
    return claims


def bias_of(result: ForgetGateResult) -> float:
    """b, to sort results; 0 for a learned gate."""
    return 0.0 if result.bias is None else result.bias
