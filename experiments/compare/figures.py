"""Figures: the curves of all runs together."""

from collections.abc import Sequence

import matplotlib
from matplotlib.figure import Figure

from experiments.compare.measure import Curves
from experiments.harness.plotting import Plot, captioned, mean_and_range, plain

COLUMNS, MOST_PANELS = 3, 9


def draw(
    title: str,
    curves: Sequence[Curves],
    names: Sequence[str],
    axes: tuple[str, str],
    caption: str,
    *,
    log: bool = True,
) -> Plot | None:
    """Draw one panel per case, with one line per run.

    Args:
        title: Title of the figure.
        curves: The curves of every case.
        names: Names of the runs.
        axes: Labels of both axes.
        caption: The runs in words.
        log: Whether the y axis is logarithmic if all values are positive.

    Returns:
        A `Plot` without a finding; None if there is no curve.
    """
    if not curves:
        return None
    shown = curves[:MOST_PANELS]
    columns = min(len(shown), COLUMNS)
    rows = -(-len(shown) // columns)
    with matplotlib.rc_context({"font.size": 10}):
        size = 4.5 * columns + 1, 3.6 * rows + 1
        figure = Figure(figsize=size, dpi=110, layout="constrained")
        figure.suptitle(plain(title), fontweight="bold", fontsize=12, parse_math=False)
        panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axis in panels.flat[len(shown) :]:
        axis.axis("off")
    for axis, case in zip(panels.flat, shown, strict=False):
        axis.set_title(plain(case.case), fontsize=10, parse_math=False)
        axis.grid(alpha=0.3)
        for i, (x, values) in case.by_run.items():
            marker = "o" if len(x) == 1 else None
            mean_and_range(axis, x, values, i, label=plain(names[i]), marker=marker)
        axis.set_xlabel(axes[0])
    drawn = [values for case in shown for _, values in case.by_run.values()]
    if log and all((values > 0).all() for values in drawn):
        panels[0, 0].set_yscale("log")  # of all panels, which share it
    for axis in panels[:, 0]:
        axis.set_ylabel(axes[1])
    panels[0, 0].legend()
    left_out = len(curves) - len(shown)
    rest = f" {left_out} more cases are left out." if left_out else ""
    text = f"{title}. Lines: means over seeds; bands: their range.{rest} {caption}"
    return captioned(figure, "", text)
