"""The figure of spectra."""

import textwrap
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.harness import plotting
from experiments.harness.plotting import Plot
from experiments.spectra.claims import NEAR, titles
from experiments.spectra.measure import SpectrumResult
from nets.flow import plot

COLUMNS = 5
MARKERS = "", "o", "^", "s"  # the next marker once all colors are in use


def draw(results: Sequence[SpectrumResult], caption: str) -> Plot:
    """Draw all spectra, one panel per cell, one color per initialization."""
    names = list(dict.fromkeys(result.cell for result in results))
    inits = list(dict.fromkeys(result.init for result in results))
    columns = min(COLUMNS, len(names))
    rows = -(-len(names) // columns)
    with matplotlib.rc_context({"font.size": 10}):
        size = 2.7 * columns + 3, 2.6 * rows + 1.6
        figure = Figure(figsize=size, dpi=110, layout="constrained")
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    width = int(size[0] * 7.5)
    lines = [textwrap.fill(line, width) for line in titles(results)]
    finding = ".\n".join(lines)
    figure.suptitle(finding, fontweight="bold", fontsize=12)
    for axis, name in zip(axes.flat, names, strict=False):
        draw_panel(axis, [r for r in results if r.cell == name], inits)
    for axis in axes.flat[len(names) :]:
        axis.remove()
    for axis in axes[:, 0]:
        axis.set_ylabel("rate, nats per step")
    for i in range(columns):  # below the last panel of each column
        last = axes[(len(names) - 1 - i) // columns, i]
        last.set_xlabel("direction: index / n")
        last.tick_params(labelbottom=True)
    draw_legend(figure, inits)
    return plotting.captioned(figure, finding, caption)


def draw_panel(
    axis: Axes, results: Sequence[SpectrumResult], inits: Sequence[str]
) -> None:
    """Draw the spectra of one cell."""
    count = results[0].exponents.shape[1]
    x = (np.arange(count) + 0.5) / count
    for result in results:
        color, marker = color_and_marker(inits.index(result.init))
        exponents, sigmas = (
            np.where(np.isfinite(values), values, np.nan)
            for values in (result.exponents, result.log_singular_values)
        )
        options = {"ax": axis, "xlabel": "", "ylabel": "", "legend": False}
        options |= {"color": color, "markersize": 3}
        plot.spectrum(
            {result.init: exponents}, x, marker=marker, linewidth=1.8, **options
        )
        plot.spectrum(
            {f"{result.init}, singular values": sigmas.mean(axis=0)},
            x,
            linestyle="--",
            linewidth=1.1,
            **options,
        )
    axis.set_yscale("symlog", linthresh=NEAR, linscale=0.6)
    axis.set(title=f"{results[0].cell}, n = {count}", xlim=(0, 1))


def color_and_marker(index: int) -> tuple[str, str]:
    """Color and marker of an initialization."""
    count = len(plotting.COLORS)
    return plotting.COLORS[index % count], MARKERS[index // count % len(MARKERS)]


def draw_legend(figure: Figure, inits: Sequence[str]) -> None:
    """Draw the legend to the right of the panels."""
    lines = [
        Line2D([], [], color=color, marker=marker, markersize=3, label=init)
        for init, (color, marker) in zip(
            inits, map(color_and_marker, range(len(inits))), strict=True
        )
    ]
    for style, width, label in (
        ("-", 1.8, "Lyapunov exponents"),
        ("--", 1.1, "log singular values\nof the product / steps"),
        ("-", 0.8, "0: neither vanishes\nnor explodes"),
    ):
        lines.append(Line2D([], [], color="0.3", ls=style, lw=width, label=label))
    figure.legend(handles=lines, loc="outside right upper", frameon=False)
