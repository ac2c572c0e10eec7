"""Handwritten digits: the 1,797 images of 8x8 pixels in scikit-learn."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from sklearn.datasets import load_digits

ORDERS = ("pixels", "rows")
TRAINING = 898  # the standard split, in order: the test half has other writers


class Digits(NamedTuple):
    """Images with pixels from 0 to 1, and the digit in each."""

    images: Float[np.ndarray, "examples 8 8"]
    labels: Int[np.ndarray, " examples"]


def load() -> tuple[Digits, Digits]:
    """Load the training and the test set of the standard split.

    The first 898 images are the training set, the last 899 the test set, which other
    people wrote. (A random split mixes the writers, so its test accuracy is higher.)

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
    """Convert images into sequences, from top to bottom and left to right.

    Args:
        images: [examples, height, width].
        order: "pixels" for one pixel per step, row by row; "rows" for one row per step.

    Returns:
        [examples, height * width, 1], or [examples, height, width].

    Raises:
        ValueError: The order is unknown.

    Example:
        >>> as_sequences(np.zeros((5, 8, 8)), "pixels").shape
        (5, 64, 1)
    """
    if order not in ORDERS:
        raise ValueError(f"expected an order of {', '.join(ORDERS)}; got {order!r}")
    return images.reshape(len(images), -1, 1) if order == "pixels" else images
