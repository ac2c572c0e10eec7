"""MNIST-1D: generated sequences of 40 numbers, each in the shape of a digit."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.ndimage import gaussian_filter1d

TRAINING = 4000  # of 5,000
TEMPLATES = (  # position of the pen over time in each digit, set by hand
    (5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5),
    (5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5),
    (5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5),
    (5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5),
    (5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5),
    (5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5),
    (5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5),
    (5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5),
)
SHORTEST, LONGEST = 36, 60  # number of zeros after a template
LENGTH = 12 + LONGEST  # points per sequence, before it is resampled to 40


class MNIST1D(NamedTuple):
    """Sequences, and the digit of each."""

    sequences: Float[np.ndarray, "examples 40"]
    labels: Int[np.ndarray, " examples"]


def load() -> tuple[MNIST1D, MNIST1D]:
    """The published training and test set.

    Returns:
        `train, test`, 4,000 and 1,000 examples, with sequences in float32.

    Example:
        >>> train, test = load()
        >>> train.sequences.shape, test.sequences.shape
        ((4000, 40), (1000, 40))

    References:
        Greydanus and Kobak 2024, Scaling down deep learning with MNIST-1D,
        https://arxiv.org/abs/2011.14439
    """
    sequences, labels = make()
    sequences = sequences.astype(np.float32)
    return (
        MNIST1D(sequences[:TRAINING], labels[:TRAINING]),
        MNIST1D(sequences[TRAINING:], labels[TRAINING:]),
    )


def make(seed: int = 42, examples: int = 5000) -> MNIST1D:
    """Generate examples, in float64 and in random order.

    A template is padded with zeros, stretched, scaled, and shifted cyclically. Smooth
    noise replaces the zeros, white noise and a slope are added, and the sequence is
    resampled to 40 points. The whole set has mean 0 and standard deviation 1.

    Args:
        seed: Seed of the random numbers. The published set has seed 42.
        examples: Number of examples, a multiple of 10, so that digits are equally
            frequent. The published set has 5,000.

    Returns:
        The examples, not split.

    Raises:
        ValueError: `examples` is not a positive multiple of 10.

    Example:
        >>> make(seed=1, examples=20).sequences.shape
        (20, 40)
    """
    if examples < 10 or examples % 10:
        raise ValueError(f"expected a positive multiple of 10 examples; got {examples}")
    # The published numbers depend on this generator and on the order of its draws: all
    # draws of one example, then all of the next.
    rng = np.random.RandomState(seed)
    zeros, shift = np.empty((2, examples), int)
    scale, slope = np.empty((2, examples, 1))
    noise = np.empty((examples, 2, LENGTH))
    for i in range(examples):
        zeros[i] = int(rng.rand() * (LONGEST - SHORTEST + 1))
        scale[i] = 1 + 0.4 * (rng.rand() - 0.5)
        shift[i] = rng.randint(48)
        noise[i] = rng.randn(2, LENGTH)
        slope[i] = 0.75 * (rng.rand() - 0.5)
    order = rng.permutation(examples)

    labels = np.arange(10, dtype=np.int32).repeat(examples // 10)
    x = _stretched_templates()[labels, zeros] * scale
    x = np.take_along_axis(x, (np.arange(LENGTH) - shift[:, None]) % LENGTH, axis=1)
    smooth = gaussian_filter1d(0.25 * noise[:, 0], sigma=2)
    x = np.where(x != 0, x, smooth) + 0.02 * noise[:, 1]
    x -= slope * np.linspace(-0.5, 0.5, LENGTH)
    x = np.stack([_resample(row, 40) for row in x])[order]
    return MNIST1D((x - x.mean()) / x.std(), labels[order])


def _stretched_templates() -> Float[np.ndarray, "digits paddings length"]:
    """Every template with every number of zeros after it, stretched to one length."""
    x = np.array(TEMPLATES)
    x -= x.mean(axis=1, keepdims=True)
    x /= x.std(axis=1, keepdims=True)
    x = (x - x[:, :1]) / 6 + 1e-8  # distinguishes the points of a digit from padding
    paddings = range(SHORTEST, LONGEST + 1)
    return np.array(
        [[_resample(np.pad(row, (0, n)), LENGTH) for n in paddings] for row in x]
    )


def _resample(
    x: Float[np.ndarray, " length"], count: int
) -> Float[np.ndarray, " count"]:
    """Resample x at equal distances, by linear interpolation."""
    return np.interp(np.linspace(0, 1, count), np.linspace(0, 1, len(x)), x)
