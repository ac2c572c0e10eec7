"""The figures of the atlas."""

import itertools
import textwrap
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.atlas import claims
from experiments.atlas.rows import VIEW_NAMES, Analysis
from experiments.atlas.scores import (
    ALL,
    DEFAULTS,
    FEWEST_CELLS,
    MEASURES,
    OUTCOMES,
    WITHIN,
    Points,
)
from experiments.harness import plotting
from experiments.harness.plotting import Plot

LONGEST = 1e4  # half-life that is drawn; longer ones are at the edge
LEAST = -3.0  # exponent that is drawn
LINEAR = 1e-2  # exponents up to here are on a linear scale
SHADES = 5  # of the colors
UNSOLVED = "0.6"
MARKERS = "o", "s", "^", "D"
SHAPES = "circles", "squares", "triangles", "diamonds"
VIEW_STYLES = {ALL: ("o", 0.22), DEFAULTS: ("s", 0.0), WITHIN: ("^", -0.22)}


def draw_map(atlas: Points, caption: str) -> Plot:
    """Draw half-life against exponent, colored by how the networks learn.

    Args:
        atlas: The points.
        caption: Setting of the run.

    Returns:
        A `Plot`.
    """
    with matplotlib.rc_context({"font.size": 9}):
        figure = Figure(figsize=(14, 8.5), dpi=110, layout="constrained")
        grid = figure.add_gridspec(2, 3)
        axes = [
            figure.add_subplot(grid[:, :2]),
            figure.add_subplot(grid[0, 2]),
            figure.add_subplot(grid[1, 2]),
        ]
    finding = claims.map_title(atlas)
    figure.suptitle(finding, fontweight="bold", fontsize=12)
    drawn = ("adding, steps", "temporal order, steps", "copy memory, loss")
    for axis, name in zip(axes, drawn, strict=True):
        draw_points(axis, atlas, name, size=6 if axis is axes[0] else 4)
        axis.set_title(name.replace(", steps", ""), fontsize=10)
        axis.legend(fontsize=7, loc="lower right")
    label_cells(axes[0], atlas)
    return plotting.captioned(
        figure,
        finding,
        f"{caption} One point per cell, initialization and number of units, the median "
        f"over seeds; {marker_text(atlas)} Names: cells with their default "
        f"initialization and the most units. Half-lives above {LONGEST:,.0f} and "
        f"exponents below {LEAST:g} are at the edge.",
        "Half-life of the gradient against the largest Lyapunov exponent, both before "
        "training. Color: steps to solve the task, or loss on copy memory.",
    )


def marker_text(atlas: Points) -> str:
    """The markers of the numbers of units, in words."""
    words = dict(zip(MARKERS, SHAPES, strict=True))
    pairs = zip(np.unique(atlas.features), MARKERS, strict=False)
    return ", ".join(f"{words[m]} {units} units" for units, m in pairs) + "."


def places(atlas: Points) -> tuple[np.ndarray, np.ndarray]:
    """Half-lives and exponents, within the limits of the figure."""
    names = list(MEASURES)
    half_life = atlas.measures[:, names.index("half-life")]
    exponent = atlas.measures[:, names.index("largest exponent")]
    return np.minimum(half_life, LONGEST), np.maximum(exponent, LEAST)


