"""The figure, table and comparisons of random networks against their gain."""

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.edge_of_chaos.mean_field import mean_field
from experiments.harness import plotting, tables
from experiments.harness.plotting import Plot

CHAOS = 0.002  # nats a step: above what a cycle's exponent of 0 is measured as
LEAST_DRAWN = -4.0  # nats a step: the lowest exponents of strong weights fall far
MARKS = ("o", "s", "^", "D", "v")


class Curve(NamedTuple):
    """The exponents of networks of one size.

    Attributes:
        units: N.
        exponents: Nats a step, [gains, seeds].
        log_rho: ln rho(W) of each, [gains, seeds].
        onset: The gain from which on each is chaotic, [seeds]; nan if there is none.
    """

    units: int
    exponents: Float[np.ndarray, "gains seeds"]
    log_rho: Float[np.ndarray, "gains seeds"]
    onset: Float[np.ndarray, " seeds"]


def title(curves: Sequence[Curve]) -> str:
    """The finding: at which gain chaos begins."""
    onsets = [
        f"g = {tables.mean_and_deviation(curve.onset, '{:.2f}')} in {curve.units} units"
        if np.isfinite(curve.onset).all()
        else f"no gain drawn in {np.isnan(curve.onset).sum()} of "
        f"{len(curve.onset)} networks of {curve.units} units"
        for curve in curves
    ]
    return f"Chaos begins at {', at '.join(onsets)}\n(mean field: g = 1)"


def deviations(
    curves: Sequence[Curve], theory: np.ndarray, gains: Sequence[float]
) -> list[str]:
    """How far the simulation is from what is exact, and from the mean field."""
    off = np.concatenate(
        [np.abs(c.exponents - c.log_rho)[c.log_rho < 0] for c in curves]
    )
    gaps = "; ".join(
        f"{c.exponents[-1].mean() - theory[-1]:+.4f} in {c.units} units" for c in curves
    )
    mean_field_off = (
        f"At g = {gains[-1]:g}, where the mean field has {theory[-1]:+.4f} nats "
        f"a step, the simulation is off by {gaps}."
    )
    if not off.size:
        return [mean_field_off]
    exact = f"Where rho(W) < 1, the exponent is ln rho(W) to within {off.max():.4f}."
    return [exact, mean_field_off]


def table(
    curves: Sequence[Curve], theory: np.ndarray, gains: Sequence[float]
) -> tables.Table:
    """Exponents by gain, a line a gain."""
    header = ["gain g", "mean field"]
    for curve in curves:
        header += [f"N = {curve.units}", f"N = {curve.units}, off mean field"]
    rows = []
    for i, gain in enumerate(gains):
        row = [f"{gain:g}", f"{theory[i] + 0.0:+.4f}"]
        for curve in curves:
            values = curve.exponents[i]
            row.append(tables.mean_and_deviation(values, "{:+.4f}"))
            row.append(f"{values.mean() - theory[i]:+.4f}")
        rows.append(row)
    return tables.Table(header, rows)


def draw(
    curves: Sequence[Curve],
    theory: np.ndarray,
    spectra: dict[float, np.ndarray],
    gains: Sequence[float],
    caption: str,
) -> Plot:
    """The largest exponent against the gain; beside it, all exponents."""
    with matplotlib.rc_context({"font.size": 10}):
        figure = Figure(figsize=(12, 5.4), dpi=110, layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    finding = title(curves)
    figure.suptitle(finding, fontweight="bold", fontsize=12)
    for axis in (left, right):
        axis.axhline(0, color="0.3", linewidth=0.8)
        axis.grid(alpha=0.3)
    draw_curves(left, curves, theory, gains)
    units = len(next(iter(spectra.values())))
    for i, (gain, spectrum) in enumerate(spectra.items()):
        above = int((spectrum > CHAOS).sum())
        right.plot(
            np.arange(1, units + 1) / units,
            spectrum,
            plotting.STYLES[i % len(plotting.STYLES)],
            color=plotting.COLOURS[i % len(plotting.COLOURS)],
            linewidth=2,
            label=f"g = {gain:g}: {above} above 0",
        )
    right.set(title=f"all exponents, {units} units", xlabel="rank / units")
    right.set_ylabel("Lyapunov exponent, nats a step")
    right.legend(loc="lower left")
    right.set_ylim(bottom=max(LEAST_DRAWN, right.get_ylim()[0]))
    return plotting.captioned(
        figure,
        finding,
        caption,
        "Left, the largest Lyapunov exponent against the gain of the weights. Right, "
        "all exponents of one network at a few gains.",
    )


def draw_curves(
    axis: Axes, curves: Sequence[Curve], theory: np.ndarray, gains: Sequence[float]
) -> None:
    """Largest exponents, each seed a mark, and the mean field."""
    fine = np.linspace(gains[0], gains[-1], 200)
    mean = [mean_field(gain) for gain in fine]
    axis.plot(fine, mean, "k--", linewidth=1.5, label="mean field, N infinite")
    for i, curve in enumerate(curves):
        exact = "ln rho(W), exact" if i == len(curves) - 1 else None
        shade = plotting.COLOURS[i % len(plotting.COLOURS)]
        mark = MARKS[i % len(MARKS)]
        label = f"{curve.units} units"
        axis.plot(gains, curve.exponents.mean(axis=1), color=shade, label=label)
        axis.plot(gains, curve.exponents, mark, color=shade, markersize=4, alpha=0.5)
        stable = np.where(curve.log_rho < 0, curve.log_rho, np.nan)
        lines = axis.plot(gains, stable, "+", color="k", markersize=7, mew=0.8)
        lines[0].set_label(exact)
    axis.set(title="largest exponent", xlabel="gain g of the weights")
    axis.set_ylabel("Lyapunov exponent, nats a step")
    axis.legend(loc="lower right")
