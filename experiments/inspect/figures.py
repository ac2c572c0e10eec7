"""One figure per instrument: its curves, one panel per network."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.harness import plotting
from experiments.harness.plotting import Plot
from experiments.inspect.claims import finding
from experiments.inspect.measure import INSTRUMENTS, Curve

COLUMNS = 4


def draw(name: str, curves: Sequence[Curve], caption: str) -> Plot:
    """Draw the curves of one instrument: means over seeds, and their range."""
    instrument = INSTRUMENTS[name]
    networks = list(dict.fromkeys(curve.network for curve in curves))
    columns = min(COLUMNS, len(networks))
    rows = -(-len(networks) // columns)
    with matplotlib.rc_context({"font.size": 10}):
        size = max(3.6 * columns, 6.4), 3.2 * rows + 1.4
        figure = Figure(figsize=size, dpi=110, layout="constrained")
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    title = finding(name, curves)
    figure.suptitle(
        plotting.plain(title), fontweight="bold", fontsize=11, parse_math=False
    )
    for axis, network in zip(axes.flat, networks, strict=False):
        _panel(axis, [curve for curve in curves if curve.network == network])
        axis.set_title(plotting.plain(network), parse_math=False)
    for axis in axes.flat[len(networks) :]:
        axis.remove()
    for axis in axes[:, 0]:
        axis.set_ylabel(instrument.y)
    for axis in axes[-1]:
        axis.set_xlabel(instrument.x)
    return plotting.captioned(figure, title, caption)


def _panel(axis: Axes, curves: Sequence[Curve]) -> None:
    """Draw the curves of one network."""
    for i, curve in enumerate(curves):
        values = np.where(np.isfinite(curve.values), curve.values, np.nan)
        label = ", ".join(filter(None, (curve.cell, curve.part)))
        x = np.arange(values.shape[1])
        plotting.mean_and_range(axis, x, values, i, label=label, linewidth=2)
    if len(curves) > 1:
        axis.legend(fontsize=8)
    axis.grid(alpha=0.3)
