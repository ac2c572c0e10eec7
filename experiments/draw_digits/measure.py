"""The results for one kind of digits: how they are read, and how they are measured."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from experiments.draw_digits.controls import CLASSES, Images
from train.data.digits import Digits


class DigitsResult(NamedTuple):
    """Results for digits of one kind.

    Attributes:
        name: Name of the kind.
        temperature: Temperature of the drawings; None for controls.
        images: Digits of every seed.
        accuracy: Share of the digits that the seed's judge reads as their label,
            [seeds].
        variety: Standard deviation of pixels within a label, relative to that of
            held-out digits, [seeds].
        distance: Root-mean-square distance per pixel to the nearest training digit of
            the label, [seeds].
        test_nll: Negative log-likelihood of a held-out row under the generator, in
            nats, [seeds]; None for digits without a generator.
    """

    name: str
    temperature: float | None
    images: Float[np.ndarray, "seeds examples 8 8"]
    accuracy: Float[np.ndarray, " seeds"]
    variety: Float[np.ndarray, " seeds"]
    distance: Float[np.ndarray, " seeds"]
    test_nll: Float[np.ndarray, " seeds"] | None


def variety_and_distance(
    images: Images, labels: np.ndarray, train: Digits, test: Digits
) -> tuple[Float[np.ndarray, " seeds"], Float[np.ndarray, " seeds"]]:
    """Variety of images within a label, and distance to the nearest training digit.

    Args:
        images: Digits of every seed.
        labels: Labels of the digits, [examples].
        train: Training digits, which may have been copied.
        test: Held-out digits, the reference of variety.

    Returns:
        The standard deviation of pixels within a label relative to that of held-out
        digits, [seeds]; and the root-mean-square distance per pixel to the nearest
        training digit of the label, the median over images, [seeds].
    """
    varied, near = [], []
    real = spread(test.images, test.labels)
    flat = train.images.reshape(len(train.images), -1)
    for seed_images in images:
        varied.append(spread(seed_images, labels) / real)
        distances = []
        for label in range(CLASSES):
            of_label = seed_images[labels == label].reshape(-1, 1, flat.shape[1])
            candidates = flat[train.labels == label][None]
            square = np.square(of_label - candidates).mean(axis=2)
            distances.append(np.sqrt(square.min(axis=1)))
        near.append(np.median(np.concatenate(distances)))
    return np.array(varied), np.array(near)


def spread(images: Float[np.ndarray, "examples 8 8"], labels: np.ndarray) -> float:
    """Square root of the mean pixel variance within a label."""
    within = [images[labels == label].var(axis=0).mean() for label in range(CLASSES)]
    return float(np.sqrt(np.mean(within)))
