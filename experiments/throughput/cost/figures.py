"""The figure, the table and the answer of the costs."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from experiments.harness import plotting
from experiments.harness.plotting import Plot
from experiments.harness.tables import Table
from experiments.throughput.cost.measure import (
    BATCH,
    FEATURES,
    SCAN,
    TIME,
    TITLES,
    Curve,
)


def table(curves: Sequence[Curve]) -> Table:
    """Exponents, and the cost at the smallest and the largest value.

    Args:
        curves: The curves.

    Returns:
        A `Table`, one row per curve.
    """
    lines = []
    for curve in curves:
        ends = [0] if len(curve.values) == 1 else [0, -1]
        of_time, of_memory = curve.powers()
        lines.append(
            [
                f"{TITLES[curve.axis]}, {curve.label}",
                " to ".join(f"{curve.values[i]:,}" for i in ends),
                " to ".join(f"{1e3 * curve.seconds[i]:.3g}" for i in ends),
                _number(of_time),
                " to ".join(f"{curve.bytes[i] / 1e6:.3g}" for i in ends),
                _number(of_memory),
            ]
        )
    header = ["varied, cell", "values", "ms", "power of time", "MB", "power of memory"]
    return Table(header, lines)


def _number(value: float) -> str:
    """Two digits; empty for nan."""
    return "" if np.isnan(value) else f"{value:.2f}"


def answer(curves: Sequence[Curve]) -> str:
    """One sentence with the exponents.

    Args:
        curves: The curves.

    Returns:
        The sentence.
    """
    parts = []
    for axis, words in ((TIME, "steps"), (FEATURES, "units"), (BATCH, "batch")):
        some = [c.powers() for c in curves if c.axis == axis and " " not in c.label]
        for i, cost in enumerate(("time", "memory")):
            values = [p[i] for p in some if not np.isnan(p[i])]
            if values:
                ends = dict.fromkeys(f"{v:.2f}" for v in (min(values), max(values)))
                parts.append(f"{cost} as {words}^{' to '.join(ends)}")
    if not parts:
        return "A train step was not timed at several sizes."
    return f"A train step grows in {', in '.join(parts)}."


def draw(curves: Sequence[Curve], crossing: int | None, caption: str) -> Plot:
    """Draw time and memory against each axis, all on log scales.

    Args:
        curves: The curves.
        crossing: Steps from which the parallel scan is faster than the loop.
        caption: Setting of the run.

    Returns:
        A `Plot`.
    """
    finding = answer(curves)
    axes_names = list(dict.fromkeys(curve.axis for curve in curves))
    size = 1.0 + 3.3 * len(axes_names), 6.5
    figure: Figure = plotting.titled(finding, size)
    with matplotlib.rc_context({"font.size": 9}):
        panels = figure.subplots(2, len(axes_names), squeeze=False, sharey="row")
    labels = list(dict.fromkeys(curve.label for curve in curves))
    for column, name in enumerate(axes_names):
        for curve in (c for c in curves if c.axis == name):
            style = plotting.line_style(labels.index(curve.label))
            costs = 1e3 * np.array(curve.seconds), np.array(curve.bytes) / 1e6
            for panel, cost in zip(panels[:, column], costs, strict=True):
                panel.plot(curve.values, cost, "o", label=curve.label, **style)
        if name == SCAN and crossing is not None:
            panels[0, column].axvline(crossing, color="0.5", linestyle=":")
        values = sorted({v for c in curves if c.axis == name for v in c.values})
        for panel, cost in zip(panels[:, column], ("time", "memory"), strict=True):
            panel.set(xscale="log", yscale="log", xlabel=TITLES[name])
            panel.set_xticks(values, [f"{value:,}" for value in values], fontsize=7)
            panel.minorticks_off()
            panel.grid(alpha=0.3)
            if column == 0:
                unit = "ms" if cost == "time" else "MB"
                panel.set_ylabel(f"{cost} of a train step, {unit}")
        panels[0, column].legend(fontsize=7)
        panels[0, column].set_title(f"against {TITLES[name]}", fontsize=9)
    return plotting.captioned(figure, finding, caption)
