"""The figure of random networks against their gain."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.edge_of_chaos.claims import title
from experiments.edge_of_chaos.mean_field import mean_field
from experiments.edge_of_chaos.measure import CHAOS, ExponentCurve
from experiments.harness import plotting
from experiments.harness.plotting import Plot
from nets.flow import plot

LEAST_DRAWN = -4.0  # nats per step; strong weights have exponents far below
MARKS = ("o", "s", "^", "D", "v")


def draw(
    curves: Sequence[ExponentCurve],
    theory: np.ndarray,
    spectra: dict[float, np.ndarray],
    gains: Sequence[float],
    caption: str,
) -> Plot:
    """Draw the largest exponent against the gain, and all exponents at some gains."""
    with matplotlib.rc_context({"font.size": 10}):
        figure = Figure(figsize=(12, 5.4), dpi=110, layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    finding = title(curves)
    figure.suptitle(finding, fontweight="bold", fontsize=12)
    left.axhline(0, color="0.3", linewidth=0.8)
    left.grid(alpha=0.3)
    draw_curves(left, curves, theory, gains)
    units = len(next(iter(spectra.values())))
    for i, (gain, spectrum) in enumerate(spectra.items()):
        above = int((spectrum > CHAOS).sum())
        plot.spectrum(
            {f"g = {gain:g}: {above} above 0": spectrum},
            np.arange(1, units + 1) / units,
            ax=right,
            title=f"all exponents, {units} units",
            xlabel="rank / units",
            color=plotting.COLORS[i % len(plotting.COLORS)],
            linestyle=plotting.STYLES[i % len(plotting.STYLES)],
        )
    right.legend(loc="lower left")
    right.set_ylim(bottom=max(LEAST_DRAWN, right.get_ylim()[0]))
    return plotting.captioned(
        figure,
        finding,
        caption,
        "Left: largest Lyapunov exponent against the gain of the weights. Right: all "
        "exponents of one network at a few gains.",
    )


def draw_curves(
    axis: Axes,
    curves: Sequence[ExponentCurve],
    theory: np.ndarray,
    gains: Sequence[float],
) -> None:
    """Draw the largest exponent of each seed, their mean, and the mean field."""
    fine = np.linspace(gains[0], gains[-1], 200)
    mean = [mean_field(gain) for gain in fine]
    axis.plot(fine, mean, "k--", linewidth=1.5, label="mean field, N infinite")
    for i, curve in enumerate(curves):
        exact = "ln rho(W), exact" if i == len(curves) - 1 else None
        shade = plotting.COLORS[i % len(plotting.COLORS)]
        mark = MARKS[i % len(MARKS)]
        label = f"{curve.units} units"
        axis.plot(gains, curve.exponents.mean(axis=1), color=shade, label=label)
        axis.plot(gains, curve.exponents, mark, color=shade, markersize=4, alpha=0.5)
        stable = np.where(curve.log_rho < 0, curve.log_rho, np.nan)
        lines = axis.plot(gains, stable, "+", color="k", markersize=7, mew=0.8)
        lines[0].set_label(exact)
    axis.set(title="largest exponent", xlabel="gain g of the weights")
    axis.set_ylabel("Lyapunov exponent, nats per step")
    axis.legend(loc="lower right")
