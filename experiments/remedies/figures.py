"""The figure of remedies."""

import textwrap
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.harness import plotting
from experiments.harness.plotting import Plot
from experiments.remedies.claims import counted_outcome, title
from experiments.remedies.measure import RemedyResult
from train.data.adding import BASELINE

BLUE, RED = plotting.COLORS[:2]
COLUMNS = 4


def draw(results: Sequence[RemedyResult], caption: str) -> Plot:
    """Draw one panel per remedy, and one panel of the errors."""
    panels = len(results) + 1
    columns = min(COLUMNS, panels)
    rows = -(-panels // columns)
    size = (max(3.2 * columns, 7.5), 3.6 * rows + 1.2)
    with matplotlib.rc_context({"font.size": 9}):
        figure = Figure(figsize=size, dpi=110, layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
    finding = title(results)
    figure.suptitle(finding, fontweight="bold", fontsize=12)
    for axis, result in zip(axes, results, strict=False):
        draw_claim(axis, result)
    draw_errors(axes[len(results)], results)
    for axis in axes[panels:]:
        axis.axis("off")
    return plotting.captioned(
        figure,
        finding,
        caption,
        "Quantity that each remedy claims to change, without and with the remedy, one "
        "line per seed. Last panel: error on the adding problem after training.",
    )


def draw_claim(axis: Axes, result: RemedyResult) -> None:
    """Draw the quantity without and with the remedy, by seed, and its mean."""
    pairs = np.stack([result.without, result.with_it])
    axis.plot([0, 1], pairs, "-", color="0.6", linewidth=1)
    for x, (values, shade) in enumerate(zip(pairs, (RED, BLUE), strict=True)):
        axis.plot(np.full(len(values), x), values, "o", color=shade, markersize=6)
        axis.plot([x - 0.15, x + 0.15], [values.mean()] * 2, color="k", linewidth=2)
    axis.set(xlim=(-0.5, 1.5), xticks=[0, 1], xticklabels=["without", "with"])
    axis.set_ylim(bottom=0)
    axis.set_ylabel(result.quantity)
    axis.grid(axis="y", alpha=0.3)
    claim = textwrap.fill(f"{result.remedy}: {result.claim}", 36)
    axis.set_title(f"{claim}\n{counted_outcome(result)}", fontsize=9)


def draw_errors(axis: Axes, results: Sequence[RemedyResult]) -> None:
    """Draw the test error without and with every remedy, one mark per seed."""
    y = np.arange(len(results))[:, None]
    kinds = (
        ("without", "error_without", RED, -0.15),
        ("with", "error_with", BLUE, 0.15),
    )
    for label, name, shade, shift in kinds:
        errors = np.stack([getattr(result, name) for result in results])
        places = np.broadcast_to(y + shift, errors.shape)
        mark = "o" if name == "error_with" else "s"
        axis.plot(
            errors.ravel(), places.ravel(), mark, color=shade, markersize=5, label=label
        )
    axis.axvline(BASELINE, color="0.3", linestyle=":", label="always predicting 1: 1/6")
    axis.set_yticks(y[:, 0], [result.remedy for result in results])
    axis.invert_yaxis()
    axis.set_xlim(left=0)
    axis.set(title="error on the adding problem", xlabel="test MSE after training")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=7, loc="best")
