"""The figure and the tables of tasks that need a long memory."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes

from experiments.harness import plotting, tables
from experiments.harness.long_memory import Task
from experiments.harness.memory_claims import name_of, steps_text
from experiments.harness.memory_study import Curve
from experiments.harness.plotting import Plot
from nets.flow import plot


def table(task: Task, curves: Sequence[Curve], batch_size: int) -> tables.Table:
    """Steps until the task was solved, losses and gradients: one row per curve."""
    header = [
        "length, cell, initialization",
        "parameters",
        "steps to solve",
        "sequences to solve",
        "seeds that solve",
        "last loss",
        "baseline",
        "decay of the gradient before training, nats/step",
    ]
    return tables.Table(
        header,
        [
            [
                f"{curve.length}, {curve.cell}, {curve.init}",
                f"{curve.parameters:,}",
                steps_text(curve),
                steps_text(curve, batch_size),
                f"{(curve.solved > 0).sum()} of {len(curve.seeds)}",
                tables.mean_and_deviation(curve.last, "{:.2g}"),
                f"{task.baseline(curve.length):.4g}",
                tables.mean_and_deviation(curve.decay, "{:+.3f}"),
            ]
            for curve in curves
        ],
    )


def draw(
    task: Task,
    curves: Sequence[Curve],
    finding: str,
    caption: str,
    panel: Callable[[int], str],
) -> Plot:
    """Draw learning curves, and the gradient's norm before training: a row per length.

    Args:
        task: The task.
        curves: The curves of all lengths.
        finding: Title of the figure.
        caption: Setting of the run.
        panel: Name of a length.

    Returns:
        A `Plot`.
    """
    lengths = list(dict.fromkeys(curve.length for curve in curves))
    kinds = list(dict.fromkeys(name_of(curve, curves) for curve in curves))
    size = 13.0, 3.5 * len(lengths) + 1.4
    figure = plotting.titled(finding, size)
    rows = figure.subplots(len(lengths), 2, squeeze=False)
    for (left, right), length in zip(rows, lengths, strict=True):
        group = [curve for curve in curves if curve.length == length]
        for curve in group:
            name = name_of(curve, curves)
            style = plotting.line_style(kinds.index(name))
            plot.curves(
                {f"{name}: {steps_text(curve)}": curve.losses.T},
                curve.steps,
                ax=left,
                legend=False,
                **style,
            )
            plot.curves(
                {name: curve.profile.T / np.log(10)}, ax=right, legend=False, **style
            )
        decorate(left, right, task, length, panel(length))
    return plotting.captioned(
        figure,
        finding,
        f"{caption} Lines: mean over seeds; bands: their range. Legend: training steps "
        "until the task was solved. A model that has solved the task stops; its last "
        "loss is continued. Right: norm of the gradient of the loss with respect to "
        "the state, median over 64 held-out sequences.",
        "Held-out loss during training, with the best prediction without memory as a "
        "dashed line (left); norm of the gradient over time before training (right).",
    )


def decorate(left: Axes, right: Axes, task: Task, length: int, name: str) -> None:
    """Draw the baseline and the limit; scales, labels and legend of both panels."""
    baseline = task.baseline(length)
    left.axhline(baseline, color="k", linestyle="--", linewidth=1)
    left.axhline(task.solved(length), color="0.5", linestyle=":", linewidth=1)
    trans = left.get_yaxis_transform()
    style = {"transform": trans, "fontsize": 8, "ha": "right", "color": "0.3"}
    left.text(0.99, baseline, "no memory", va="top", **style)
    left.text(0.99, task.solved(length), "solved", va="bottom", **style)
    left.set(yscale="log", xlabel="training steps", ylabel=task.loss)
    left.set_title(f"{name}: held-out loss")
    # Outside, as curves end at any place of the panel.
    left.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)
    left.set_xlim(left=0)
    right.set(xlabel="step t", ylabel=r"$\log_{10} \|\partial L/\partial s_t\|$")
    right.set_title(f"{name}: gradient before training")
    for axis in (left, right):
        axis.grid(alpha=0.3)
