"""The figures, the table and the verdicts of telling sequences from one vector."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments import report
from experiments.verdicts import Interval, Verdict, interval, positive, together

END, BOTH, SMALL, ALL = WAYS = (
    "last output",
    "both ends",
    "both ends, small",
    "all outputs",
)
INPUTS = "all inputs"  # what the linear model tells from
MARKERS: dict[str, str] = dict(zip(WAYS, "osdv", strict=True))
LINEAR = "linear"  # stands where the others have the name of their cell
MARGIN = 1.0  # percentage points that all outputs may tell more, and be no better
DATA = {"digits": "Handwritten digits", "mnist1d": "MNIST-1D"}
# %, from the last output of PyTorch's cells, on the same halves.
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
        return DIGITS[order].get(cell) if way == END else None
    if cell == LINEAR:
        return MNIST1D_LINEAR
    published = ("gru", ALL, 6, True)
    return MNIST1D_GRU if (cell, way, features, bidirectional) == published else None


def table(reads: Sequence[Read], majority: float) -> report.Table:
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
                report.mean_and_deviation(100 * one.accuracy, "{:.1f}"),
                interval(100 * one.accuracy).text("{:.1f}"),
                "-" if one.known is None else f"{one.known:.1f}",
                f"{one.milliseconds:.1f}",
            ]
        )
    return report.Table(header, rows)


def of(reads: Sequence[Read], way: str) -> dict[str, Read]:
    """The models that tell from these outputs, by the names of their cells."""
    return {one.cell: one for one in reads if one.way == way}


def linear(reads: Sequence[Read]) -> Read:
    """The linear model."""
    return next(one for one in reads if one.cell == LINEAR)


def more(one: Read, other: Read) -> Interval:
    """By how many points one is more accurate than the other, from seed to seed."""
    return interval(100 * (one.accuracy - other.accuracy))


def verdicts(reads: Sequence[Read], majority: float) -> list[Verdict]:
    """Many to one; recurrent or linear; one output or all; from both ends or one."""
    end, base = of(reads, END), linear(reads)
    chance = {
        cell: interval(100 * (one.accuracy - majority)) for cell, one in end.items()
    }
    found = [
        Verdict(
            "Many to one: a recurrent net tells a sequence's class from its last "
            "output alone",
            _together(chance.values()),
            "Accuracy above that of the most frequent class, in points: "
            f"{_numbers(chance)}.",
        )
    ]
    gains = {cell: more(one, base) for cell, one in end.items()}
    mean = 100 * base.accuracy.mean()
    found.append(
        Verdict(
            "The last output tells more than a linear model that sees the whole "
            "sequence at once",
            _together(gains.values()),
            f"Accuracy above that of the linear model ({mean:.1f} %), in points: "
            f"{_numbers(gains)}.",
        )
    )
    return [*found, enough(reads), *([both_ends(reads)] if of(reads, BOTH) else [])]


def enough(reads: Sequence[Read]) -> Verdict:
    """Whether all outputs tell no more than the last, by the margin."""
    last = of(reads, BOTH) or of(reads, END)
    lost = {cell: more(one, last[cell]) for cell, one in of(reads, ALL).items()}
    return Verdict(
        f"One vector at the end is enough: the outputs of all steps tell no more than "
        f"{MARGIN:g} percentage point more",
        _together(
            Interval(MARGIN - gain.mean, MARGIN - gain.high, MARGIN - gain.low)
            for gain in lost.values()
        ),
        f"All outputs minus the last, in points: {_numbers(lost)}.",
    )


def both_ends(reads: Sequence[Read]) -> Verdict:
    """Whether reading both ways tells more, with no more parameters too."""
    end, gains, sizes = of(reads, END), {}, []
    for way, label in ((BOTH, "as many units a direction"), (SMALL, "small")):
        for cell, one in of(reads, way).items():
            gains[f"{cell}, {label}"] = more(one, end[cell])
            if way == SMALL:
                sizes.append(f"{one.parameters:,} against {end[cell].parameters:,}")
    return Verdict(
        "Reading from both ends tells more than reading forward",
        _together(gains.values()),
        f"Both minus forward, in points: {_numbers(gains)} (parameters of the small "
        f"ones: {', '.join(sizes)}).",
    )


def _together(gains: Iterable[Interval]) -> str:
    return together([positive(gain) for gain in gains])


def _numbers(gains: dict[str, Interval]) -> str:
    return ", ".join(f"{what} {gain.text('{:+.1f}')}" for what, gain in gains.items())


def title(reads: Sequence[Read]) -> str:
    """The finding, if it holds for every seed."""
    end, base = of(reads, END), linear(reads)
    means = ", ".join(f"{c} {100 * one.accuracy.mean():.0f}" for c, one in end.items())
    numbers = f"{means}; linear {100 * base.accuracy.mean():.0f} %"
    above = [c for c, one in end.items() if (one.accuracy > base.accuracy).all()]
    below = [c for c, one in end.items() if (one.accuracy < base.accuracy).all()]
    if len(below) == len(end):
        return f"The last output tells less than a linear model of it all: {numbers}"
    if not above:
        who = "In each cell some seed"
        return f"{who} tells no more than a linear model of it all: {numbers}"
    if len(above) < len(end):
        who = f"Only the last output of {' and '.join(above)}"
    else:
        who = "The last output"
    return f"{who} tells more than a linear model of it all: {numbers}"


def draw(reads: Sequence[Read], majority: float, caption: str) -> Figure:
    """Accuracy against the training step; in the end, by what it is told from.

    Args:
        reads: What was found.
        majority: The accuracy of the most frequent class.
        caption: What was done, so that the figure can stand alone.

    Returns:
        The figure.
    """
    end, base = of(reads, END), linear(reads)
    figure = Figure(figsize=(11, 5), dpi=110, layout="constrained")
    figure.suptitle(title(reads), fontweight="bold", fontsize=12)
    left, right = figure.subplots(1, 2)
    for cell, one in end.items():
        _curve(left, one, cell, list(end).index(cell))
    _curve(left, base, "linear, of all inputs", None)
    left.axhline(
        100 * majority, color="0.4", linestyle=":", label="most frequent class"
    )
    left.set(xlabel="training step", ylabel="held-out accuracy, %", ylim=(0, 100))
    left.set_xlim(0, base.steps[-1])
    left.legend(loc="lower right")
    _ends(right, reads)
    for axis in (left, right):
        axis.grid(alpha=0.3)
    report.caption(figure, caption)
    return figure


def _curve(axis: Axes, one: Read, label: str, place: int | None) -> None:
    """Mean and range of the seeds; of the linear model, which has no place, grey."""
    colour, style = ("0.4", "--") if place is None else _look(place)
    values = 100 * one.curve
    axis.plot(one.steps, values.mean(axis=0), style, color=colour, label=label)
    low, high = values.min(axis=0), values.max(axis=0)
    axis.fill_between(one.steps, low, high, color=colour, alpha=0.2, linewidth=0)


def _look(place: int) -> tuple[str, str]:
    count = len(report.COLOURS)
    return report.COLOURS[place % count], report.STYLES[place // count % 4]


def _ends(axis: Axes, reads: Sequence[Read]) -> None:
    """Accuracy in the end, a line a cell, a marker a way of reading."""
    names = [*of(reads, END), LINEAR]
    ways = [way for way in WAYS if of(reads, way)]
    for one in reads:
        place, plain = names.index(one.cell), one.cell == LINEAR
        shift = 0.0 if plain else 0.18 * (ways.index(one.way) - (len(ways) - 1) / 2)
        mean, low, high = interval(100 * one.accuracy)
        reach = [[mean - low], [high - mean]] if np.isfinite(low) else None
        colour = "0.4" if plain else _look(place)[0]
        marker = "P" if plain else MARKERS[one.way]
        y = [place + shift]
        axis.errorbar([mean], y, xerr=reach, fmt=marker, color=colour, capsize=3)
        if one.known is not None:
            axis.plot([one.known], y, marker, color=colour, mfc="white")
    axis.axvline(100 * linear(reads).accuracy.mean(), color="0.4", linestyle="--", lw=1)
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.set_xlabel("held-out accuracy after training, %")
    marks = [Line2D([], [], color="0.2", marker=MARKERS[way], ls="") for way in ways]
    if any(one.known is not None for one in reads):
        marks.append(Line2D([], [], color="0.2", marker="o", mfc="white", ls=""))
    axis.legend(marks, [*ways, "elsewhere"][: len(marks)], title="told from")


def draw_confusions(reads: Sequence[Read], seen: str) -> Figure:
    """Which class is taken for which, a panel a cell.

    Args:
        reads: What was found.
        seen: What the models were asked, in a few words.

    Returns:
        The figure.
    """
    end = of(reads, END)
    figure = Figure(figsize=(3.7 * len(end) + 1.4, 4.7), dpi=110, layout="constrained")
    figure.suptitle(confused(reads), fontweight="bold", fontsize=11)
    axes = figure.subplots(1, len(end), sharey=True, squeeze=False)[0]
    shares = {cell: mistakes(one) for cell, one in end.items()}
    most = max(max(share.max() for share in shares.values()), 1e-9)
    scale = ScalarMappable(Normalize(0, most), "Blues")
    for axis, (cell, share) in zip(axes, shares.items(), strict=True):
        axis.imshow(share, cmap=scale.cmap, norm=scale.norm)
        axis.set(title=cell, xlabel="taken for", xticks=range(len(share)))
        axis.set_yticks(range(len(share)))
    axes[0].set_ylabel("digit")
    figure.colorbar(scale, ax=list(axes), label="share of the digit, %")
    report.caption(figure, f"{seen}, told from the last output; mean over seeds.")
    return figure


def mistakes(one: Read) -> Float[np.ndarray, "classes classes"]:
    """Of each class, how many % are taken for each other, mean over seeds."""
    counts = one.confusion.sum(axis=0)
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    np.fill_diagonal(shares, 0)
    return shares


def confused(reads: Sequence[Read]) -> str:
    """Which two classes are mistaken most often, over the cells."""
    shares = np.mean([mistakes(one) for one in of(reads, END).values()], axis=0)
    digit, taken = np.unravel_index(shares.argmax(), shares.shape)
    return (
        f"The commonest mistake, over all cells: {shares.max():.0f} % of the {digit}s "
        f"are taken for {taken}"
    )
