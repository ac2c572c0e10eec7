"""The figure of a study: accuracy and decay along each setting."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.harness import plotting
from experiments.harness.plotting import Plot
from experiments.study.claims import WORDS, best_setting, seeds_of, settings_of, title
from experiments.study.config import AXES
from experiments.study.measure import CellResult

RATES = "learning_rate", "clip_norm"  # on a log scale
NO_CLIP = "none"
LINEAR = 0.1  # decay rates up to here are on a linear scale
BEFORE = {"linestyle": ":", "alpha": 0.8}


def draw(
    studied: Sequence[CellResult], axes: Sequence[str], least: float, caption: str
) -> Plot:
    """Draw accuracy and decay rate, one column per setting that varies.

    Args:
        studied: Results, one per cell.
        axes: Names of the settings that vary.
        least: Accuracy from which a setting counts as trained.
        caption: The setting of the run.
    """
    names = list(axes) or [AXES[0]]
    with matplotlib.rc_context({"font.size": 10}):
        size = max(4.2 * len(names), 7.0), 7.4
        figure = Figure(figsize=size, dpi=110, layout="constrained")
        panels = figure.subplots(2, len(names), sharey="row", squeeze=False)
    finding = title(studied, least)
    figure.suptitle(finding, fontweight="bold", fontsize=12)
    for column, name in zip(panels.T, names, strict=True):
        for i, result in enumerate(studied):
            draw_cell(column, name, result, i)
        column[0].axhline(100 * least, color="0.4", linewidth=0.8, linestyle="--")
        column[1].axhline(0, color="0.4", linewidth=0.8)
        for panel in column:
            decorate(panel, name, studied)
    panels[1, 0].set_yscale("symlog", linthresh=LINEAR)
    panels[0, 0].set_ylabel("held-out accuracy, %")
    panels[1, 0].set_ylabel("decay of the gradient, nats per step")
    panels[0, 0].legend(fontsize=8)
    panels[1, 0].plot([], [], color="0.3", label="after training")
    panels[1, 0].plot([], [], color="0.3", label="before training", **BEFORE)
    panels[1, 0].legend(fontsize=8)
    return plotting.captioned(
        figure,
        finding,
        caption,
        "Held-out accuracy, and decay rate of the gradient before (dotted) and after "
        "training (solid), against each setting, one line per cell.",
    )


def draw_cell(column: Sequence[Axes], name: str, result: CellResult, i: int) -> None:
    """Draw one cell along one setting, with the other settings at its best."""
    count = len(seeds_of(result))
    settings = settings_of(result)
    best = settings[best_setting(result)]
    values, slices = [], []
    for j, member in enumerate(settings):
        if member._replace(**{name: getattr(best, name)}) == best:
            values.append(getattr(member, name))
            slices.append(slice(j * count, (j + 1) * count))
    if None in values:  # a cell without this setting
        return
    order = np.argsort(place_of(name, values))
    x = place_of(name, values)[order]

    def along(quantity):
        rows = [np.asarray(quantity)[slices[j]] for j in order]
        return np.array(rows).T  # [seeds, x]

    accuracy, diverged = 100 * along(result.accuracy), along(result.diverged) > 0
    mark = {"marker": "o", "markersize": 4}
    for panel, curve, options in (
        (column[0], accuracy, {"label": result.cell}),
        (column[1], along(result.after), {}),
    ):
        plotting.mean_and_range(panel, x, curve, i, **mark, **options)
        for row, lost in zip(curve, diverged, strict=True):
            color = plotting.line_style(i)["color"]
            panel.plot(x[lost], row[lost], "x", color=color, markersize=8, mew=2)
    style = plotting.line_style(i) | BEFORE
    column[1].plot(x, along(result.before).mean(axis=0), **style)


def place_of(name: str, values: Sequence[float]) -> np.ndarray:
    """Places of values on the x axis: no clipping is to the right of all norms."""
    places = np.array(values, float)
    if name == "clip_norm" and (places == 0).any():
        largest = places.max() or 1.0
        places[places == 0] = 10 * largest
    return places


def decorate(panel: Axes, name: str, studied: Sequence[CellResult]) -> None:
    """Scale, ticks and label of the x axis."""
    members = [m for result in studied for m in result.members]
    values = sorted({getattr(m, name) for m in members} - {None})
    places = place_of(name, values)
    if name in RATES:
        panel.set_xscale("log")
        panel.minorticks_off()
    hidden = name == "clip_norm"
    labels = [NO_CLIP if hidden and not value else f"{value:g}" for value in values]
    panel.set_xticks(places, labels)
    panel.set_xlabel(WORDS[name])
    panel.grid(alpha=0.3)
