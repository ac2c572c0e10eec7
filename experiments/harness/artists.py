"""The numbers that an artist of Matplotlib draws: one dict per point."""

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import (
    FillBetweenPolyCollection,
    PolyCollection,
    QuadMesh,
)
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D

Row = dict[str, Any]


def points_of(artist: Artist, container: Any, axis: Axes) -> list[Row]:
    """The numbers that an artist draws.

    Args:
        artist: A line, a band, a polygon, a bar, an image or a mesh.
        container: Container of Matplotlib whose first artist it is, or None.
        axis: Axes of the artist.

    Returns:
        Dicts with x and y; bounds as x_low, x_high, y_low and y_high; and the value of
        a color. No dict for an artist that draws no data, such as a text.

    Example:
        >>> from matplotlib.figure import Figure
        >>> axis = Figure().subplots()
        >>> points_of(axis.plot([0, 1], [2, 3])[0], None, axis)
        [{'x': 0.0, 'y': 2.0}, {'x': 1.0, 'y': 3.0}]
        >>> points_of(axis.axhline(5), None, axis)
        [{'y': 5.0}]
    """
    if isinstance(container, BarContainer):
        return _bars(container)
    if isinstance(artist, Line2D):
        points = _line_points(artist, axis)
        if container is not None:
            _add_errors(points, container)
        return points
    if isinstance(artist, FillBetweenPolyCollection):
        return _band(artist)
    if isinstance(artist, PolyCollection):
        corners = [np.asarray(path.vertices)[:-1] for path in artist.get_paths()]
        return [_point(x, y) for vertices in corners for x, y in vertices]
    if isinstance(artist, AxesImage):
        return _image(artist)
    if isinstance(artist, QuadMesh):
        return _mesh(artist)
    return []


def _point(x: Any, y: Any) -> Row:
    """A place."""
    return {"x": float(x), "y": float(y)}


def _line_points(line: Line2D, axis: Axes) -> list[Row]:
    """The points of a line; a line across the panel has one coordinate."""
    transform = line.get_transform()
    in_data = transform.contains_branch_seperately(axis.transData)
    xs, ys = np.asarray(line.get_xydata(), float).T
    if all(in_data):
        return [_point(x, y) for x, y in zip(xs, ys, strict=True)]
    if not any(in_data) or not len(xs):
        return []
    return [{"x": float(xs[0])} if in_data[0] else {"y": float(ys[0])}]


def _add_errors(points: list[Row], container: ErrorbarContainer) -> None:
    """Add the ends of error bars to their points."""
    directions = [
        direction
        for direction, drawn in (("x", container.has_xerr), ("y", container.has_yerr))
        if drawn
    ]
    for direction, bars in zip(directions, container.lines[2], strict=True):
        column = "xy".index(direction)
        for row, ends in zip(points, bars.get_segments(), strict=True):
            # The bar of a point that is not a number has no ends.
            low, high = sorted(float(end[column]) for end in ends) or (np.nan, np.nan)
            row |= {f"{direction}_low": low, f"{direction}_high": high}


def _bars(container: BarContainer) -> list[Row]:
    """The middle and the length of each bar."""
    points = []
    values = np.asarray(container.datavalues)
    for bar, value in zip(container.patches, values, strict=True):
        if container.orientation == "vertical":
            points.append(_point(bar.get_x() + bar.get_width() / 2, value))
        else:
            points.append(_point(value, bar.get_y() + bar.get_height() / 2))
    return points


def _band(band: FillBetweenPolyCollection) -> list[Row]:
    """Both bounds of a band, at each place."""
    points = []
    for path in band.get_paths():
        # A start, the first bound, an end, the second bound backwards, and the start.
        vertices = np.asarray(path.vertices, float)
        count = (len(vertices) - 3) // 2
        first, second = vertices[1 : 1 + count], vertices[-2 : -2 - count : -1]
        for (x, a), (_, b) in zip(first, second, strict=True):
            points.append({"x": float(x), "y_low": min(a, b), "y_high": max(a, b)})
    return [{name: float(value) for name, value in row.items()} for row in points]


def _image(image: AxesImage) -> list[Row]:
    """The value of each pixel, at its middle."""
    values = np.ma.filled(np.ma.asarray(image.get_array(), float), np.nan)
    if values.ndim != 2:
        return []
    left, right, bottom, top = image.get_extent()
    height, width = values.shape
    if image.origin == "upper":
        bottom, top = top, bottom
    xs = left + (np.arange(width) + 0.5) * ((right - left) / width)
    ys = bottom + (np.arange(height) + 0.5) * ((top - bottom) / height)
    return [
        _point(x, y) | {"value": float(value)}
        for y, row in zip(ys, values, strict=True)
        for x, value in zip(xs, row, strict=True)
    ]


def _mesh(mesh: QuadMesh) -> list[Row]:
    """The value and the edges of each cell."""
    values = np.ma.filled(np.ma.asarray(mesh.get_array(), float), np.nan)
    corners = np.asarray(mesh.get_coordinates(), float)
    return [
        {
            "x_low": float(corners[i, j, 0]),
            "x_high": float(corners[i, j + 1, 0]),
            "y_low": float(corners[i, j, 1]),
            "y_high": float(corners[i + 1, j, 1]),
            "value": float(value),
        }
        for (i, j), value in np.ndenumerate(values)
    ]
