"""The figure of a grid search: a line for one flag, heat maps for several."""

import itertools
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.harness import plotting
from experiments.harness.plotting import Plot
from experiments.harness.tables import decimals, finite
from experiments.hyperparameters.claims import headline, mean_text
from experiments.hyperparameters.grid import GridResult

MOST_PANELS = 4


def draw(result: GridResult, caption: str) -> Plot:
    """Draw the scores of every combination.

    Args:
        result: Results of the search.
        caption: Description of the experiment.

    Returns:
        A `Plot`.
    """
    names = list(result.values[0])
    choices = {
        name: list(dict.fromkeys(v[name] for v in result.values)) for name in names
    }
    title = headline(result)
    if len(names) == 1:
        figure, (axis,) = plotting.figure(title, columns=1)
        _line(axis, names[0], choices[names[0]], result)
    else:
        names.sort(
            key=lambda name: -len(choices[name])
        )  # flags with the most values become the axes
        figure = _maps(names, choices, result, title)
    return plotting.captioned(figure, title, caption)


def _line(axis: Axes, name: str, choices: Sequence[str], result: GridResult) -> None:
    """Plot the mean and the range over seeds against the values of one flag."""
    scores, x = result.scores, np.arange(len(choices))
    mean = np.array([values.mean() for values in scores])
    spread = [
        mean - [values.min() for values in scores],
        [values.max() for values in scores] - mean,
    ]
    axis.errorbar(x, mean, spread, fmt="o-", color=plotting.COLORS[0], capsize=4)
    axis.set_xticks(x, [*map(plotting.plain, choices)], parse_math=False)
    axis.set(xlabel=name, ylabel=f"{result.metric} (bars: range over seeds)")
    for place in x[~np.isfinite(mean)]:
        axis.annotate("diverged", (place, 0.02), xycoords=("data", "axes fraction"))


def _maps(
    names: Sequence[str], choices: dict[str, list[str]], result: GridResult, title: str
) -> Figure:
    """Draw heat maps over two flags, one per combination of the remaining flags."""
    across, down, *rest = names
    panels = list(itertools.product(*(choices[name] for name in rest)))
    shown = panels[:MOST_PANELS]
    figure, axes = plotting.figure(title, columns=len(shown))
    means_of_trials = [scores.mean() for scores in result.scores if finite(scores)] or [
        0.0
    ]
    limits = {
        "vmin": min(means_of_trials),
        "vmax": max(means_of_trials),
        "cmap": "cividis",
    }
    digits = decimals(result.scores)
    for axis, panel in zip(axes, shown, strict=True):
        means = np.full((len(choices[down]), len(choices[across])), np.nan)
        axis.grid(False)
        for i, (value, scores) in enumerate(
            zip(result.values, result.scores, strict=True)
        ):
            if tuple(value[name] for name in rest) != panel:
                continue
            row = choices[down].index(value[down])
            column = choices[across].index(value[across])
            done = finite(scores)
            means[row, column] = scores.mean() if done else np.nan
            dark = done and scores.mean() < (limits["vmin"] + limits["vmax"]) / 2
            axis.text(
                column,
                row,
                mean_text(scores, digits).replace(" ± ", "\n± "),
                ha="center",
                va="center",
                fontsize=9,
                fontweight="bold" if i == result.best else "normal",
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
    figure.colorbar(axes[0].images[0], ax=list(axes), label=result.metric)
    if len(shown) < len(panels):
        axes[-1].annotate(
            f"{len(panels) - len(shown)} more combinations of {', '.join(rest)} are in "
            "the table",
            (0, -0.2),
            xycoords="axes fraction",
            fontsize=8,
        )
    return figure
