"""Horizontal and vertical strokes: pieces of 4x4 pixels out of handwritten digits."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from train.data import digits

DIRECTIONS = ("horizontal", "vertical")  # what the labels 0 and 1 say
SIDE = 4
CONTRAST = 0.2  # the least standard deviation of a piece's pixels
SHARE = 0.6  # the least share of their variance that lies between rows, or columns


class Strokes(NamedTuple):
    """Pieces with pixels from 0 to 1, and whether each is horizontal or vertical."""

    images: Float[np.ndarray, "examples 4 4"]
    labels: Int[np.ndarray, " examples"]


def load() -> tuple[Strokes, Strokes]:
    """Strokes of the training and of the test digits, which other people wrote.

    A piece is horizontal if which row a pixel is in tells at least 0.6 of the variance
    of its pixels, vertical if which column it is in does; either way their standard
    deviation is at least 0.2. (So a bar through the middle may be 20 degrees off its
    axis.) Horizontal ones are rare, 220 and 314: of the vertical ones as many are
    taken, evenly over the digits in order.

    The rule compares no pixel with its neighbour, so no edge kernel stands behind the
    labels. What it fixes is the direction; that edges tell it (rather than lines,
    spots, or the ink's amount) is for a network to find, which is shown pixels and
    labels alone.

    Returns:
        `train, test`, two `Strokes`, the horizontal ones first.

    Example:
        >>> train, test = load()
        >>> train.images.shape, test.images.shape
        ((440, 4, 4), (628, 4, 4))
    """
    train, test = digits.load()
    return balanced(find(train.images)), balanced(find(test.images))


def find(images: Float[np.ndarray, "images height width"]) -> Strokes:
    """All strokes of some images, overlapping ones too.

    Args:
        images: With pixels from 0 to 1.

    Returns:
        The horizontal ones first; of one direction in the order of the images, and
        within one from its top left on.

    Example:
        >>> bar = np.zeros((1, 4, 4))
        >>> bar[0, 1] = 1
        >>> find(bar).labels.tolist(), find(bar.swapaxes(1, 2)).labels.tolist()
        ([0], [1])
    """
    windows = np.lib.stride_tricks.sliding_window_view(images, (SIDE, SIDE), (1, 2))
    pieces = windows.reshape(-1, SIDE, SIDE)
    pieces = pieces[pieces.std(axis=(1, 2)) >= CONTRAST]
    chosen = [pieces[share >= SHARE] for share in shares(pieces)]
    labels = np.repeat(np.arange(2, dtype=np.int32), [len(some) for some in chosen])
    return Strokes(np.concatenate(chosen), labels)


def shares(
    pieces: Float[np.ndarray, "examples height width"],
) -> tuple[Float[np.ndarray, " examples"], Float[np.ndarray, " examples"]]:
    """How much of the pixels' variance lies between rows, and how much between columns.

        var over rows of the row's mean / var of all pixels

    as in an analysis of variance, where the two and a rest add up to 1.

    Args:
        pieces: None of one brightness.

    Returns:
        Numbers from 0 to 1: those of the rows, those of the columns.

    Example:
        >>> [share.tolist() for share in shares(np.eye(4)[None])]
        [[0.0], [0.0]]
    """
    whole = pieces.var(axis=(1, 2))
    rows, columns = pieces.mean(axis=2), pieces.mean(axis=1)
    return rows.var(axis=1) / whole, columns.var(axis=1) / whole


def balanced(strokes: Strokes) -> Strokes:
    """As many horizontal as vertical ones, of the more frequent evenly spaced ones.

    Args:
        strokes: The horizontal ones first.

    Returns:
        Likewise.

    Example:
        >>> three = Strokes(np.zeros((3, 4, 4)), np.array([0, 1, 1]))
        >>> balanced(three).labels.tolist()
        [0, 1]
    """
    halves = [np.flatnonzero(strokes.labels == label) for label in (0, 1)]
    count = min(map(len, halves))
    even = [half[np.arange(count) * len(half) // max(count, 1)] for half in halves]
    kept = np.concatenate(even)
    return Strokes(strokes.images[kept], strokes.labels[kept])
