"""The figures of telling sequences from one vector."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.classify_sequences.claims import (
    END,
    LINEAR,
    WAYS,
    Read,
    against_linear,
    linear,
    mistakes,
    of,
)
from experiments.harness import plotting
from experiments.harness.claims import REFUTED, SUPPORTED
from experiments.harness.intervals import interval
from experiments.harness.plotting import Plot

MARKERS: dict[str, str] = dict(zip(WAYS, "osdv", strict=True))
DATA = {"digits": "Handwritten digits", "mnist1d": "MNIST-1D"}
SOURCES = {
    "digits": "PyTorch's cells of 64 units, measured on the same halves",
    "mnist1d": "as published by Greydanus and Kobak",
}


def title(reads: Sequence[Read]) -> str:
    """The finding: which cells tell more than a linear model, as the claim states."""
    end, base = of(reads, END), linear(reads)
    means = ", ".join(f"{c} {100 * one.accuracy.mean():.0f}" for c, one in end.items())
    numbers = f"{means}; linear {100 * base.accuracy.mean():.0f} %"
    parts = dict(zip(end, against_linear(reads).outcomes, strict=True))
    above = [cell for cell, said in parts.items() if said == SUPPORTED]
    kinds = set(parts.values())
    if kinds == {REFUTED}:
        return f"The last output tells less than a linear model of it all: {numbers}"
    if not above:
        return (
            "The last output of no cell surely tells more than a linear model of it "
            f"all:\n{numbers}"
        )
    who = "The last output"
    if len(above) < len(end):
        who = f"Only the last output of {' and '.join(above)}"
    return f"{who} tells more than a linear model of it all: {numbers}"


def draw(reads: Sequence[Read], majority: float, caption: str) -> Plot:
    """Accuracy against the training step; in the end, by what it is told from.

    Args:
        reads: What was found.
        majority: The accuracy of the most frequent class.
        caption: What was done, so that the figure can stand alone.

    Returns:
        A `Plot`.
    """
    end, base = of(reads, END), linear(reads)
    figure = Figure(figsize=(11, 5), dpi=110, layout="constrained")
    finding = title(reads)
    figure.suptitle(finding, fontweight="bold", fontsize=12)
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
    return plotting.captioned(figure, finding, caption)


def _curve(axis: Axes, one: Read, label: str, place: int | None) -> None:
    """Mean and range of the seeds; of the linear model, which has no place, grey."""
    colour, style = ("0.4", "--") if place is None else _look(place)
    values = 100 * one.curve
    axis.plot(one.steps, values.mean(axis=0), style, color=colour, label=label)
    low, high = values.min(axis=0), values.max(axis=0)
    axis.fill_between(one.steps, low, high, color=colour, alpha=0.2, linewidth=0)


def _look(place: int) -> tuple[str, str]:
    count = len(plotting.COLOURS)
    return plotting.COLOURS[place % count], plotting.STYLES[place // count % 4]


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


def draw_confusions(reads: Sequence[Read], seen: str) -> Plot:
    """Which class is taken for which, a panel a cell.

    Args:
        reads: What was found.
        seen: What the models were asked, in a few words.

    Returns:
        A `Plot`.
    """
    end = of(reads, END)
    figure = Figure(figsize=(3.7 * len(end) + 1.4, 4.7), dpi=110, layout="constrained")
    finding = confused(reads)
    figure.suptitle(finding, fontweight="bold", fontsize=11)
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
    return plotting.captioned(
        figure,
        finding,
        f"{seen}, classified from the last output; mean over seeds.",
        "Share of each digit that is mistaken for each other digit.",
    )


def confused(reads: Sequence[Read]) -> str:
    """Which two classes are mistaken most often, over the cells."""
    shares = np.mean([mistakes(one) for one in of(reads, END).values()], axis=0)
    digit, taken = np.unravel_index(shares.argmax(), shares.shape)
    return (
        f"The commonest mistake, over all cells: {shares.max():.0f} % of the {digit}s "
        f"are taken for {taken}"
    )


def caption(reads: list[Read], examples: int, config: Any) -> str:
    """The training, so that the figure can be read alone."""
    elsewhere = any(one.known is not None for one in reads)
    source = f"; hollow: {SOURCES[config.data]}" if elsewhere else ""
    order = f" as {config.order}" if config.data == "digits" else ""
    count = len(config.seeds)
    left, right = (
        (f"mean over {count} seeds of nets", "mean over them and its 95 % interval")
        if count > 1
        else ("nets of one seed", "the same seed")
    )
    bands = "; bands: range of seeds" if count > 1 else ""
    return (
        f"{DATA[config.data]}{order}, {examples} held out; "
        f"{config.features} units a direction; {config.optimizer}, rate "
        f"{config.learning_rate:g} (of the linear model {config.linear_rate:g}), "
        f"{config.steps} steps of {config.batch_size}, clip norm "
        f"{config.clip_norm:g}. Left: {left} that read forward and tell from their "
        f"last output{bands}. Right: {right}{source}."
    )
