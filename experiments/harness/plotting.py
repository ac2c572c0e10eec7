"""Figures: their titles and captions; panels of curves and of pictures."""

import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nets.flow.plot import COLORS, DIVERGING, STYLES

# Names of cells as papers write them, where that is more than a capital letter.
WRITTEN = {
    "conv": "convolutional",
    "cornn": "coRNN",
    "d": "damped",
    "elman": "Elman",
    "ind": "independent",
    "linoss": "LinOSS",
    "mlstm": "mLSTM",
    "slstm": "sLSTM",
    "unicornn": "UnICORNN",
    **{
        name: name.upper()
        for name in (
            *("gru", "irnn", "janet", "lem", "lru", "lstm", "mgu", "pd", "qrnn", "rg"),
            *("rhn", "rnn", "s5", "sru", "ssm", "star"),
        )
    },
}


def written(name: str) -> str:
    """The name of a cell as people write it, for titles.

    Args:
        name: A key of `nets.CELLS`, or any other name, which stays as it is.

    Returns:
        The name.

    Example:
        >>> written("lstm"), written("layer_norm_gru"), written("my.module:cell")
        ('LSTM', 'layer norm GRU', 'my.module:cell')
    """
    if ":" in name:
        return name
    return " ".join(WRITTEN.get(word, word) for word in name.split("_"))


class Plot(NamedTuple):
    """A figure of a report.

    Attributes:
        figure: The figure, its finding as its title.
        finding: Finding that the figure shows, in one line.
        caption: Text below the figure on the page.
    """

    figure: Figure
    finding: str
    caption: str


def figure(title: str, columns: int) -> tuple[Figure, Sequence[Axes]]:
    """A figure of panels side by side, on one y axis.

    Args:
        title: The finding.
        columns: Number of panels.

    Returns:
        The figure and its axes.
    """
    with matplotlib.rc_context({"font.size": 10}):
        figure = Figure(figsize=(5.5 * columns, 5), dpi=110, layout="constrained")
        # The value of a flag in the title may have dollar signs, which are not math.
        figure.suptitle(plain(title), fontweight="bold", fontsize=12, parse_math=False)
        axes = figure.subplots(1, columns, sharey=True, squeeze=False)[0]
    for axis in axes:
        axis.grid(alpha=0.3)
    return figure, axes


def titled(title: str, size: tuple[float, float]) -> Figure:
    """An empty figure with a wrapped title.

    Args:
        title: Title, in one line or several.
        size: Width and height in inches.
    """
    with matplotlib.rc_context({"font.size": 9}):
        figure = Figure(figsize=size, dpi=110, layout="constrained")
    lines = [textwrap.fill(line, int(9 * size[0])) for line in title.split("\n")]
    figure.suptitle("\n".join(lines), fontweight="bold", fontsize=12)
    return figure


def line_style(index: int) -> dict[str, Any]:
    """Color and dashes of a line, as options of `Axes.plot`.

    Args:
        index: Number of the line; after all colors the next dashes are used.

    Returns:
        The options.

    Example:
        >>> line_style(1), line_style(8)["linestyle"]
        ({'color': '#D55E00', 'linestyle': '-'}, '--')
    """
    turn, color = divmod(index, len(COLORS))
    return {"color": COLORS[color], "linestyle": STYLES[turn % len(STYLES)]}


def mean_and_range(
    axis: Axes, x: np.ndarray, values: np.ndarray, index: int, **options: Any
) -> None:
    """Draw the mean over seeds as a line, and their range as a band.

    Args:
        axis: Axes to draw on.
        x: Places, [x].
        values: Values, [seeds, x].
        index: Number of the line, as in `line_style`.
        **options: Further options of `Axes.plot`, such as the label.
    """
    style = line_style(index)
    axis.plot(x, values.mean(axis=0), **style, **options)
    low, high = values.min(axis=0), values.max(axis=0)
    axis.fill_between(x, low, high, color=style["color"], alpha=0.2, linewidth=0)


