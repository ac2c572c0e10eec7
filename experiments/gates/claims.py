"""The table and the claims of an LSTM's clamped forget gate."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from experiments.harness import tables
from experiments.harness.claims import SUPPORTED, Claim, judge, positive, within
from experiments.harness.intervals import Interval, interval

LEARNT = "learnt"
TIMES = "untrained", "trained"
ALONG, WHOLE = 0.01, 0.2  # of what is predicted, that a decay may be off
MARGIN = 1.0  # percentage points


class Clamped(NamedTuple):
    """What was found of an LSTM.

    Attributes:
        name: Of its forget gate.
        bias: b of a gate clamped at sigmoid(b); None for one that is learnt.
        accuracy: On held-out digits, [seeds].
        before: Decay of the whole gradient before training, nats a step, [seeds].
        after: The same after training.
        highway_before: Along the cell state alone, before training.
        highway_after: The same after training.
    """

    name: str
    bias: float | None
    accuracy: Float[np.ndarray, " seeds"]
    before: Float[np.ndarray, " seeds"]
    after: Float[np.ndarray, " seeds"]
    highway_before: Float[np.ndarray, " seeds"]
    highway_after: Float[np.ndarray, " seeds"]

    @property
    def predicted(self) -> float | None:
        """-ln sigmoid(b), nats a step."""
        return None if self.bias is None else float(np.log1p(np.exp(-self.bias)))


def table(found: Sequence[Clamped]) -> tables.Table:
    """What was found, a line an LSTM."""
    header = [
        "forget gate",
        "test accuracy, %",
        "-ln sigmoid(b), nats/step",
        "decay along c, before",
        "along c, after",
        "whole gradient, before",
        "whole, after",
        "half-life along c, after, steps",
    ]
    rows = []
    for one in found:
        known = "-" if one.predicted is None else f"{one.predicted:.4f}"
        decays = one.highway_before, one.highway_after, one.before, one.after
        rows.append(
            [
                one.name,
                tables.mean_and_deviation(100 * one.accuracy, "{:.1f}"),
                known,
                *(tables.mean_and_deviation(values, "{:+.4f}") for values in decays),
                f"{np.log(2) / one.highway_after.mean():.3g}",
            ]
        )
    return tables.Table(header, rows)


def evaluate_claims(found: Sequence[Clamped]) -> list[Claim]:
    """On how far the gradient reaches, and on what is learnt."""
    return [along(found), whole(found), further(found), *learns(found)]


def off(found: Sequence[Clamped], *fields: str) -> list[Float[np.ndarray, " seeds"]]:
    """By how much of it each decay is off what is predicted, where it is clamped."""
    return [
        getattr(one, field) / one.predicted - 1
        for one in found
        if one.predicted is not None
        for field in fields
    ]


def along(found: Sequence[Clamped]) -> Claim:
    """Whether the gradient along c decays as the clamped gate says."""
    cases = off(found, "highway_before", "highway_after")
    most = max(np.abs(values).max() for values in cases)
    return judge(cases, partial(within, tolerance=ALONG)).claim(
        "With the forget gate clamped the gradient along the cell state decays as "
        "sigmoid(b)^T",
        f"Off by {most:.1e} of it at most, whatever b, before training and after. That "
        "must be so, as f is all that stands between c and c: it says that the "
        "instruments are right.",
    )


def whole(found: Sequence[Clamped]) -> Claim:
    """Whether the gradient by all ways does so too."""
    judged = judge(off(found, "before", "after"), partial(within, tolerance=WHOLE))
    texts = (
        Interval(*(100 * value for value in one)).text("{:+.0f}")
        for one in judged.intervals
    )
    numbers = "; ".join(
        f"{one.name}: {one.predicted:.4f} predicted, off by {next(texts)} and "
        f"{next(texts)} %"
        for one in found
        if one.predicted is not None
    )
    return judged.claim(
        "So does the gradient as a whole, which comes through the recurrent weights "
        f"too, to {WHOLE:.0%}",
        f"Nats a step, before and after training: {numbers}.",
    )


def further(found: Sequence[Clamped]) -> Claim:
    """Whether the way through the weights lets the gradient reach further."""
    names = [
        f"{one.name} {time}"
        for one in found
        if one.predicted is not None
        for time in TIMES
    ]
    judged = judge([-values for values in off(found, "before", "after")])
    so = [
        n for n, part in zip(names, judged.outcomes, strict=True) if part == SUPPORTED
    ]
    return judged.claim(
        "Through the weights it reaches further than sigmoid(b)^T says",
        f"So with {', '.join(so)}." if so else "So with no b.",
    )


def learns(found: Sequence[Clamped]) -> list[Claim]:
    """Whether an open gate is worth more than a shut one, and a learnt one most."""
    known = sorted((one for one in found if one.bias is not None), key=bias_of)
    learnt = next(one for one in found if one.bias is None)
    shut, opened = known[0], known[-1]
    best = max(known, key=lambda one: one.accuracy.mean())
    said = []
    if len(known) > 1:
        gain = interval(100 * (opened.accuracy - shut.accuracy))
        said.append(
            Claim(
                "An LSTM learns more with its forget gate open than shut",
                positive(gain),
                f"Test accuracy at {opened.name} minus {shut.name}: "
                f"{gain.text('{:+.1f}')} points.",
            )
        )
    lead = interval(100 * (learnt.accuracy - best.accuracy))
    said.append(
        Claim(
            "A forget gate that is learnt is no worse than the best that is clamped, "
            f"but for {MARGIN:g} point",
            positive(lead, -MARGIN),
            f"Learnt minus {best.name}: {lead.text('{:+.1f}')} points.",
        )
    )
    return said


def bias_of(one: Clamped) -> float:
    """b, to sort by; 0 if the gate is learnt."""
    return 0.0 if one.bias is None else one.bias
