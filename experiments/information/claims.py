"""The claims, the findings and the table on the information in states."""

import itertools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from experiments.harness import tables
from experiments.harness.claims import (
    INCONCLUSIVE,
    PARTLY_SUPPORTED,
    REFUTED,
    SUPPORTED,
    Case,
    Claim,
    claim_of_cases,
    combine_outcomes,
    judge,
)
from experiments.harness.intervals import interval
from experiments.information.measure import (
    BACKWARD,
    BOTH,
    FORWARD,
    TRAINED,
    UNTRAINED,
    WAYS,
    InformationResult,
)

EVEN = 0.1  # a curve with at most this spread counts as even: chosen beforehand


def spread(curve: Float[np.ndarray, "*seeds time"]) -> Float[np.ndarray, " *seeds"]:
    """How uneven a curve is: (max - min) / max, 0 if it is flat.

    Example:
        >>> spread(np.array([[1.0, 2.0, 1.5], [3.0, 3.0, 3.0]])).tolist()
        [0.5, 0.0]
    """
    most = curve.max(axis=-1)
    return (most - curve.min(axis=-1)) / np.where(most > 0, most, 1)


def rise(curve: Float[np.ndarray, "*seeds time"]) -> Float[np.ndarray, " *seeds"]:
    """Last value of a curve minus its first.

    Example:
        >>> rise(np.array([[1.0, 5.0, 3.0]])).tolist()
        [2.0]
    """
    return curve[..., -1] - curve[..., 0]


def last(curve: Float[np.ndarray, "*seeds time"]) -> Float[np.ndarray, " *seeds"]:
    """Last value of a curve minus the maximum of all values before.

    Example:
        >>> last(np.array([[1.0, 5.0, 3.0], [1.0, 2.0, 3.0]])).tolist()
        [-2.0, 1.0]
    """
    return curve[..., -1] - curve[..., :-1].max(axis=-1)


ANSWERS = {  # by the outcome of both `later` claims
    SUPPORTED: "A state contains more information on the digit the more it has read, "
    "in both directions.",
    PARTLY_SUPPORTED: "Only in part does a state contain more information on the digit "
    "the more it has read.",
    INCONCLUSIVE: "The seeds do not decide whether a state contains more information "
    "the more it has read.",
    REFUTED: "A state does not contain more information on the digit the more it has "
    "read.",
}


def answer(claims: Sequence[Claim], unit: str = "image") -> str:
    """The answer to the question of the experiment, from `evaluate_claims`."""
    text = ANSWERS[combine_outcomes([claim.outcome for claim in claims[:2]])]
    return text if unit == "image" else text.replace("digit", "label")


def evaluate_claims(
    results: dict[str, InformationResult], unit: str = "image"
) -> list[Claim]:
    """Claims that textbooks make about bidirectional networks, of an image or unit."""
    trained = results[TRAINED]
    claims = [later(trained, way) for way in (FORWARD, BACKWARD)]
    claims += [even(trained), more_even(results)]
    return [
        claim._replace(evidence=claim.evidence.replace("image", unit))
        for claim in claims
    ]


def of_way(curves: Float[np.ndarray, "seeds ways time"], way: str) -> np.ndarray:
    """The curves of one way of reading, [seeds, time]."""
    return curves[:, WAYS.index(way)]


def later(result: InformationResult, way: str) -> Claim:
    """The claim that a state contains more information the more it has read."""

    def as_read(curves):
        curve = of_way(curves, way)
        return curve if way == FORWARD else curve[:, ::-1]

    curves = as_read(result.bits), as_read(100 * result.image)
    judgment = judge([part(curve) for curve in curves for part in (rise, last)])
    units = ("bits of the label", "{:+.2f}"), ("% of the image's variance", "{:+.0f}")
    ends = "since the first step read", "since the best step before"
    cases = [
        Case(f"{unit}, {end}", gain.text(form), outcome)
        for ((unit, form), end), gain, outcome in zip(
            itertools.product(units, ends),
            judgment.intervals,
            judgment.outcomes,
            strict=True,
        )
    ]
    when = "later" if way == FORWARD else "earlier"
    return claim_of_cases(
        f"Read {way}, a state contains more information at {when} steps, and most when "
        "it has read all",
        "Gain in information by the time that all steps are read.",
        cases,
    )


def even(result: InformationResult) -> Claim:
    """The claim that both states together are equally informative at every step."""
    curves = {"label": result.bits, "image": result.image}
    judgment = judge([EVEN - spread(of_way(curve, BOTH)) for curve in curves.values()])
    cases = [
        Case(f"{name}, in %", spreads(curve), outcome)
        for (name, curve), outcome in zip(
            curves.items(), judgment.outcomes, strict=True
        )
    ]
    return claim_of_cases(
        "Both states together are equally informative at every step, to "
        f"{100 * EVEN:.0f} %",
        "Spread of the information over the steps, (max - min) / max.",
        cases,
    )


