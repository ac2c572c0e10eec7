"""The figures of classifying sequences from one vector."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.classify_sequences.claims import (
    against_linear,
    baseline,
    by_cell,
    linear_model,
    worded,
)
from experiments.classify_sequences.measure import ModelResult, error_shares
from experiments.classify_sequences.networks import END, LINEAR, WAYS
from experiments.harness import plotting
from experiments.harness.claims import REFUTED, SUPPORTED
from experiments.harness.intervals import interval
from experiments.harness.own_sequences import Sequences
from experiments.harness.plotting import Plot
from nets.flow import plot

LONGEST = 12  # characters of the name of a class at an axis
MARKERS: dict[str, str] = dict(zip(WAYS, "osdv", strict=True))
DATA = {"digits": "Handwritten digits", "mnist1d": "MNIST-1D"}  # built in
SOURCES = {
    "digits": "PyTorch's cells of 64 units, measured on the same data",
    "mnist1d": "as published by Greydanus and Kobak",
}


def title(results: Sequence[ModelResult]) -> str:
    """The finding: cells whose last output is better than a linear model."""
    end, base = by_cell(results, END), linear_model(results)
    means = ", ".join(
        f"{cell} {100 * result.accuracy.mean():.0f}" for cell, result in end.items()
    )
    numbers = f"{means}; linear {100 * base.accuracy.mean():.0f} %"
    outcomes = dict(zip(end, against_linear(results).outcomes, strict=True))
    better = [cell for cell, outcome in outcomes.items() if outcome == SUPPORTED]
    if set(outcomes.values()) == {REFUTED}:
        return (
            "The last output classifies worse than a linear model of the whole "
            f"sequence:\n{numbers}"
        )
    if not better:
        return (
            "For no cell does the last output reliably classify better than a linear "
            f"model of the whole sequence:\n{numbers}"
        )
    subject = "The last output"
    if len(better) < len(end):
        subject = f"Only the last output of {' and '.join(better)}"
    return (
        f"{subject} classifies better than a linear model of the whole "
        f"sequence:\n{numbers}"
    )


def draw(
    results: Sequence[ModelResult],
    majority: float,
    caption: str,
    score: str = "accuracy",
) -> Plot:
    """Draw accuracy against the training step, and final accuracy by way of reading.

    Args:
        results: Results, one per model.
        majority: Accuracy of the most frequent class.
        caption: Setting of the run.
        score: Name of what models are measured by.

    Returns:
        A `Plot`.
    """
    end, base = by_cell(results, END), linear_model(results)
    figure = Figure(figsize=(11, 5), dpi=110, layout="constrained")
    finding = worded(title(results), score)
    figure.suptitle(finding, fontweight="bold", fontsize=12)
    left, right = figure.subplots(1, 2)
    for cell, result in end.items():
        _curve(left, result, cell, list(end).index(cell))
    _curve(left, base, "linear, of all inputs", None)
    left.axhline(100 * majority, color="0.4", linestyle=":", label=baseline(score))
    left.set(xlabel="training step", ylabel=f"held-out {score}, %", ylim=(0, 100))
    left.set_xlim(0, base.steps[-1])
    left.legend(loc="lower right")
    _ends(right, results, score)
    for axis in (left, right):
        axis.grid(alpha=0.3)
    return plotting.captioned(figure, finding, caption)


def _curve(axis: Axes, result: ModelResult, label: str, index: int | None) -> None:
    """Draw mean and range over seeds; gray without an index, for the linear model."""
    gray: dict[str, Any] = {"color": "0.4", "linestyle": "--"}
    style = gray if index is None else plotting.line_style(index)
    series = {label: 100 * result.curve.T}
    plot.curves(series, result.steps, ax=axis, linewidth=1.5, **style)


def _ends(axis: Axes, results: Sequence[ModelResult], score: str) -> None:
    """Draw final accuracies, one row per cell, one marker per way of reading."""
    names = [*by_cell(results, END), LINEAR]
    ways = [way for way in WAYS if by_cell(results, way)]
    for result in results:
        row, is_linear = names.index(result.cell), result.cell == LINEAR
        offset = 0.0
        if not is_linear:
            offset = 0.18 * (ways.index(result.way) - (len(ways) - 1) / 2)
        mean, low, high = interval(100 * result.accuracy)
        error = [[mean - low], [high - mean]] if np.isfinite(low) else None
        color = "0.4" if is_linear else plotting.line_style(row)["color"]
        marker = "P" if is_linear else MARKERS[result.way]
        y = [row + offset]
        axis.errorbar(
            *([mean], y),
            xerr=error,
            fmt=marker,
            color=color,
            capsize=3,
            label=f"{result.cell}, {result.way}",
        )
        if result.known is not None:
            axis.plot([result.known], y, marker, color=color, mfc="white")
    axis.axvline(
        100 * linear_model(results).accuracy.mean(), color="0.4", linestyle="--", lw=1
    )
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.set_xlabel(f"held-out {score} after training, %")
    marks = [Line2D([], [], color="0.2", marker=MARKERS[way], ls="") for way in ways]
    if any(result.known is not None for result in results):
        marks.append(Line2D([], [], color="0.2", marker="o", mfc="white", ls=""))
    axis.legend(
        marks,
        [*ways, "elsewhere"][: len(marks)],
        title=worded("classified from", score),
    )


def draw_confusions(
    results: Sequence[ModelResult], examples: int, classes: Sequence[str] = ()
) -> Plot:
    """Draw the classes that are mistaken for each other, one panel per cell.

    Args:
        results: Results, one per model.
        examples: Number of held-out sequences.
        classes: Names of the classes; by default, they are digits.

    Returns:
        A `Plot`.
    """
    end = by_cell(results, END)
    figure = Figure(figsize=(3.7 * len(end) + 1.4, 4.7), dpi=110, layout="constrained")
    finding = most_frequent_error(results, classes)
    noun = "class" if classes else "digit"
    figure.suptitle(finding, fontweight="bold", fontsize=11)
    axes = figure.subplots(1, len(end), sharey=True, squeeze=False)[0]
    shares = {cell: error_shares(result) for cell, result in end.items()}
    largest = max(max(share.max() for share in shares.values()), 1e-9)
    scale = ScalarMappable(Normalize(0, largest), "Blues")
    for axis, (cell, share) in zip(axes, shares.items(), strict=True):
        axis.imshow(share, cmap=scale.cmap, norm=scale.norm)
        axis.set(title=cell, xlabel=f"predicted {noun}")
        names = [name[:LONGEST] for name in classes or map(str, range(len(share)))]
        axis.set_xticks(range(len(share)), names, rotation=90 if classes else 0)
        axis.set_yticks(range(len(share)), names)
    axes[0].set_ylabel(noun)
    figure.colorbar(scale, ax=list(axes), label=f"share of the {noun}, %")
    return plotting.captioned(
        figure,
        finding,
        f"{examples} held-out sequences, classified from the last output; mean over "
        "seeds.",
        f"Share of each {noun} that is mistaken for each other {noun}.",
    )


def most_frequent_error(
    results: Sequence[ModelResult], classes: Sequence[str] = ()
) -> str:
    """The finding: the most frequent error, over all cells."""
    shares = np.mean([error_shares(r) for r in by_cell(results, END).values()], axis=0)
    digit, predicted = np.unravel_index(shares.argmax(), shares.shape)
    if classes:
        return (
            f"The most frequent error, over all cells: {shares.max():.0f} % of class "
            f"{classes[digit]} are classified as {classes[predicted]}"
        )
    return (
        f"The most frequent error, over all cells: {shares.max():.0f} % of the "
        f"{digit}s are classified as {predicted}"
    )


def caption(
    results: list[ModelResult], examples: int, data: Sequences, config: Any
) -> str:
    """The setting of the run, for the caption of the figure."""
    elsewhere = any(result.known is not None for result in results)
    source = f"; hollow: {SOURCES[config.data]}" if elsewhere else ""
    count = len(config.seeds)
    left, right = (
        (f"mean over {count} seeds of nets", "mean over seeds and its 95 % interval")
        if count > 1
        else ("nets of one seed", "the same seed")
    )
    bands = "; bands: range of seeds" if count > 1 else ""
    return (
        f"{data.setting}, {examples} held out; "
        f"{config.features} units per direction; {config.optimizer}, rate "
        f"{config.learning_rate:g} (linear model {config.linear_rate:g}), "
        f"{config.steps} steps of {config.batch_size}, clip norm "
        f"{config.clip_norm:g}. Left: {left} that read forward and classify "
        f"from the last output{bands}. Right: {right}{source}."
    )
