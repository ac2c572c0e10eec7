"""Curves over time, directions or training: means as lines, ranges as bands."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import ArrayLike, Shaped
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import AutoLocator, MaxNLocator

# The palette of Okabe and Ito, safe for color-blind readers; dark colors first.
COLORS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#000000",
    "#E69F00",
    "#56B4E9",
)
STYLES = ("-", "--", ":", "-.")  # used in turn when all colors are taken


class Curve(NamedTuple):
    """A line, and the bands around it.

    Attributes:
        mean: The line, [x]; nan is a gap.
        bands: Pairs of lower and upper bounds, [x] each.
    """

    mean: np.ndarray
    bands: list[tuple[np.ndarray, np.ndarray]]


def curves(
    series: Mapping[str, Shaped[ArrayLike, "x *samples"]]
    | Shaped[ArrayLike, "x *samples"],
    x: Sequence[int | float] | Shaped[ArrayLike, " x"] | None = None,
    *,
    ax: Axes | None = None,
    legend: bool = True,
    **line: Any,
) -> Axes:
    """Draw the mean over samples as a line, and their range as a band.

    Args:
        series: Numbers [x, *samples], or a dict of them by name. Samples at -inf are
            left out. The line has a gap where a sample is nan or inf.
        x: Places on the x axis; by default 0, 1, 2, ...
        ax: Axes to draw on; by default those of a new figure.
        legend: Whether to add a legend, if the series have names.
        **line: Options of `Axes.plot` for all lines, such as `color` and `linestyle`.
            By default each line has a color of `COLORS`, then a style of `STYLES`.

    Returns:
        The axes.

    Raises:
        ValueError: A series has no axis.

    Example:
        >>> from matplotlib.figure import Figure
        >>> accuracy = {"lstm": np.array([[0.1, 0.3], [0.7, 0.9]])}  # 2 steps, 2 seeds
        >>> ax = curves(accuracy, x=[0, 100], ax=Figure().subplots())
        >>> ax.lines[0].get_ydata().round(3).tolist()
        [0.2, 0.8]
    """
    drawn = {name: summary(values) for name, values in named(series).items()}
    return draw(drawn, x, ax, line, legend)


def axes(ax: Axes | None) -> Axes:
    """The axes, by default those of a new figure of pyplot.

    Args:
        ax: Axes, or None.

    Returns:
        The axes.

    Example:
        >>> from matplotlib.figure import Figure
        >>> axes(Figure().subplots()).get_xlabel()
        ''
    """
    if ax is not None:
        return ax
    import matplotlib.pyplot  # only here, as it chooses a backend for windows

    return matplotlib.pyplot.subplots(layout="constrained")[1]


def whole(axis: Axis) -> None:
    """Number an axis of indices by integers, as 2.5 is not an index.

    Args:
        axis: The x or the y axis; one with a logarithmic scale or names is left alone.

    Example:
        >>> from matplotlib.figure import Figure
        >>> ax = Figure().subplots()
        >>> ax.set(xlim=(0, 3)) and whole(ax.xaxis)
        >>> ax.get_xticks().tolist()
        [0.0, 1.0, 2.0, 3.0]
    """
    if isinstance(axis.get_major_locator(), AutoLocator):
        axis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))


def named(series: Any) -> dict[str, Any]:
    """Results by name; the name of a single result is empty.

    Args:
        series: A dict, or a single result.

    Returns:
        A dict.

    Example:
        >>> named(3), named({"lstm": 3})
        ({'': 3}, {'lstm': 3})
    """
    return dict(series) if isinstance(series, Mapping) else {"": series}


def mean(values: np.ndarray) -> np.ndarray:
    """Mean over samples; -inf is left out.

    Args:
        values: Numbers [x, samples].

    Returns:
        An array [x]; nan where no sample is left.

    Example:
        >>> mean(np.array([[1.0, 3.0, -np.inf], [-np.inf, -np.inf, -np.inf]])).tolist()
        [2.0, nan]
    """
    present = ~np.isneginf(values)
    count = present.sum(axis=1)
    total = np.where(present, values, 0).sum(axis=1)
    return np.where(count, total / np.maximum(count, 1), np.nan)


def summary(values: ArrayLike) -> Curve:
    """The mean over samples, and their range if there are several.

    Args:
        values: Numbers [x, *samples].

    Returns:
        A `Curve`.

    Raises:
        ValueError: There is no axis.

    Example:
        >>> curve = summary(np.array([[1.0, 3.0], [-np.inf, 2.0]]))
        >>> curve.mean.tolist(), [end.tolist() for end in curve.bands[0]]
        ([2.0, 2.0], [[1.0, 2.0], [3.0, 2.0]])
    """
    array = np.asarray(values, float)
    if not array.ndim:
        raise ValueError("expected numbers [x, *samples]; got a single number")
    array = array.reshape(len(array), math.prod(array.shape[1:]))
    middle = mean(array)
    middle = np.where(np.isfinite(middle), middle, np.nan)
    if array.shape[1] < 2:
        return Curve(middle, [])
    low = np.where(np.isneginf(array), np.inf, array).min(axis=1)
    ends = low, array.max(axis=1)
    low, high = (np.where(np.isnan(middle), np.nan, end) for end in ends)
    return Curve(middle, [(low, high)])


def draw(
    drawn: Mapping[str, Curve],
    x: Any,
    ax: Axes | None,
    line: Mapping[str, Any],
    legend: bool = True,
) -> Axes:
    """Draw curves by name, in the colors after those in use.

    Args:
        drawn: Curves by name.
        x: Places on the x axis, or None for 0, 1, 2, ...
        ax: Axes, or None for those of a new figure.
        line: Options of `Axes.plot`.
        legend: Whether to add a legend, if the curves have names.

    Returns:
        The axes.

    Example:
        >>> from matplotlib.figure import Figure
        >>> curve = Curve(np.array([1.0, 2.0]), [])
        >>> ax = draw({"gru": curve}, None, Figure().subplots(), {"color": "0.3"})
        >>> ax.lines[0].get_label(), ax.lines[0].get_color()
        ('gru', '0.3')
    """
    ax = axes(ax)
    for i, (name, (middle, bands)) in enumerate(drawn.items(), len(ax.lines)):
        places = np.arange(len(middle)) if x is None else np.asarray(x)
        turn, color = (0, 0) if "color" in line else divmod(i, len(COLORS))
        style = {
            "color": COLORS[color],
            "linestyle": STYLES[turn % len(STYLES)],
            "linewidth": 2,
            **line,
        }
        (curve,) = ax.plot(places, middle, label=name or None, **style)
        for low, high in bands:
            shade = curve.get_color()
            ax.fill_between(places, low, high, color=shade, alpha=0.2, linewidth=0)
    if x is None:
        whole(ax.xaxis)
    ax.grid(alpha=0.3)
    if legend and any(drawn):
        ax.legend()
    return ax
