"""Figures: exponent, gradient and iterations; flossing; published facts."""

import math
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from experiments.harness import plotting
from experiments.harness.plotting import Plot
from experiments.parallel import claims
from experiments.parallel.records import (
    AFTER,
    FEWEST,
    METHODS,
    NEWTON,
    QUASI,
    STAGES,
    Rows,
    Trajectory,
    by,
    effort,
    known,
    stable,
    variation,
)

NEAR = 0.01  # nats per step, within which the axis of the exponent is linear
LONGEST = 1e4  # steps of a half-life that is drawn
LOOKS = {NEWTON: ("o", 0), QUASI: ("^", 1)}  # marker, and number of the color
COLUMNS = 6


def draw_axes(rows: Rows, caption: str) -> Plot:
    """Half-life of the gradient and iterations, both in steps, against the exponent.

    Args:
        rows: Trajectories of the cells.
        caption: Setting of the run.

    Returns:
        A `Plot`, one panel per stage of training.
    """
    rows = known(rows)
    finding = claims.answer(rows)
    figure, axes = plotting.figure(finding, columns=len(STAGES))
    figure.set_size_inches(14, 5.4)
    for axis, stage in zip(axes, STAGES, strict=True):
        some = [row for row in rows if row.stage == stage]
        _draw_common(axis, some)
        axis.set_title(f"{stage} training")
    axes[0].set_ylabel("iterations; steps in which the gradient halves")
    axes[-1].legend(fontsize=8, loc="lower right")
    return plotting.captioned(
        figure,
        finding,
        f"{caption} Crosses at the top: the solver has not converged. Dotted: "
        "half-life of a gradient that shrinks at the rate of the exponent.",
        "Half-life of the gradient, and iterations of both solvers, against the "
        "largest Lyapunov exponent of the same trajectory.",
    )


def _draw_common(axis: Axes, rows: Rows) -> None:
    """Draw one stage: the half-life and the iterations on one axis."""
    x = np.array([row.exponent for row in rows], float)
    lives = np.array([row.half_life for row in rows], float)
    grows = np.array([float(row.measured.decay) < 0 for row in rows], bool)
    lives = np.where(grows | (lives > LONGEST), np.nan, lives)
    axis.plot(x, lives, "s", ms=4, color="0.55", alpha=0.6, label="half-life, steps")
    top = _top(rows, METHODS)
    for method in METHODS:
        marker, number = LOOKS[method]
        shade = plotting.COLORS[number]
        ended = np.array([bool(row.solved(method).converged) for row in rows], bool)
        count = np.array([_iterations(row, method) for row in rows], float)
        style = {"color": shade, "alpha": 0.6, "linestyle": "none"}
        label = f"iterations, {method}"
        axis.plot(x[ended], count[ended], marker=marker, ms=4, label=label, **style)
        height = top if method == NEWTON else 1.5 * top
        lost = np.full((~ended).sum(), height)
        axis.plot(x[~ended], lost, marker="x", ms=5, **style)
    line = -np.geomspace(1e-3, max(1.0, -x.min(initial=-1.0)), 100)
    axis.plot(
        line, math.log(2) / -line, ":", color="k", lw=1, label="ln 2 / |exponent|"
    )
    axis.axvline(0, color="0.3", linewidth=0.8)
    axis.set_xscale("symlog", linthresh=NEAR)
    axis.set_yscale("log")
    axis.set_xlabel("largest Lyapunov exponent, nats per step")


def _top(rows: Rows, methods: Sequence[str]) -> float:
    """Height of the crosses: above all iterations."""
    return 2.2 * max([10.0, *(_iterations(row, m) for row in rows for m in methods)])


def _iterations(row: Trajectory, method: str) -> float:
    """Number of iterations, at least 1 for a log axis."""
    return max(1.0, float(row.solved(method).iterations))


