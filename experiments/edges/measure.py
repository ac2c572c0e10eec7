"""Feature maps of Sobel's kernels, and the similarity of learned to fixed kernels."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

import nets

# Each responds to horizontal edges or lines; its transpose to vertical ones.
FIXED = {
    "Sobel": np.array([[-1, -2, -1], [0, 0, 0], [1, 2, 1]], np.float32),
    "Prewitt": np.array([[-1, -1, -1], [0, 0, 0], [1, 1, 1]], np.float32),
    "line": np.array([[-1, -1, -1], [2, 2, 2], [-1, -1, -1]], np.float32),
}
EDGES = "Sobel", "Prewitt"  # the fixed kernels of edges
MARKS = "—|"  # horizontal and vertical
KERNELS, SETS = 20_000, 5_000  # random kernels, as the baseline


class LearnedKernels(NamedTuple):
    """Kernels of the trained networks, and how the networks use them.

    Attributes:
        before: Kernels at initialization.
        after: Kernels after training.
        fires: Whether the ReLU of a filter is positive on any test stroke.
        votes: Direction, 0 or 1, for which the output of each filter counts.
        accuracy: Accuracy on the test strokes, from 0 to 1.
    """

    before: Float[np.ndarray, "seeds 3 3 filters"]
    after: Float[np.ndarray, "seeds 3 3 filters"]
    fires: Bool[np.ndarray, "seeds filters"]
    votes: Int[np.ndarray, "seeds filters"]
    accuracy: Float[np.ndarray, " seeds"]


class KernelSimilarity(NamedTuple):
    """Similarity of the kernels of each seed to a fixed kernel.

    Attributes:
        to: Name of the fixed kernel.
        of: "all" for the mean over the kernels of a seed, "best" for the most similar.
        median: Median for random kernels.
        high: 95 % quantile for random kernels.
        before: |cosine| at initialization, [seeds].
        after: |cosine| after training, [seeds].
    """

    to: str
    of: str
    median: float
    high: float
    before: Float[np.ndarray, " seeds"]
    after: Float[np.ndarray, " seeds"]

    @property
    def above(self) -> int:
        """Number of seeds above the 95 % quantile of random kernels."""
        return int((self.after > self.high).sum())


def cosines(
    kernels: Float[np.ndarray, "*sets 3 3 filters"],
) -> Float[np.ndarray, "*sets filters fixed 2"]:
    """Similarity of kernels to the fixed ones, regardless of sign and mean.

    The mean of a kernel is subtracted, as it responds to brightness, and the fixed
    kernels have mean 0. In the remaining 8 dimensions, two random directions have a
    |cosine| of about 0.3.

    Args:
        kernels: Kernels, [*sets, 3, 3, filters].

    Returns:
        |cosine| with each kernel of `FIXED` and with its transpose,
        [*sets, filters, fixed, 2].
    """
    flat = np.moveaxis(kernels, -1, -3).reshape(*kernels.shape[:-3], -1, 9)
    flat = flat - flat.mean(axis=-1, keepdims=True)
    length = np.linalg.norm(flat, axis=-1)[..., None, None]
    fixed = np.stack([[k.ravel(), k.T.ravel()] for k in FIXED.values()])
    fixed = fixed / np.linalg.norm(fixed, axis=-1, keepdims=True)
    return np.abs(np.einsum("...k,fdk->...fd", flat, fixed)) / np.maximum(length, 1e-30)


def closest(kernels: Float[np.ndarray, "seeds 3 3 filters"]) -> np.ndarray:
    """Most similar fixed kernel and its |cosine|, as texts [seeds, filters]."""
    similarity = cosines(kernels)
    names = [f"{name} {mark}" for name in FIXED for mark in MARKS]
    texts = [
        f"{names[row.argmax()]} {row.max():.2f}"
        for row in similarity.reshape(-1, len(names))
    ]
    return np.array(texts).reshape(similarity.shape[:2])


def similarities(learned: LearnedKernels) -> list[KernelSimilarity]:
    """Similarity of the kernels of each seed to each fixed kernel, and that of chance.

    Each seed has two numbers per fixed kernel: the mean over its kernels, and the
    maximum. The baseline is the same two numbers for equally many kernels with
    independent normal weights.
    """
    rng = np.random.default_rng(0)
    random = cosines(rng.normal(size=(3, 3, KERNELS))).max(axis=-1)
    filters = learned.after.shape[-1]
    sets = random[rng.integers(KERNELS, size=(SETS, filters))]  # [sets, filters, fixed]
    before = cosines(learned.before).max(axis=-1)
    after = cosines(learned.after).max(axis=-1)
    results = []
    for of, reduce in (("all", np.mean), ("best", np.max)):
        for i, name in enumerate(FIXED):
            median, high = np.quantile(reduce(sets[..., i], axis=1), [0.5, 0.95])
            first, last = (reduce(cosine[..., i], axis=1) for cosine in (before, after))
            results.append(KernelSimilarity(name, of, median, high, first, last))
    return results


class Maps(NamedTuple):
    """Feature maps [height, width, 2] of horizontal and of vertical edges.

    Attributes:
        edges: Maps after the convolution.
        kept: Maps after ReLU.
        pooled: Maps after max pooling.
    """

    edges: Float[np.ndarray, "height width 2"]
    kept: Float[np.ndarray, "height width 2"]
    pooled: Float[np.ndarray, "lower narrower 2"]


class Picture(NamedTuple):
    """An image and its feature maps under Sobel's kernels.

    Attributes:
        name: Name of the image.
        image: Gray values, [height, width].
        maps: Feature maps by padding, "same" and "valid".
        rim_zeros: Mean of |y| over the outermost pixels with zero padding ("same").
        rim_repeated: Mean of |y| over the outermost pixels if the outermost pixels of
            the image are repeated around it.
        kept: Share of |y| that ReLU keeps.
    """

    name: str
    image: Float[np.ndarray, "height width"]
    maps: Mapping[str, Maps]
    rim_zeros: float
    rim_repeated: float
    kept: float


def maps(image: Float[np.ndarray, "height width"], padding: str) -> Maps:
    """Feature maps of Sobel's two kernels, after convolution, ReLU and pooling.

    Args:
        image: Gray values, [height, width].
        padding: Padding, as in `nets.conv`.

    Returns:
        `Maps`, [height', width', 2]: of horizontal and of vertical edges.
    """
    pair = np.stack([FIXED["Sobel"], FIXED["Sobel"].T], axis=-1)[:, :, None]
    params = nets.convolutional.ConvParams(jnp.asarray(pair), bias=None)
    convolved = nets.conv(params, jnp.asarray(image)[..., None], padding=padding)
    kept = jax.nn.relu(convolved)
    return Maps(*map(np.asarray, (convolved, kept, nets.max_pool(kept, (2, 2)))))


def rim(convolved: Float[np.ndarray, "height width kernels"]) -> float:
    """Mean of |y| over the outermost pixels of the maps."""
    outermost = np.ones(convolved.shape[:2], bool)
    outermost[1:-1, 1:-1] = False
    return float(np.abs(convolved[outermost]).mean())


def kernels_of(params) -> Float[np.ndarray, "seeds 3 3 filters"]:
    """Kernels of the convolution, of every seed."""
    return np.asarray(params["conv_0"]["layer"].kernel)[..., 0, :]