def draw_points(axis: Axes, atlas: Points, name: str, size: float) -> None:
    """Draw all points, colored by one outcome in a few shades."""
    x, y = places(atlas)
    values = -atlas.outcomes[:, list(OUTCOMES).index(name)]
    colors = matplotlib.colormaps["viridis"](np.linspace(0.0, 0.95, SHADES))
    known = np.isfinite(values)
    bins = [(~known, UNSOLVED, "not solved")] if (~known).any() else []
    if known.any():
        shares = np.linspace(0, 1, SHADES + 1)
        edges = np.unique(np.quantile(values[known], shares, method="inverted_cdf"))
        edges = edges if len(edges) > 1 else np.repeat(edges, 2)
        form, unit = ("{:.0f}", " steps") if "steps" in name else ("{:#.4g}", "")
        for i, (low, high) in enumerate(itertools.pairwise(edges)):
            last = i == len(edges) - 2
            inside = (
                known & (values >= low) & ((values < high) | (last & (values == high)))
            )
            ends = [form.format(end(values[inside])) for end in (np.min, np.max)]
            label = " to ".join(dict.fromkeys(ends)) + unit
            bins.append((inside, colors[i], label))
    for inside, color, label in bins:
        for units, marker in zip(np.unique(atlas.features), MARKERS, strict=False):
            here = inside & (atlas.features == units)
            style = {"color": color, "markersize": size, "alpha": 0.85, "mew": 0.3}
            axis.plot(
                x[here],
                y[here],
                marker,
                mec="white",
                label=label if units == atlas.features.min() else None,
                **style,
            )
    axis.set_xscale("log")
    axis.set_xlim(right=3 * x.max())  # room for the last name
    axis.set_yscale("symlog", linthresh=LINEAR)
    axis.set_ylim(bottom=1.5 * min(float(np.nanmin(y, initial=0.0)), -LINEAR))
    axis.axhline(0, color="0.4", linewidth=0.8, zorder=0)
    axis.set_xlabel("half-life of the gradient, steps")
    axis.set_ylabel("largest Lyapunov exponent, nats per step")
    axis.grid(alpha=0.3)


def label_cells(axis: Axes, atlas: Points) -> None:
    """Name the cells at their default initialization, where there is room."""
    named = atlas.at(atlas.default & (atlas.features == atlas.features.max()))
    x, y = places(named)
    every = axis.transData.transform(np.column_stack(places(atlas)))
    points = axis.transData.transform(np.column_stack([x, y]))
    taken: list[tuple[float, float, float, float]] = [
        (px - 3, py - 3, px + 3, py + 3) for px, py in every
    ]
    for cell, (px, py) in sorted(
        zip(named.cells, points, strict=True), key=lambda p: -p[1][1]
    ):
        width, height = 5.6 * len(cell) + 2, 10.0
        for radius in (6, 16, 28, 42, 60, 80):
            options = []
            for angle in np.linspace(0, 2 * np.pi, 16, endpoint=False):
                dx, dy = radius * np.cos(angle), radius * np.sin(angle)
                left = px + dx if dx >= 0 else px + dx - width
                box = left, py + dy - height / 2, left + width, py + dy + height / 2
                crossings = sum(_overlap(box, other) for other in taken)
                options.append((crossings, abs(angle - np.pi), dx, dy, box))
            crossings, _, dx, dy, box = min(options)
            if not crossings:
                break
        taken.append(box)
        axis.annotate(
            cell,
            tuple(axis.transData.inverted().transform((px, py))),
            (dx * 72 / 110, dy * 72 / 110),
            textcoords="offset points",
            fontsize=7,
            ha="left" if dx >= 0 else "right",
            va="center",
            arrowprops={"arrowstyle": "-", "color": "0.5", "linewidth": 0.5},
        )


