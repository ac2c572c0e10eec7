"""Handwritten digits, 8x8: 1,797 images that scikit-learn carries."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from sklearn.datasets import load_digits

ORDERS = ("pixels", "rows")
TRAINING = 898  # the standard split, in order: the test half has other writers


class Digits(NamedTuple):
    """Images with pixels from 0 to 1, and which digit each shows."""

    images: Float[np.ndarray, "examples 8 8"]
    labels: Int[np.ndarray, " examples"]


def load() -> tuple[Digits, Digits]:
    """The training and the test half, by the standard split.

    The first 898 images in order train, the last 899 test: they were written by other
    people. (A random split mixes the writers, and flatters.)

    Returns:
        `train, test`, two `Digits`.

    Example:
        >>> train, test = load()
        >>> train.images.shape, test.images.shape
        ((898, 8, 8), (899, 8, 8))

    References:
        Alpaydin and Kaynak 1998, Optical recognition of handwritten digits, UCI Machine
        Learning Repository, https://doi.org/10.24432/C50P49
    """
    data, labels = load_digits(return_X_y=True)
    images = (data / 16).astype(np.float32).reshape(-1, 8, 8)
    labels = labels.astype(np.int32)
    return (
        Digits(images[:TRAINING], labels[:TRAINING]),
        Digits(images[TRAINING:], labels[TRAINING:]),
    )


def as_sequences(
    images: Float[np.ndarray, "examples height width"], order: str
) -> Float[np.ndarray, "examples time inputs"]:
    """Images as sequences, read as one reads a page.

    Args:
        images: [examples, height, width].
        order: "pixels", one at a time, row by row; or "rows", a whole row at a time.

    Returns:
        [examples, height * width, 1], or [examples, height, width].

    Raises:
        ValueError: The order is neither.

    Example:
        >>> as_sequences(np.zeros((5, 8, 8)), "pixels").shape
        (5, 64, 1)
    """
    if order not in ORDERS:
        raise ValueError(f"expected an order of {', '.join(ORDERS)}; got {order!r}")
    return images.reshape(len(images), -1, 1) if order == "pixels" else images