def legend(figure: Figure, axis: Axes, lines: int) -> None:
    """Add a legend inside the axes, or below them if it would cover the lines.

    Args:
        figure: Figure of the axes, which grows if the legend is below.
        axis: Axes with labeled lines.
        lines: Number of lines.
    """
    if lines <= len(COLORS):
        axis.legend()
        return
    below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.12)}
    axis.legend(**below, ncols=2, fontsize=8, handlelength=3)
    figure.set_figheight(5 + 0.1 * lines)


def plain(text: str) -> str:
    """Text that any font can draw: undecodable bytes of a file name are escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def captioned(
    figure: Figure, finding: str, text: str, caption: str | None = None
) -> Plot:
    """Write below a figure how it was made, so that the figure can be read alone.

    Args:
        figure: Any figure.
        finding: Finding that the figure shows: its title.
        text: Some sentences, written below the figure.
        caption: Caption on the page; by default the text.

    Returns:
        A `Plot`.
    """
    width = int(figure.get_figwidth() * 13)
    figure.supxlabel(
        textwrap.fill(plain(text), width), fontsize=8, color="0.3", x=0.01, ha="left"
    ).set_parse_math(False)
    return Plot(figure, " ".join(finding.split()), text if caption is None else caption)


def panels(
    title: str, rows: int, columns: int, side: float = 1.2
) -> tuple[Figure, np.ndarray]:
    """A figure of small pictures.

    Args:
        title: The finding.
        rows: Number of rows.
        columns: Number of columns.
        side: Side of each picture, in inches.

    Returns:
        The figure, and its axes, [rows, columns], all empty.
    """
    with matplotlib.rc_context({"font.size": 9}):
        size = max(side * columns, 5.0), side * rows + 0.9
        figure = Figure(figsize=size, dpi=110, layout="constrained")
        figure.suptitle(title, fontweight="bold", fontsize=12)
        axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    return figure, axes


def show(
    axis: Axes,
    image: Float[np.ndarray, "height width *color"],
    title: str = "",
    *,
    signed: bool = False,
    limits: tuple[float, float] | None = None,
) -> None:
    """Show one picture, in gray, in its colors, or colored by sign.

    Args:
        axis: Axes to draw on.
        image: Values, [height, width], or [height, width, 3] of red, green and blue.
        title: Title above the picture.
        signed: Whether to center the colors at zero, as for weights: orange above zero,
            purple below.
        limits: Values of black and of white; by default the extremes of the image.
    """
    image = np.asarray(image, np.float32)
    low, high = (np.nanmin(image), np.nanmax(image)) if limits is None else limits
    if signed:
        high = max(abs(low), abs(high)) or 1.0
        low = -high
    if image.ndim == 3:
        scale = high - low if high > low else 1.0
        image = np.clip((image - low) / scale, 0, 1)
    axis.imshow(
        image,
        cmap=DIVERGING if signed else "gray",
        vmin=low,
        vmax=high if high > low else low + 1.0,
        interpolation="nearest",
    )
    if title:
        axis.set_title(title, fontsize=8, pad=2)


def row_label(axis: Axes, text: str) -> None:
    """Write a label to the left of a row of pictures.

    Args:
        axis: First axes of the row.
        text: Label of one or two lines.
    """
    axis.text(
        -0.12,
        0.5,
        text,
        transform=axis.transAxes,
        ha="right",
        va="center",
        fontsize=9,
    )


def montage(
    images: Sequence[Float[np.ndarray, "height width"]], columns: int
) -> Float[np.ndarray, "rows width"]:
    """Arrange small images of one size in a grid, with lines between them.

    Args:
        images: Images, [height, width] each.
        columns: Number of images per row.

    Returns:
        One image. Empty places are nan, which is not drawn.

    Example:
        >>> montage([np.zeros((2, 2))] * 3, columns=2).shape
        (5, 5)
    """
    height, width = images[0].shape
    rows = -(-len(images) // columns)
    whole = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), np.nan)
    for i, image in enumerate(images):
        row, column = divmod(i, columns)
        top, left = row * (height + 1), column * (width + 1)
        whole[top : top + height, left : left + width] = image
    return whole
