"""The style of figures for papers: the width of a column, 8 points, no title inside.

The finding and the caption are left out, as they belong into the text of the paper.
"""

import math
import re
import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator

COLUMN, TWO_COLUMNS = 3.25, 6.75  # inches
POINTS = 8.0
HEIGHT = 2.2  # inches of a panel
STACKED = 4  # most panels in one column
ACROSS = 3  # most panels in a row over two columns
THIN = 0.6  # lines and markers, relative to the screen
FEW = 4  # most entries of a legend inside a panel
LONG, WIDE = 26, 40  # characters in the height and the width of a panel
LINE = 0.14  # inches of a line of text
BELOW: Any = {"loc": "outside lower center", "frameon": False}


def restyle(figure: Figure, *, wide: bool = False) -> None:
    """Change a figure to the style for papers.

    Panels in a grid are put below each other, if they are few. Other figures, such as
    grids of pictures, keep their arrangement and take two columns.

    Args:
        figure: The figure.
        wide: Whether to use the width of two columns.

    Example:
        >>> figure = Figure(figsize=(11, 5))
        >>> left, right = figure.subplots(1, 2)
        >>> restyle(figure)
        >>> figure.get_size_inches().tolist()
        [3.25, 4.4]
    """
    for text in (figure.suptitle(""), figure.supxlabel("")):
        text.set_in_layout(False)
    panels = [axis for axis in figure.axes if axis.get_subplotspec() is not None]
    empty = [a for a in panels if not (a.axison or a.has_data() or a.texts)]
    for axis in empty:
        axis.remove()
    panels = [axis for axis in panels if axis not in empty]
    if not _is_grid(panels):
        _shrink(figure, panels)
        return
    count = len(panels)
    ticks = [_names(axis) for axis in panels]
    worded = max(len(name) for names in ticks for name in ("", *names)) > LONG
    narrow = not wide and count <= STACKED and not worded
    across = 1 if narrow or worded else min(count, ACROSS if wide else 2)
    down = -(-count // across)
    heights = [
        max(HEIGHT, 1 + LINE * max(map(len, ticks[i * across : (i + 1) * across])))
        for i in range(down)
    ]
    grid = GridSpec(down, across, figure=figure, height_ratios=heights)
    for i, axis in enumerate(panels):
        axis.set_subplotspec(grid[divmod(i, across)])
        _label(axis)
    figure.set_size_inches(COLUMN if narrow else TWO_COLUMNS, sum(heights))
    _set_text(figure, 1.0)
    if count == 1:
        panels[0].set_title("")
    _finish(figure, panels)
    for legend in list(figure.legends):
        _heighten(figure, len(legend.texts) // (1 if narrow else 2))
        figure.legend(
            *_entries(legend, {}),
            ncols=1 if narrow else 2,
            fontsize=POINTS,
            **BELOW,
        )
        legend.remove()


def _is_grid(panels: list[Axes]) -> bool:
    """Whether all panels have axes, and fill one cell each of one grid."""
    places = [axis.get_subplotspec() for axis in panels]
    grids = {id(place.get_gridspec()) for place in places if place is not None}
    single = all(place and place.num1 == place.num2 for place in places)
    return len(grids) == 1 and single and all(axis.axison for axis in panels)


def _names(axis: Axes) -> list[str]:
    """The labels of the y axis, if they were given one by one."""
    if not isinstance(axis.yaxis.get_major_locator(), FixedLocator):
        return []
    return [text.get_text() for text in axis.get_yticklabels()]


def _label(axis: Axes) -> None:
    """Give a panel the labels that it had in common with its neighbors."""
    axis.tick_params(which="both", labelleft=True, labelbottom=True)
    for direction in "xy":
        group = getattr(axis, f"get_shared_{direction}_axes")().get_siblings(axis)
        labels = [getattr(a, f"get_{direction}label")() for a in (axis, *group)]
        axis.set(**{f"{direction}label": next(filter(None, labels), "")})


def _wrap_labels(axis: Axes) -> None:
    """Divide long labels into lines."""
    axis.set_xlabel(_wrapped(axis.get_xlabel(), WIDE))
    axis.set_ylabel(_wrapped(axis.get_ylabel(), LONG))


def _wrapped(label: str, most: int) -> str:
    """A label in lines that fit a panel; formulas are not divided."""
    if len(re.sub(r"\$.*?\$", "xxxxx", label)) <= most:
        return label
    if "$" in label:
        return re.sub(r"(,|\)) (?=[^$]*\$)", r"\1\n", label, count=1)
    return "\n".join(textwrap.fill(line, most) for line in label.split("\n"))


def _shrink(figure: Figure, panels: list[Axes]) -> None:
    """Reduce a figure to two columns; text inside pictures shrinks with them."""
    width, height = figure.get_size_inches()
    scale = TWO_COLUMNS / width
    figure.set_size_inches(TWO_COLUMNS, height * scale)
    pictures = not all(axis.axison for axis in panels)
    _set_text(figure, min(1.0, scale) if pictures else 1.0)
    _finish(figure, panels)


def _finish(figure: Figure, panels: list[Axes]) -> None:
    """Thin lines, short lines of text, and legends of 8 points, not over the data."""
    _thin(figure)
    for axis in panels:
        _wrap_labels(axis)
        _rebuild_legend(axis)
    figure.draw_without_rendering()  # sizes of panels, labels and legends
    for axis in panels:
        label, width = axis.xaxis.label, axis.get_window_extent().width
        share = width / max(label.get_window_extent().width, 1.0)
        if share < 1:  # a color bar takes a part of the width
            lines = label.get_text().split("\n")
            label.set_text(
                _wrapped(" ".join(lines), int(len(max(lines, key=len)) * share))
            )
        if _covers_data(axis):
            _rebuild_legend(axis, below=True)


def _set_text(figure: Figure, scale: float) -> None:
    """Set all text to 8 points, or to a part of them."""
    for text in figure.findobj(Text):
        text.set_fontsize(max(POINTS * scale, 4))
    for axis in figure.axes:
        axis.tick_params(labelsize=max(POINTS * scale, 4))


def _thin(figure: Figure) -> None:
    """Reduce the widths of lines and the sizes of markers."""
    for artist in figure.findobj():
        if isinstance(artist, Line2D | Patch):
            artist.set_linewidth(artist.get_linewidth() * THIN)
        if isinstance(artist, Line2D):
            artist.set_markersize(artist.get_markersize() * THIN)
        if isinstance(artist, Collection):
            widths = np.atleast_1d(artist.get_linewidth())
            artist.set_linewidth((THIN * widths).tolist())


def _entries(legend: Legend, drawn: Mapping[str, Any]) -> tuple[list, list[str]]:
    """The handles of a legend, if possible the artists themselves, and the labels."""
    labels = [text.get_text() for text in legend.get_texts()]
    pairs = zip(labels, legend.legend_handles, strict=True)
    return [drawn.get(label, handle) for label, handle in pairs], labels


def _heighten(figure: Figure, rows: int) -> None:
    """Give a legend room."""
    figure.set_figheight(figure.get_figheight() + LINE * rows)


def _covers_data(axis: Axes) -> bool:
    """Whether the legend of a panel is on top of lines or bars."""
    legend = axis.get_legend()
    if legend is None:
        return False
    box = legend.get_window_extent()
    paths = [
        artist.get_transform().transform_path(artist.get_path())
        for artist in (*axis.lines, *axis.patches)
    ]
    return any(path.intersects_bbox(box, filled=False) for path in paths)


def _rebuild_legend(axis: Axes, below: bool = False) -> None:
    """Draw a legend of 8 points, below the panel if it has many entries."""
    legend = axis.get_legend()
    if legend is None:
        return
    artists, names = axis.get_legend_handles_labels()
    handles, labels = _entries(legend, dict(zip(names, artists, strict=True)))
    title = legend.get_title().get_text() or None
    place: dict[str, Any] = {"loc": "best"}
    outside = legend.get_bbox_to_anchor() is not axis.bbox
    if len(labels) > FEW or outside or below:
        columns = 2 if max(map(len, labels)) < 24 else 1
        down = -0.25 if axis.get_xlabel() else -0.1
        place = {"loc": "upper center", "bbox_to_anchor": (0.5, down), "ncols": columns}
        figure = axis.get_figure(root=True)
        assert figure is not None
        _heighten(figure, math.ceil(len(labels) / columns))
    sizes = {"fontsize": POINTS, "title_fontsize": POINTS}
    axis.legend(handles, labels, title=title, **sizes, **place)
