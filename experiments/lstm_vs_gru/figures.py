"""The figure of the GRU compared with the LSTM."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from experiments.harness import plotting
from experiments.harness.plotting import Plot
from experiments.lstm_vs_gru.claims import (
    FACTOR,
    MARGIN,
    judge_accuracy,
    title,
)
from experiments.lstm_vs_gru.measure import SETTINGS, CellComparison


def draw(
    comparisons: Sequence[CellComparison], caption: str, score: str = "accuracy"
) -> Plot:
    """Draw accuracy, parameters and step time, one row per comparison.

    Args:
        comparisons: Comparisons.
        caption: Setting of the run.
        score: Name of what both are measured by.

    Returns:
        A `Plot`.
    """
    finding = title(comparisons)
    figure, axes = plotting.figure(finding, columns=3)
    figure.set_size_inches(12, 2.6 + 0.45 * len(comparisons))
    left, middle, right = axes
    gains = judge_accuracy(comparisons).intervals
    for i, (pair, gain) in enumerate(zip(comparisons, gains, strict=True)):
        color = plotting.COLORS[SETTINGS.index(pair.setting)]
        style = {"color": color, "label": pair.setting}
        _point(left, i, *gain, style)
        _bar(middle, i, pair.parameters, style)
        low, median, high = np.quantile(pair.ratios, [0.25, 0.5, 0.75])
        _point(right, i, median, low, high, style)
    left.set_xlim(left=min(left.get_xlim()[0], -1.5 * MARGIN))
    left.axvline(0, color="0.3", linewidth=0.8)
    left.axvline(-MARGIN, color="0.3", linewidth=1, linestyle=":")
    for axis in (middle, right):
        axis.axvline(1, color="0.3", linewidth=0.8)
    for end in (1 / FACTOR, FACTOR):
        right.axvline(end, color="0.3", linewidth=1, linestyle=":")
    middle.grid(False)
    left.set_yticks(range(len(comparisons)), [pair.task for pair in comparisons])
    left.set_ylim(len(comparisons) - 0.5, -0.5)
    left.set(
        title="no worse?",
        xlabel=f"{score}, GRU - LSTM, percentage points\n"
        f"(dotted: margin of {MARGIN:g} point)",
    )
    middle.set(title="simpler?", xlabel="parameters, GRU / LSTM\n(counts: GRU of LSTM)")
    right.set(
        title="faster?",
        xlabel="time of a training step, GRU / LSTM\n"
        f"(dotted: margin, a factor of {FACTOR:g})",
    )
    marks = [
        Line2D([], [], color=color, marker="o", label=setting)
        for setting, color in zip(SETTINGS, plotting.COLORS, strict=False)
    ]
    figure.legend(handles=marks, loc="upper right", fontsize=9, frameon=False)
    return plotting.captioned(figure, finding, caption)


def _bar(axis: Axes, place: int, parameters: tuple[int, int], style: Any) -> None:
    """Draw the parameters of the GRU as a share of the LSTM, and both counts."""
    lstm, gru = parameters
    axis.barh(place, gru / lstm, **style)
    words = {"ha": "center", "va": "center", "fontsize": 9, "color": "white"}
    axis.text(gru / lstm / 2, place, f"{gru:,} of {lstm:,}", **words)


def _point(
    axis: Axes, place: int, mean: float, low: float, high: float, style: Any
) -> None:
    """Draw a number and its interval, if the interval is finite."""
    error = [[mean - low], [high - mean]] if np.isfinite(low) else None
    axis.errorbar([mean], [place], xerr=error, fmt="o", capsize=4, **style)