def draw_cells(rows: Rows, caption: str) -> Plot:
    """Iterations of Newton's method against the exponent, one panel per cell.

    Args:
        rows: Trajectories of the cells.
        caption: Setting of the run.

    Returns:
        A `Plot`.
    """
    rows = known(rows)
    cells = by(rows, lambda row: row.cell)
    columns = min(COLUMNS, len(cells) or 1)
    height = -(-len(cells) // columns) or 1
    finding = _product_title(rows)
    size = max(2.4 * columns, 6.4), 2.2 * height + 1.3
    figure = plotting.titled(finding, size)
    with matplotlib.rc_context({"font.size": 8}):
        axes = figure.subplots(
            height, columns, squeeze=False, sharex=True, sharey=True
        ).ravel()
    for axis, (cell, some) in zip(axes, cells.items(), strict=False):
        _draw_cell(axis, some, _top(rows, [NEWTON]))
        axis.set_title(plotting.written(cell), fontsize=9)
    for number in range(len(cells), len(axes)):
        axes[number].axis("off")
        above = axes[number - columns]  # whose ticks are labeled instead
        above.xaxis.set_tick_params(labelbottom=True)
    if cells:
        axes[0].legend(fontsize=6)
    for axis in axes[::columns]:
        axis.set_ylabel("iterations", fontsize=7)
    return plotting.captioned(
        figure,
        finding,
        "x axis: largest Lyapunov exponent, nats per step. Crosses at the top: the "
        "solver has not converged. Lines: median product of iterations and |exponent|. "
        f"{caption}",
        "Iterations of Newton's method against the largest Lyapunov exponent, cell by "
        "cell.",
    )


def _draw_cell(axis: Axes, rows: Rows, top: float) -> None:
    """Draw one cell, one color per stage; the crosses at the top."""
    for i, stage in enumerate(STAGES):
        for ended, marker in ((True, "o"), (False, "x")):
            some = [
                row
                for row in rows
                if row.stage == stage and bool(row.solved().converged) == ended
            ]
            axis.plot(
                [row.exponent for row in some],
                [_iterations(row, NEWTON) if ended else top for row in some],
                marker,
                ms=3.5,
                alpha=0.7,
                color=plotting.COLORS[i],
                label=f"{stage} training" if ended else None,
            )
    if some := stable(rows):
        ends = [-row.exponent * _iterations(row, NEWTON) for row in some]
        x = np.geomspace(1e-2, 2.0, 50)
        y = np.median(ends) / x
        there = (y >= 1) & (y <= top)
        axis.plot(-x[there], y[there], "-", color="0.5", lw=0.8)
    axis.axvline(0, color="0.3", linewidth=0.6)
    axis.set_xscale("symlog", linthresh=NEAR)
    axis.set_yscale("log")
    axis.tick_params(labelsize=6)


def _product_title(rows: Rows) -> str:
    """The finding: how constant iterations x |exponent| are, over the cells."""
    values = [
        variation(some)
        for some in by(stable(rows), lambda row: row.cell).values()
        if len(some) >= FEWEST
    ]
    if not values:
        return "Iterations of Newton's method against the largest exponent"
    return (
        "Iterations times |exponent| vary within a cell by "
        f"{100 * min(values):.0f} to {100 * max(values):.0f} % (median "
        f"{100 * float(np.median(values)):.0f} %)"
    )


def draw_flossing(rows: Rows, caption: str) -> Plot:
    """Exponent, half-life, iterations and accuracy against the target of flossing.

    Args:
        rows: Trajectories of the flossed cells.
        caption: Setting of the run.

    Returns:
        A `Plot`.
    """
    rows = [row for row in known(rows) if row.stage == AFTER]
    finding = claims.answer([], rows)
    figure = plotting.titled(finding, (13.0, 3.9))
    axes = figure.subplots(1, 4)
    quantities = (
        ("exponent, nats per step", lambda row: row.exponent),
        ("decay rate of the gradient", lambda row: float(row.measured.decay)),
        ("iterations of Newton's method", effort),
        ("test accuracy", lambda row: row.accuracy),
    )
    cells = by(rows, lambda row: row.cell)
    for axis, (name, quantity) in zip(axes, quantities, strict=True):
        for i, (cell, some) in enumerate(cells.items()):
            values = [quantity(row) for row in some]
            _draw_target(axis, some, values, i, plotting.written(cell))
        axis.set(xlabel="target of the exponent", title=name)
        axis.grid(alpha=0.3)
    targets = sorted({row.settings["target"] for row in rows})
    axes[0].plot(targets, targets, ":", color="0.4", label="target")
    axes[2].set_yscale("log")
    axes[2].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes[2].yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes[2].yaxis.set_minor_locator(NullLocator())
    axes[0].legend(fontsize=8)
    return plotting.captioned(
        figure,
        finding,
        f"{caption} Lines: medians over seeds; points: seeds. Crosses at the top: the "
        "solver has not converged.",
        "Networks that are trained with a penalty on the distance of the largest "
        "exponent from a target.",
    )


def _draw_target(
    axis: Axes, rows: Rows, values: Sequence[float], index: int, label: str
) -> None:
    """Draw one quantity of one cell against the target."""
    x = np.array([row.settings["target"] for row in rows])
    y = np.array(values)
    shade = plotting.COLORS[index]
    targets = np.unique(x)
    middle = np.array([np.median(y[x == target]) for target in targets])
    there = np.isfinite(middle)
    axis.plot(targets[there], middle[there], color=shade, label=label)
    finite = np.isfinite(y)
    axis.plot(x[finite], y[finite], "o", ms=4, alpha=0.6, color=shade)
    if not finite.all():
        top = 1.3 * y[finite].max(initial=1.0)
        axis.plot(x[~finite], np.full((~finite).sum(), top), "x", color=shade)
