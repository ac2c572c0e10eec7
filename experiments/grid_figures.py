"""The figure of a grid search: a line over one flag, heat maps over two and more."""

import itertools
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments import report

MOST_PANELS = 4


def draw(
    values: Sequence[dict[str, str]],
    scores: Sequence[np.ndarray],
    best: int | None,
    metric: str,
    caption: str,
) -> Figure:
    """What every combination reached.

    Args:
        values: Each flag's value, of each combination.
        scores: [seeds] of each combination, nan where it diverged.
        best: Which is best, if one is.
        metric: What was measured.
        caption: What was done.

    Returns:
        The figure.
    """
    names = list(values[0])
    axes_values = {name: list(dict.fromkeys(v[name] for v in values)) for name in names}
    title = headline(values, scores, best, metric)
    if len(names) == 1:
        figure, (axis,) = report.figure(title, columns=1)
        _line(axis, names[0], axes_values[names[0]], scores, metric)
    else:
        names.sort(key=lambda name: -len(axes_values[name]))  # the longest are the axes
        figure = _maps(names, axes_values, values, scores, best, metric, title)
    report.caption(figure, caption)
    return figure


def headline(
    values: Sequence[dict[str, str]],
    scores: Sequence[np.ndarray],
    best: int | None,
    metric: str,
) -> str:
    """The finding: which is best, and whether another may be as good."""
    if best is None:
        return "All combinations diverged"
    flags = ", ".join(f"{name} {value}" for name, value in values[best].items())
    reached = said(scores[best])
    ranges = [(s.min(), s.max()) for s in scores if np.isfinite(s).all()]
    low, high = scores[best].min(), scores[best].max()
    as_good = sum(a <= high and b >= low for a, b in ranges) - 1
    rest = (
        f";\n{as_good} of {len(scores) - 1} others overlap with it" if as_good else ""
    )
    return f"Best: {textwrap.fill(flags, 50)}\n{metric} {reached}{rest}"


def said(scores: np.ndarray) -> str:
    """The mean over seeds, to as many digits as the deviation leaves.

    Args:
        scores: [seeds].

    Returns:
        "mean ± deviation"; "diverged" if a seed has.

    Example:
        >>> said(np.array([0.9368, 0.9572])), said(np.array([np.nan, 1.0]))
        ('0.947 ± 0.014', 'diverged')
    """
    if not np.isfinite(scores).all():
        return "diverged"
    spread = scores.std(ddof=1) if len(scores) > 1 else 0.0
    size = spread or abs(scores.mean()) / 100 or 1.0
    decimals = int(np.clip(1 - np.floor(np.log10(size)), 0, 9))
    return report.mean_and_deviation(scores, f"{{:.{decimals}f}}")


def _line(axis: Axes, name, choices, scores, metric) -> None:
    """The mean over one flag's values, and the range over seeds."""
    x = np.arange(len(choices))
    mean = np.array([one.mean() for one in scores])
    spread = [
        mean - [one.min() for one in scores],
        [one.max() for one in scores] - mean,
    ]
    axis.errorbar(x, mean, spread, fmt="o-", color=report.COLOURS[0], capsize=4)
    axis.set_xticks(x, choices)
    axis.set(xlabel=name, ylabel=f"{metric} (bars: range over seeds)")
    for place in x[~np.isfinite(mean)]:
        axis.annotate("diverged", (place, 0.02), xycoords=("data", "axes fraction"))


def _maps(names, choices, values, scores, best, metric, title) -> Figure:
    """A heat map over the first two flags, for each combination of the others."""
    across, down, *rest = names
    panels = list(itertools.product(*(choices[name] for name in rest)))
    shown = panels[:MOST_PANELS]
    figure, axes = report.figure(title, columns=len(shown))
    finite = [one.mean() for one in scores if np.isfinite(one).all()] or [0.0]
    limits = {"vmin": min(finite), "vmax": max(finite), "cmap": "cividis"}
    for axis, panel in zip(axes, shown, strict=True):
        grid = np.full((len(choices[down]), len(choices[across])), np.nan)
        axis.grid(False)
        for i, (value, one) in enumerate(zip(values, scores, strict=True)):
            if tuple(value[name] for name in rest) != panel:
                continue
            row = choices[down].index(value[down])
            column = choices[across].index(value[across])
            done = np.isfinite(one).all()
            grid[row, column] = one.mean() if done else np.nan
            dark = done and one.mean() < (limits["vmin"] + limits["vmax"]) / 2
            axis.text(
                column,
                row,
                said(one).replace(" ± ", "\n± "),
                ha="center",
                va="center",
                fontsize=9,
                fontweight="bold" if i == best else "normal",
                color="white" if dark else "black",
            )
        axis.imshow(grid, aspect="auto", **limits)
        axis.set_xticks(range(len(choices[across])), choices[across])
        axis.set_yticks(range(len(choices[down])), choices[down])
        axis.set(xlabel=across)
        axis.set_title(", ".join(f"{n} {v}" for n, v in zip(rest, panel, strict=True)))
    axes[0].set_ylabel(down)
    figure.colorbar(axes[0].images[0], ax=list(axes), label=metric)
    if len(shown) < len(panels):
        axes[-1].annotate(
            f"{len(panels) - len(shown)} more combinations of {', '.join(rest)} are in "
            "the table",
            (0, -0.2),
            xycoords="axes fraction",
            fontsize=8,
        )
    return figure