def more_even(results: dict[str, InformationResult]) -> Claim:
    """The claim that with both directions, the loss depends more evenly on the inputs.

    It is judged before and after training, on the norms of the gradients, not on their
    logarithms.
    """
    norms = {when: np.exp(results[when].by_input) for when in (UNTRAINED, TRAINED)}
    gains = {
        f"{when}, {way} minus both": 100
        * (spread(of_way(curves, way)) - spread(of_way(curves, BOTH)))
        for when, curves in norms.items()
        for way in (FORWARD, BACKWARD)
    }
    return judge(list(gains.values())).claim(
        "With both directions, the loss depends more evenly on the inputs than with "
        "one",
        "Spread of the norm of dL/dx_t over the steps, (max - min) / max, in percent.",
        gains,
        "{:+.0f}",
    )


def spreads(curves: Float[np.ndarray, "seeds ways time"]) -> str:
    """The spread of every way of reading, in %.

    Example:
        >>> spreads(np.ones((1, 3, 2)) * np.array([1.0, 2.0])[None, None])
        'both 50, forward 50, backward 50'
    """
    return ", ".join(
        f"{way} {interval(100 * spread(of_way(curves, way))).text('{:.0f}')}"
        for way in (BOTH, FORWARD, BACKWARD)
    )


def findings(
    results: dict[str, InformationResult], classes: int = 10, unit: str = "image"
) -> list[str]:
    """Findings on training, on forgetting, and on the least informative step."""
    trained = results[TRAINED]
    texts = [learned(results), forgotten(trained), least(trained, classes)]
    return [text.replace("image", unit) for text in texts]


def learned(results: dict[str, InformationResult]) -> str:
    """Change of the information in the final states by training."""
    old, new = results[UNTRAINED], results[TRAINED]
    label = interval(at_ends(new.bits) - at_ends(old.bits))
    image = interval(100 * (at_ends(new.image) - at_ends(old.image)))
    return (
        "Training changes the information in a state that has read all by "
        f"{label.text('{:+.2f}')} bits of the label, and by {image.text('{:+.0f}')} % "
        "of the image's variance."
    )


def forgotten(result: InformationResult) -> str:
    """Information on the image that a trained state has lost since its best step."""
    best = (
        of_way(result.image, FORWARD).max(axis=1),
        of_way(result.image, BACKWARD).max(axis=1),
    )
    lost = interval(100 * (sum(best) / 2 - at_ends(result.image)))
    return (
        "After training, a state that has read all contains "
        f"{lost.text('{:.0f}')} % of the image's variance less than at its best step."
    )


def at_ends(curves: Float[np.ndarray, "seeds ways time"]) -> np.ndarray:
    """Value of each direction after its last step, the mean of the two, [seeds]."""
    return (of_way(curves, FORWARD)[:, -1] + of_way(curves, BACKWARD)[:, 0]) / 2


def least(result: InformationResult, classes: int) -> str:
    """Information of both states on the label, at the worst and the best step."""
    both = of_way(result.bits, BOTH)
    low, high = interval(both.min(axis=1)), interval(both.max(axis=1))
    return (
        f"Both states together contain {low.text()} bits of the label at the worst "
        f"step and {high.text()} at the best, of {np.log2(classes):.2f} in all."
    )


def table(results: dict[str, InformationResult], unit: str = "image") -> tables.Table:
    """Information at both ends and its spread, one row per way of reading."""
    header = [
        "states of",
        "bits of the label, first step",
        "last step",
        "spread, %",
        "probe accuracy, first step, %",
        "last step, %",
        f"{unit}'s variance, first step, %",
        "last step, %",
        "spread, %",
        "dL/ds, spread, %",
        "dL/dx, spread, %",
    ]
    rows = []
    for when in (TRAINED, UNTRAINED):
        result = results[when]
        for way in WAYS:
            bits, right, image = (
                of_way(curves, way)
                for curves in (result.bits, result.right, result.image)
            )
            gradients = (
                np.exp(of_way(c, way)) for c in (result.by_state, result.by_input)
            )
            cells = [
                (bits[:, 0], "{:.2f}"),
                (bits[:, -1], "{:.2f}"),
                (100 * spread(bits), "{:.0f}"),
                (100 * right[:, 0], "{:.0f}"),
                (100 * right[:, -1], "{:.0f}"),
                (100 * image[:, 0], "{:.0f}"),
                (100 * image[:, -1], "{:.0f}"),
                (100 * spread(image), "{:.0f}"),
                *((100 * spread(norms), "{:.0f}") for norms in gradients),
            ]
            row = [tables.mean_and_deviation(*cell) for cell in cells]
            rows.append([f"{way}, {when}", *row])
    return tables.Table(header, rows)
