"""The answer, the findings and the table of random networks against their gain."""

from collections.abc import Sequence

import numpy as np

from experiments.edge_of_chaos.measure import ExponentCurve
from experiments.harness import tables


def answer(curves: Sequence[ExponentCurve]) -> str:
    """The gain at which chaos begins, in one sentence."""
    if not all(np.isfinite(curve.onset).all() for curve in curves):
        return "Some of the networks do not become chaotic at any measured gain."
    onset = max(curves, key=lambda curve: curve.units).onset.mean()
    return f"In the largest networks, chaos begins at a gain of {onset:.2f} on average."


def title(curves: Sequence[ExponentCurve]) -> str:
    """The finding: gain at which chaos begins, for each size."""
    onsets = [
        f"g = {tables.mean_and_deviation(curve.onset, '{:.2f}')} with {curve.units} "
        "units"
        if np.isfinite(curve.onset).all()
        else f"no measured gain in {np.isnan(curve.onset).sum()} of "
        f"{len(curve.onset)} networks of {curve.units} units"
        for curve in curves
    ]
    return f"Chaos begins at {', at '.join(onsets)}\n(mean field: g = 1)"


def deviations(
    curves: Sequence[ExponentCurve], theory: np.ndarray, gains: Sequence[float]
) -> list[str]:
    """Differences between the simulation, the exact values and the mean field."""
    errors = np.concatenate(
        [np.abs(c.exponents - c.log_rho)[c.log_rho < 0] for c in curves]
    )
    gaps = "; ".join(
        f"{c.exponents[-1].mean() - theory[-1]:+.4f} with {c.units} units"
        for c in curves
    )
    mean_field_gap = (
        f"At g = {gains[-1]:g} the mean field predicts {theory[-1]:+.4f} nats per "
        f"step; the simulation differs from it by {gaps}."
    )
    if not errors.size:
        return [mean_field_gap]
    exact = f"Where rho(W) < 1, the exponent is ln rho(W) to within {errors.max():.4f}."
    return [exact, mean_field_gap]


def table(
    curves: Sequence[ExponentCurve], theory: np.ndarray, gains: Sequence[float]
) -> tables.Table:
    """Largest exponents, one row per gain."""
    header = ["gain g", "mean field"]
    for curve in curves:
        header += [f"N = {curve.units}", f"N = {curve.units}, minus mean field"]
    rows = []
    for i, gain in enumerate(gains):
        row = [f"{gain:g}", f"{theory[i] + 0.0:+.4f}"]
        for curve in curves:
            values = curve.exponents[i]
            row.append(tables.mean_and_deviation(values, "{:+.4f}"))
            row.append(f"{values.mean() - theory[i]:+.4f}")
        rows.append(row)
    return tables.Table(header, rows)
