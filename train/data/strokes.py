"""Horizontal and vertical strokes: patches of 4x4 pixels from handwritten digits."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from train.data import digits

DIRECTIONS = ("horizontal", "vertical")  # meaning of the labels 0 and 1
SIDE = 4
CONTRAST = 0.2  # minimum standard deviation of a patch's pixels
SHARE = 0.6  # minimum share of the variance between rows, or between columns


class Strokes(NamedTuple):
    """Patches with pixels from 0 to 1, and the direction of each."""

    images: Float[np.ndarray, "examples 4 4"]
    labels: Int[np.ndarray, " examples"]


def load() -> tuple[Strokes, Strokes]:
    """Load strokes from the training and the test digits, which have other writers.

    A patch is horizontal if at least 0.6 of the variance of its pixels is between rows,
    and vertical if at least 0.6 is between columns; in both cases the standard
    deviation of the pixels is at least 0.2. (A bar through the center may thus deviate
    from its axis by 20 degrees.) There are just 220 and 314 horizontal patches; equally
    many vertical patches are chosen, evenly spaced over the digits in order.

    The rule compares no pixel with its neighbors, so the labels do not come from an
    edge kernel. They give the direction. A network that sees only pixels and labels
    must find that edges determine it, not lines, spots, or the amount of ink.

    Returns:
        `train, test`, two `Strokes`, horizontal patches first.

    Example:
        >>> train, test = load()
        >>> train.images.shape, test.images.shape
        ((440, 4, 4), (628, 4, 4))
    """
    train, test = digits.load()
    return balanced(find(train.images)), balanced(find(test.images))


def find(images: Float[np.ndarray, "images height width"]) -> Strokes:
    """Find all strokes in images, including overlapping ones.

    Args:
        images: Images with pixels from 0 to 1.

    Returns:
        Horizontal strokes first. Strokes of one direction are in the order of the
        images, and within an image from the top left to the bottom right.

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
    labels = np.repeat(
        np.arange(2, dtype=np.int32), [len(patches) for patches in chosen]
    )
    return Strokes(np.concatenate(chosen), labels)


def shares(
    pieces: Float[np.ndarray, "examples height width"],
) -> tuple[Float[np.ndarray, " examples"], Float[np.ndarray, " examples"]]:
    """Shares of the pixels' variance between rows, and between columns.

        var over rows of the row's mean / var of all pixels

    as in an analysis of variance, where the two shares and the residual add up to 1.

    Args:
        pieces: Patches; none may have constant brightness.

    Returns:
        Shares from 0 to 1: between rows, and between columns.

    Example:
        >>> [share.tolist() for share in shares(np.eye(4)[None])]
        [[0.0], [0.0]]
    """
    whole = pieces.var(axis=(1, 2))
    rows, columns = pieces.mean(axis=2), pieces.mean(axis=1)
    return rows.var(axis=1) / whole, columns.var(axis=1) / whole


def balanced(strokes: Strokes) -> Strokes:
    """Balance the directions: keep evenly spaced strokes of the more frequent one.

    Args:
        strokes: Strokes in any order.

    Returns:
        Equally many strokes of each direction, horizontal strokes first.

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
