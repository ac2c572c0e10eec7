"""The data behind a figure, read from its lines, bands, bars, points and maps.

One row per point, with the names of its panel, axes and series. Numbers are written
with all their digits, so that the figure can be drawn from them again.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import FillBetweenPolyCollection, QuadMesh
from matplotlib.colors import to_rgb
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator

from experiments.harness.artists import Row, points_of

COLUMNS = (
    *("panel", "x_label", "y_label", "series", "x", "x_name", "y", "y_name"),
    *("x_low", "x_high", "y_low", "y_high", "value_label", "value"),
)
COLORBAR = "<colorbar>"  # label that Matplotlib gives to the axes of color bars


def as_csv(figure: Figure) -> str:
    """The data of a figure as a table of text.

    Args:
        figure: Any figure.

    Returns:
        CSV with a header: the `COLUMNS` that are not empty. Empty if the figure has
        no data, as is one of pictures: panels without axes are left out.

    Example:
        >>> figure = Figure()
        >>> axis = figure.subplots()
        >>> _ = axis.set(title="loss", xlabel="step", ylabel="nats")
        >>> _ = axis.plot([0, 40], [0.5, 0.1], label="gru")
        >>> print(as_csv(figure).strip())
        panel,x_label,y_label,series,x,y
        loss,step,nats,gru,0.0,0.5
        loss,step,nats,gru,40.0,0.1
    """
    table = rows(figure)
    if not table:
        return ""
    used = [n for n in COLUMNS if any(row.get(n, "") != "" for row in table)]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(used)
    writer.writerows([row.get(name, "") for name in used] for row in table)
    return file.getvalue()


def rows(figure: Figure) -> list[Row]:
    """The data of a figure, one dict per point.

    Args:
        figure: Any figure.

    Returns:
        Dicts with some of `COLUMNS`. A number that is nan is missing.
    """
    shown = [a for a in figure.axes if a.get_label() != COLORBAR and a.axison]
    bars = {_line(a.get_ylabel()) for a in figure.axes if a.get_label() == COLORBAR}
    value_label = bars.pop() if len(bars) == 1 else ""
    names = _unique([_title(axis, i) for i, axis in enumerate(shown, 1)])
    table = []
    for axis, name in zip(shown, names, strict=True):
        where = {
            "panel": name,
            "x_label": _line(_shared_label(axis, "x")),
            "y_label": _line(_shared_label(axis, "y")),
        }
        ticks = {"x": _names(axis.xaxis), "y": _names(axis.yaxis)}
        for row in _panel(axis):
            if "value" in row:
                row["value_label"] = value_label
            for direction, named in ticks.items():
                row[f"{direction}_name"] = _nearest(named, row.get(direction))
            table.append(where | {k: v for k, v in row.items() if v == v})
    return table


def _panel(axis: Axes) -> Iterator[Row]:
    """The rows of one panel, in the order of drawing."""
    parts = dict(_containers(axis))
    artists = [a for a in axis.get_children() if id(a) not in parts or parts[id(a)]]
    drawn = [(a, points_of(a, parts.get(id(a)), axis)) for a in artists]
    merged, levels = [], []
    for artist, points in drawn:
        level = len(points) == 1 and len(points[0]) == 1  # a line across the panel
        if not points or (level and points in levels):
            continue
        levels += [points] if level else []
        if isinstance(artist, FillBetweenPolyCollection):
            line = _line_of(artist, points, merged)
            if line is not None:
                ends = {row["x"]: row for row in points}
                for row in line:
                    end = ends.get(row["x"], {})
                    row |= {k: v for k, v in end.items() if k in ("y_low", "y_high")}
                continue
        merged.append((artist, points))
    names = _series(axis, [artist for artist, _ in merged], parts)
    for name, (_, points) in zip(names, merged, strict=True):
        for row in points:
            yield {"series": name} | row


def _containers(axis: Axes) -> Iterator[tuple[int, Any]]:
    """Artists of containers: the first of each with the container, the rest empty."""
    for container in axis.containers:
        if isinstance(container, ErrorbarContainer):
            line, caps, bars = container.lines
            yield from ((id(part), None) for part in (*caps, *bars))
            if line is not None:
                yield id(line), container
        elif isinstance(container, BarContainer):
            yield from ((id(part), None) for part in container.patches)
            yield id(container.patches[0]), container


def _line_of(
    band: Artist, points: list[Row], drawn: list[tuple[Artist, list[Row]]]
) -> list[Row] | None:
    """The points of the line that a band surrounds: the last of its color before it."""
    places = {row["x"] for row in points}
    for artist, line in reversed(drawn):
        same = isinstance(artist, Line2D) and _color(artist) == _color(band)
        if same and places <= {row.get("x") for row in line}:
            return line
    return None


def _series(axis: Axes, artists: list[Artist], parts: dict[int, Any]) -> list[str]:
    """A name for each artist: its label, or that of an artist of the same color."""
    labels = [_label(parts.get(id(artist)) or artist) for artist in artists]
    by_color = {}
    for artist, label in zip(artists, labels, strict=True):
        if label:
            by_color.setdefault(_color(artist), label)
    return _unique(
        [
            label or by_color.get(_color(artist)) or _kind(artist, parts)
            for artist, label in zip(artists, labels, strict=True)
        ]
    )


def _kind(artist: Artist, parts: dict[int, Any]) -> str:
    """The name of a series without a label; a map needs none."""
    if isinstance(artist, AxesImage | QuadMesh):
        return ""
    is_line = isinstance(artist, Line2D) and id(artist) not in parts
    return "line" if is_line else "points"


def _label(artist: Any) -> str:
    """The label of an artist; "" if it has none, which Matplotlib begins with "_"."""
    label = _line(str(artist.get_label() or ""))
    return "" if label.startswith("_") else label


def _color(artist: Artist) -> Any:
    """The color of a line, a band or a bar; None for maps."""
    if isinstance(artist, Line2D):
        return to_rgb(artist.get_color())
    if isinstance(artist, AxesImage | QuadMesh):
        return None
    faces = np.atleast_2d(artist.get_facecolor())  # type: ignore[attr-defined]
    return tuple(faces[0, :3].tolist()) if len(faces) else None


def _title(axis: Axes, number: int) -> str:
    """The name of a panel."""
    return _line(axis.get_title()) or f"panel {number}"


def _shared_label(axis: Axes, direction: str) -> str:
    """The label of an axis, which may be at another panel that shares the axis."""
    group = getattr(axis, f"get_shared_{direction}_axes")().get_siblings(axis)
    labels = [getattr(a, f"get_{direction}label")() for a in (axis, *group)]
    return next(filter(None, labels), "")


def _names(axis: Axis) -> dict[float, str]:
    """The labels of an axis by place; none if they are numbers."""
    if not isinstance(axis.get_major_locator(), FixedLocator):
        return {}
    names = [_line(text.get_text()) for text in axis.get_ticklabels()]
    if all(_is_number(name) for name in names):
        return {}
    return dict(zip(axis.get_majorticklocs(), names, strict=True))


def _nearest(names: dict[float, str], place: float | None) -> str:
    """The label of the tick next to a place; "" if none is near."""
    if place is None or not names:
        return ""
    tick = min(names, key=lambda tick: abs(tick - place))
    return names[tick] if abs(tick - place) < 0.5 else ""


def _is_number(text: str) -> bool:
    """Whether a label is a number, or empty."""
    try:
        float(text.replace("\N{MINUS SIGN}", "-") or 0)
    except ValueError:
        return False
    return True


def _line(text: str) -> str:
    """Text in one line."""
    return " ".join(text.split())


def _unique(names: list[str]) -> list[str]:
    """The names, numbered where they are repeated."""
    counts, result = Counter(), []
    for name in names:
        counts[name] += 1
        result.append(f"{name} ({counts[name]})" if counts[name] > 1 else name)
    return result
