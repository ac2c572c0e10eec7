"""Images in figures: pictures side by side, without axes."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

DIVERGING = "PuOr_r"  # orange above zero, purple below, white at zero


def panels(
    title: str, rows: int, columns: int, side: float = 1.2
) -> tuple[Figure, np.ndarray]:
    """A figure of small pictures.

    Args:
        title: The finding.
        rows: How many from top to bottom.
        columns: How many from left to right.
        side: Of each, in inches.

    Returns:
        The figure, and its axes, [rows, columns], which show nothing yet.
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
    image: Float[np.ndarray, "height width"],
    title: str = "",
    *,
    signed: bool = False,
    limits: tuple[float, float] | None = None,
) -> None:
    """One picture: grey from black to white, or coloured by sign.

    Args:
        axis: Where.
        image: [height, width].
        title: Above it.
        signed: Whether zero is in the middle, as for weights: orange above, purple
            below.
        limits: What is black and what is white; by default the image's own extremes.
    """
    image = np.asarray(image, np.float32)
    low, high = (np.nanmin(image), np.nanmax(image)) if limits is None else limits
    if signed:
        high = max(abs(low), abs(high)) or 1.0
        low = -high
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
    """Words at the left of a row of pictures.

    Args:
        axis: The row's first.
        text: A line or two.
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
    """Many small images as one, side by side, with a line between them.

    Args:
        images: Of one size, [height, width] each.
        columns: How many in a row.

    Returns:
        One image; what is not filled is nan, which is drawn as nothing.

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
