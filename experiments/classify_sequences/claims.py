"""The table and the claims of telling sequences from one vector."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

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

END, BOTH, SMALL, ALL = WAYS = (
    "last output",
    "both ends",
    "both ends, small",
    "all outputs",
)
INPUTS = "all inputs"  # what the linear model tells from
LINEAR = "linear"  # stands where the others have the name of their cell
POINTS = "{:+.1f}"
MARGIN = 1.0  # percentage points that all outputs may tell more, and be no better
UNITS = 64  # that the cells have of which numbers are known
# %, from the last output of PyTorch's cells with as many, on the same halves.
DIGITS = {
    "rows": {"elman": 92.2, "lstm": 89.5, "gru": 91.8},
    "pixels": {"elman": 77.8, "lstm": 78.6, "gru": 88.5},
}
# %, as published; the GRU reads both ways, has 6 units, and tells from all outputs.
MNIST1D_LINEAR, MNIST1D_GRU = 32.0, 91.0


class Read(NamedTuple):
    """What a model tells of sequences that it has not seen.

    Attributes:
        cell: Its name, or `LINEAR`.
        way: What it tells from: one of `WAYS`, or `INPUTS`.
        features: Hidden units of each direction; 0 of the linear model.
        bidirectional: Whether it reads from both ends.
        parameters: How many.
        accuracy: After training, a share, [seeds].
        steps: Training steps at which it was looked at.
        curve: Its accuracy at these, [seeds, looks].
        confusion: How many of a class (a row) are taken for which, for every seed.
        milliseconds: A training step of all seeds takes.
        known: The accuracy that the same has elsewhere, in %, or None.
    """

    cell: str
    way: str
    features: int
    bidirectional: bool
    parameters: int
    accuracy: Float[np.ndarray, " seeds"]
    steps: Int[np.ndarray, " looks"]
    curve: Float[np.ndarray, "seeds looks"]
    confusion: Int[np.ndarray, "seeds classes classes"]
    milliseconds: float
    known: float | None

    @property
    def name(self) -> str:
        """Such as "gru, last output"."""
        return f"{self.cell}, {self.way}"


def known(
    data: str, order: str, cell: str, way: str, features: int, bidirectional: bool
) -> float | None:
    """The accuracy that a model has elsewhere, in %, or None.

    Example:
        >>> known("digits", "rows", "gru", END, 64, False)
        91.8
    """
    if data == "digits":
        same = (way, features, bidirectional) == (END, UNITS, False)
        return DIGITS[order].get(cell) if same else None
    if cell == LINEAR:
        return MNIST1D_LINEAR
    published = ("gru", ALL, 6, True)
    return MNIST1D_GRU if (cell, way, features, bidirectional) == published else None


def table(reads: Sequence[Read], majority: float) -> tables.Table:
    """What was found, a line a model; first what needs no reading."""
    header = ["model, told from", "units", "parameters", "accuracy, %"]
    header += ["mean [95 % interval]", "elsewhere, %", "ms/step, all seeds"]
    rows = [["most frequent class", "-", "0", f"{100 * majority:.1f}", "-", "-", "-"]]
    for one in reads:
        units = f"{1 + one.bidirectional} x {one.features}" if one.features else "-"
        rows.append(
            [
                one.name,
                units,
                f"{one.parameters:,}",
                tables.mean_and_deviation(100 * one.accuracy, "{:.1f}"),
                interval(100 * one.accuracy).text("{:.1f}"),
                "-" if one.known is None else f"{one.known:.1f}",
                f"{one.milliseconds:.1f}",
            ]
        )
    return tables.Table(header, rows)


def of(reads: Sequence[Read], way: str) -> dict[str, Read]:
    """The models that tell from these outputs, by the names of their cells."""
    return {one.cell: one for one in reads if one.way == way}


def linear(reads: Sequence[Read]) -> Read:
    """The linear model."""
    return next(one for one in reads if one.cell == LINEAR)


def gain(one: Read, other: Read) -> Float[np.ndarray, " seeds"]:
    """By how many points one is more accurate than the other, seed by seed."""
    return 100 * (one.accuracy - other.accuracy)


def against_linear(reads: Sequence[Read]) -> Judgment:
    """Of each cell, whether its last output tells more than the linear model."""
    base = linear(reads)
    return judge([gain(one, base) for one in of(reads, END).values()])


def evaluate_claims(reads: Sequence[Read], majority: float) -> list[Claim]:
    """Many to one; recurrent or linear; one output or all; from both ends or one."""
    end = of(reads, END)
    chance = judge([100 * (one.accuracy - majority) for one in end.values()])
    found = [
        chance.claim(
            "Many to one: a recurrent net tells a sequence's class from its last "
            "output alone",
            "Accuracy above that of the most frequent class, in points: "
            f"{chance.text(end, POINTS)}.",
        )
    ]
    gains, mean = against_linear(reads), 100 * linear(reads).accuracy.mean()
    found.append(
        gains.claim(
            "The last output tells more than a linear model that sees the whole "
            "sequence at once",
            f"Accuracy above that of the linear model ({mean:.1f} %), in points: "
            f"{gains.text(end, POINTS)}.",
        )
    )
    return [*found, enough(reads), *([both_ends(reads)] if of(reads, BOTH) else [])]


def answer(reads: Sequence[Read]) -> str:
    """Whether one vector at the end is enough, in one sentence."""
    return {
        SUPPORTED: "Yes: the last output classifies a sequence as well as the outputs "
        "of all steps.",
        PARTLY_SUPPORTED: "For some cells: their last output classifies a sequence as "
        "well as the outputs of all steps.",
        INCONCLUSIVE: "The seeds do not decide whether the last output classifies a "
        "sequence as well as the outputs of all steps.",
        REFUTED: "No: for no cell does the last output classify a sequence as well as "
        "the outputs of all steps.",
    }[enough(reads).outcome]


def enough(reads: Sequence[Read]) -> Claim:
    """Whether all outputs tell no more than the last, by the margin."""
    last, every = of(reads, BOTH) or of(reads, END), of(reads, ALL)
    found = judge(
        [gain(last[cell], one) for cell, one in every.items()],
        partial(positive, threshold=-MARGIN),
    )
    return found.claim(
        f"One vector at the end is enough: the outputs of all steps tell no more than "
        f"{MARGIN:g} percentage point more",
        f"The last minus all outputs, in points: {found.text(every, POINTS)} "
        f"(parameters of the latter, as their last layer is larger: "
        f"{_sizes(every, last)}).",
    )


def both_ends(reads: Sequence[Read]) -> Claim:
    """Whether reading both ways tells more, with no more parameters too."""
    end, gains = of(reads, END), {}
    for way, label in ((BOTH, "as many units a direction"), (SMALL, "small")):
        for cell, one in of(reads, way).items():
            gains[f"{cell}, {label}"] = gain(one, end[cell])
    found = judge(list(gains.values()))
    return found.claim(
        "Reading from both ends tells more than reading forward",
        f"Both minus forward, in points: {found.text(gains, POINTS)} (parameters of "
        f"the small ones: {_sizes(of(reads, SMALL), end)}).",
    )


def _sizes(some: dict[str, Read], others: dict[str, Read]) -> str:
    """The parameters of some, cell by cell, against those of others."""
    return ", ".join(
        f"{cell} {one.parameters:,} against {others[cell].parameters:,}"
        for cell, one in some.items()
    )


def mistakes(one: Read) -> Float[np.ndarray, "classes classes"]:
    """Of each class, how many % are taken for each other, mean over seeds."""
    counts = one.confusion.sum(axis=0)
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    np.fill_diagonal(shares, 0)
    return shares
