"""The figures: accuracies next to published ones, curves, and pools."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from experiments.harness import plotting
from experiments.harness.intervals import interval
from experiments.harness.plotting import Plot
from experiments.mnist1d import claims
from experiments.mnist1d.measure import ACCURACIES, POOLING, PYTORCH, ModelResult

MOST_CURVES = 8  # models whose curves are drawn: the first
SHORT = 12  # models, up to which the figure has its usual height


def draw(results: Sequence[ModelResult], setting: str, as_published: bool) -> Plot:
    """Draw the accuracy of every model, and the curves of the first.

    Args:
        results: Results, one per model.
        setting: Setting of the run.
        as_published: Whether the models were trained as the authors' were.

    Returns:
        A `Plot`.
    """
    finding = title(results, as_published)
    height = 5.2 + 0.2 * max(len(results) - SHORT, 0)
    figure = plotting.titled(finding, (12.0, height))
    left, right = figure.subplots(1, 2)
    ordered = sorted(results, key=lambda result: -result.accuracy.mean())
    _draw_accuracies(left, ordered)
    for i, result in enumerate(results[:MOST_CURVES]):
        label = claims.written(result.name)
        plotting.mean_and_range(right, result.steps, result.curve, i, label=label)
    right.set(xlabel="training step", ylabel="test accuracy, %", ylim=(0, 100))
    right.legend(loc="lower right", fontsize=8)
    right.grid(alpha=0.3)
    caption = (
        f"MNIST-1D; {setting}. Left: mean and its 95 % interval; hollow: published and "
        "PyTorch's. Right: mean and range over seeds"
        + (" of the first models." if len(results) > MOST_CURVES else ".")
    )
    return plotting.captioned(figure, finding, caption)


def title(results: Sequence[ModelResult], as_published: bool) -> str:
    """The finding: the published numbers that are reproduced, and the best models."""
    ordered = sorted(results, key=lambda result: -result.accuracy.mean())
    shown = ", ".join(
        f"{claims.written(result.name)} {result.accuracy.mean():.1f}"
        for result in ordered[:6]
    )
    count = sum(result.name in ACCURACIES for result in results)
    if not count or not as_published:
        return f"Test accuracy on MNIST-1D, %: {shown}"
    return (
        f"MNIST-1D: {len(claims.reproduced(results))} of {count} accuracies of the "
        f"authors' notebook are reproduced\n{shown} %"
    )


def _draw_accuracies(axis: Axes, results: Sequence[ModelResult]) -> None:
    """Draw one row per model, the most accurate on top."""
    rows = range(len(results))
    _draw_intervals(axis, results)
    for i, (marker, label) in enumerate(
        (("D", "authors' README"), ("s", "authors' notebook"))
    ):
        known = [
            (ACCURACIES[r.name][i], row)
            for row, r in enumerate(results)
            if r.name in ACCURACIES
        ]
        _hollow(axis, known, marker, label)
    known = [(PYTORCH[r.name], y) for y, r in enumerate(results) if r.name in PYTORCH]
    _hollow(axis, known, "^", "PyTorch")
    names = [f"{claims.written(r.name)} ({r.parameters:,})" for r in results]
    axis.set_yticks(rows, names)
    axis.set_ylim(len(results) - 0.5, -0.5)
    axis.set_xlabel("test accuracy, %  (in parentheses: parameters)")
    axis.legend(fontsize=8, loc="best")
    axis.grid(alpha=0.3)


def _draw_intervals(axis: Axes, results: Sequence[ModelResult]) -> None:
    """Draw the mean over seeds and its interval, one row per result."""
    for row, result in enumerate(results):
        mean, low, high = interval(result.accuracy)
        error = [[mean - low], [high - mean]] if np.isfinite(low) else None
        axis.errorbar(
            [mean],
            [row],
            xerr=error,
            fmt="o",
            color="#0072B2",
            capsize=3,
            label="here" if row == 0 else None,
        )


def _hollow(
    axis: Axes, points: Sequence[tuple[float, int]], marker: str, label: str
) -> None:
    """Draw published numbers as hollow markers."""
    if points:
        x, y = zip(*points, strict=True)
        axis.plot(x, y, marker, color="#D55E00", mfc="none", label=label)


def draw_pools(results: Sequence[ModelResult], setting: str) -> Plot:
    """Draw the accuracy of every pool.

    Args:
        results: Results, one per pool.
        setting: Setting of the run.

    Returns:
        A `Plot`.
    """
    finding = claims.pool_answer(results).rstrip(".")
    figure = plotting.titled(finding, (8.0, 3.6))
    axis = figure.subplots()
    _draw_intervals(axis, results)
    names = [claims.pool_name(result) for result in results]
    points = [(POOLING[name], row) for row, name in enumerate(names)]
    _hollow(axis, points, "s", "authors' notebook")
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.set_xlabel("test accuracy, %")
    axis.legend(fontsize=8)
    axis.grid(alpha=0.3)
    caption = (
        "MNIST-1D, 1,000 training sequences, two convolutions of 20 filters; "
        f"{setting}. Mean and its 95 % interval."
    )
    return plotting.captioned(figure, finding, caption)
