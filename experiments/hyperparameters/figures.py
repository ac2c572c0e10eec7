"""The figure of a grid search: a line over one flag, heat maps over two and more."""

import itertools
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.harness import plotting
from experiments.harness.plotting import Plot
from experiments.hyperparameters.claims import Grid, decimals, finite, headline, said

MOST_PANELS = 4


def draw(grid: Grid, caption: str) -> Plot:
    """What every combination reached.

    Args:
        grid: Results of the search.
        caption: What was done.

    Returns:
        A `Plot`.
    """
    names = list(grid.values[0])
    choices = {
        name: list(dict.fromkeys(v[name] for v in grid.values)) for name in names
    }
    title = headline(grid)
    if len(names) == 1:
        figure, (axis,) = plotting.figure(title, columns=1)
        _line(axis, names[0], choices[names[0]], grid)
    else:
        names.sort(key=lambda name: -len(choices[name]))  # the longest are the axes
        figure = _maps(names, choices, grid, title)
    return plotting.captioned(figure, title, caption)


def _line(axis: Axes, name: str, choices: Sequence[str], grid: Grid) -> None:
    """The mean over one flag's values, and the range over seeds."""
    scores, x = grid.scores, np.arange(len(choices))
    mean = np.array([one.mean() for one in scores])
    spread = [
        mean - [one.min() for one in scores],
        [one.max() for one in scores] - mean,
    ]
    axis.errorbar(x, mean, spread, fmt="o-", color=plotting.COLOURS[0], capsize=4)
    axis.set_xticks(x, [*map(plotting.plain, choices)], parse_math=False)
    axis.set(xlabel=name, ylabel=f"{grid.metric} (bars: range over seeds)")
    for place in x[~np.isfinite(mean)]:
        axis.annotate("diverged", (place, 0.02), xycoords=("data", "axes fraction"))


def _maps(
    names: Sequence[str], choices: dict[str, list[str]], grid: Grid, title: str
) -> Figure:
    """A heat map over the first two flags, for each combination of the others."""
    across, down, *rest = names
    panels = list(itertools.product(*(choices[name] for name in rest)))
    shown = panels[:MOST_PANELS]
    figure, axes = plotting.figure(title, columns=len(shown))
    known = [one.mean() for one in grid.scores if finite(one)] or [0.0]
    limits = {"vmin": min(known), "vmax": max(known), "cmap": "cividis"}
    digits = decimals(grid.scores)
    for axis, panel in zip(axes, shown, strict=True):
        means = np.full((len(choices[down]), len(choices[across])), np.nan)
        axis.grid(False)
        for i, (value, one) in enumerate(zip(grid.values, grid.scores, strict=True)):
            if tuple(value[name] for name in rest) != panel:
                continue
            row = choices[down].index(value[down])
            column = choices[across].index(value[across])
            done = finite(one)
            means[row, column] = one.mean() if done else np.nan
            dark = done and one.mean() < (limits["vmin"] + limits["vmax"]) / 2
            axis.text(
                column,
                row,
                said(one, digits).replace(" ± ", "\n± "),
                ha="center",
                va="center",
                fontsize=9,
                fontweight="bold" if i == grid.best else "normal",
                color="white" if dark else "black",
            )
        axis.imshow(means, aspect="auto", **limits)
        for ticks, name in ((axis.set_xticks, across), (axis.set_yticks, down)):
            places = range(len(choices[name]))
            ticks(places, [*map(plotting.plain, choices[name])], parse_math=False)
        axis.set(xlabel=across)
        shared = ", ".join(f"{n} {v}" for n, v in zip(rest, panel, strict=True))
        axis.set_title(plotting.plain(shared), parse_math=False)
    axes[0].set_ylabel(down)
    figure.colorbar(axes[0].images[0], ax=list(axes), label=grid.metric)
    if len(shown) < len(panels):
        axes[-1].annotate(
            f"{len(panels) - len(shown)} more combinations of {', '.join(rest)} are in "
            "the table",
            (0, -0.2),
            xycoords="axes fraction",
            fontsize=8,
        )
    return figure