def _overlap(a: Sequence[float], b: Sequence[float]) -> bool:
    """Whether two boxes (left, bottom, right, top) overlap."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def draw_correlations(analysis: Analysis, caption: str) -> Plot:
    """Draw rank correlations with intervals, one panel per outcome.

    Args:
        analysis: The statistics.
        caption: Setting of the run.

    Returns:
        A `Plot`.
    """
    with matplotlib.rc_context({"font.size": 9}):
        figure = Figure(figsize=(15, 6.5), dpi=110, layout="constrained")
        axes = figure.subplots(1, len(OUTCOMES), sharey=True, sharex=True)
    finding = claims.correlation_title(analysis)
    figure.suptitle(finding, fontweight="bold", fontsize=12)
    rows = np.arange(len(MEASURES))
    for axis, name in zip(axes, OUTCOMES, strict=True):
        for i, (view, (marker, shift)) in enumerate(VIEW_STYLES.items()):
            intervals = [
                analysis.estimate(measure, name, view).interval()
                for measure in MEASURES
            ]
            label = VIEW_NAMES[view]
            draw_intervals(axis, intervals, rows - shift, marker, i, label)
        axis.axvline(0, color="0.4", linewidth=0.8)
        axis.set(title=name, xlim=(-1.1, 1.1), xlabel="rank correlation")
        axis.grid(alpha=0.3)
    axes[0].set_yticks(rows, list(MEASURES))
    axes[0].invert_yaxis()
    handles, labels = axes[0].get_legend_handles_labels()
    labels = [textwrap.fill(label, 18) for label in labels]
    figure.legend(handles, labels, loc="outside right center", fontsize=8)
    return plotting.captioned(
        figure,
        finding,
        f"{caption} Spearman's rank correlation of each measure before training with "
        "how well the networks learn; each measure is signed so that theory expects a "
        f"positive correlation. Mean over numbers of units; {claims.BOOTSTRAP}. "
        "Without a mark: all outcomes or measures are equal, or no cell has them. "
        f"Without a bar: fewer than {FEWEST_CELLS} cells.",
    )


def draw_intervals(
    axis: Axes, intervals: Sequence, y: np.ndarray, marker: str, i: int, label: str
) -> None:
    """Draw statistics and their intervals, one row each."""
    values = np.array([(b.mean, b.low, b.high) for b in intervals]).reshape(-1, 3)
    known = np.isfinite(values[:, 0])
    mean, low, high = values[known].T
    low, high = (np.where(np.isfinite(end), end, mean) for end in (low, high))
    # A percentile interval need not hold the statistic.
    errors = np.clip([mean - low, high - mean], 0, None)
    style = {"color": plotting.line_style(i)["color"], "markersize": 5}
    axis.errorbar(
        mean, y[known], xerr=errors, fmt=marker, label=label, elinewidth=1.2, **style
    )


def draw_predictions(analysis: Analysis, caption: str) -> Plot:
    """Draw how well cells that are left out are predicted, one row per outcome.

    Args:
        analysis: The statistics.
        caption: Setting of the run.

    Returns:
        A `Plot`.
    """
    finding = claims.prediction_title(analysis)
    figure = plotting.titled(finding, (8.5, 4.2))
    axis = figure.subplots()
    known = {n: p for n, p in analysis.predictions.items() if p is not None}
    rows = np.arange(len(known))
    kinds = (("single", "best single measure", 0.12), ("sparse", "lasso", -0.12))
    for i, (kind, label, shift) in enumerate(kinds):
        intervals = [getattr(p, kind).interval() for p in known.values()]
        draw_intervals(axis, intervals, rows - shift, "os"[i], i, label)
    for row, (_, prediction) in zip(rows, known.items(), strict=True):
        text = f"  {prediction.chosen}"
        axis.annotate(text, (1.0, row), fontsize=8, va="center", annotation_clip=False)
    axis.axvline(0, color="0.4", linewidth=0.8)
    axis.set_yticks(rows, list(known))
    axis.invert_yaxis()
    axis.set(
        xlim=(-1, 1), xlabel="share of the variance of ranks that is predicted, $R^2$"
    )
    axis.grid(alpha=0.3)
    # An outside legend of the figure would be on the title.
    above = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "frameon": False}
    axis.legend(ncols=2, **above)
    return plotting.captioned(
        figure,
        finding,
        f"{caption} Each cell is predicted from all other cells; 0: the mean of the "
        f"others. Right: the best single measure. {claims.BOOTSTRAP}.",
        "Share of the variance of ranks that is predicted for cells that are left out.",
    )
