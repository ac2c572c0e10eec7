"""What autoencoders are held against, and what is said of them."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from sklearn.decomposition import PCA

from experiments.harness import tables
from experiments.harness.claims import (
    INCONCLUSIVE,
    PARTLY_SUPPORTED,
    REFUTED,
    SUPPORTED,
    Claim,
    judge,
)
from experiments.harness.intervals import interval
from nets.models import Autoencoder
from train.data import digits

Images = Float[np.ndarray, "examples pixels"]


class Study(NamedTuple):
    """What was found of one autoencoder, over seeds.

    Attributes:
        model: The autoencoder.
        params: Of all seeds, stacked.
        switches: Whether its decoder was told where the encoder's maxima were.
        z: Of the digits held out, [seeds, examples, latent].
        images: What it makes of these, [seeds, examples, height, width, 1].
        train_mse: On the digits it was trained with, [seeds].
        test_mse: On those held out, [seeds].
    """

    model: Autoencoder
    params: Any
    switches: bool
    z: Float[np.ndarray, "seeds examples latent"]
    images: Float[np.ndarray, "seeds examples height width 1"]
    train_mse: Float[np.ndarray, " seeds"]
    test_mse: Float[np.ndarray, " seeds"]

    @property
    def label(self) -> str:
        """How it doubles sizes, in words."""
        if self.model.upsample != "unpool":
            return self.model.upsample
        return "unpool, told switches*" if self.switches else "unpool, not told"


class Linear(NamedTuple):
    """What PCA makes of the digits: the mean digit, and directions from it.

    Attributes:
        mean: [pixels].
        components: Orthonormal, the most important first, [count, pixels].
        train_mse: With 0, 1, ... of them, [count + 1].
        test_mse: Likewise, on digits held out.
    """

    mean: Float[np.ndarray, " pixels"]
    components: Float[np.ndarray, "count pixels"]
    train_mse: Float[np.ndarray, " counts"]
    test_mse: Float[np.ndarray, " counts"]


@functools.partial(jax.jit, static_argnums=0)
def decode(model: Autoencoder, params: Any, z: Array) -> Array:
    """The images of latents [seeds, examples, latent], without any switches."""

    def one(params, z):
        return cast(Array, model.apply({"params": params}, z, method="decode"))

    return jax.vmap(one)(params, z)


def project(linear: Linear, xs: Images, count: int) -> Images:
    """What PCA with so many components makes of images, [examples, pixels]."""
    off, axes = xs.reshape(len(xs), -1) - linear.mean, linear.components[:count]
    return linear.mean + off @ axes.T @ axes


def half_pairs(test: digits.Digits) -> tuple[np.ndarray, np.ndarray]:
    """Held-out digits in pairs of different classes: one of each half."""
    half = len(test.labels) // 2
    (a,) = np.nonzero(test.labels[:half] != test.labels[half : 2 * half])
    return a, a + half


def pca(train: Images, test: Images, count: int) -> Linear:
    """PCA of the training digits, and its errors with up to so many components."""
    train, test = (xs.reshape(len(xs), -1).astype(np.float64) for xs in (train, test))
    fitted = PCA(count, svd_solver="full").fit(train)
    mean, components = map(np.asarray, (fitted.mean_, fitted.components_))
    linear = Linear(mean, components, np.empty(0), np.empty(0))
    errors = [
        np.array(
            [np.square(project(linear, xs, k) - xs).mean() for k in range(count + 1)]
        )
        for xs in (train, test)
    ]
    return linear._replace(train_mse=errors[0], test_mse=errors[1])


def halfway(
    study: Study, linear: Linear, train: Images, test: digits.Digits
) -> tuple[np.ndarray, float]:
    """How far the middle between two digits is from any real digit.

    Returns the mean squared difference to the nearest training digit, in the mean over
    pairs of held-out digits: by the autoencoder of each seed, and by PCA of its size,
    for which the middle is a blend of both.
    """
    a, b = half_pairs(test)
    middles = jnp.asarray(study.z[:, a] + study.z[:, b]) / 2
    found = decode(study.model, study.params, middles)
    blends = (test.images[a] + test.images[b]) / 2
    blends = project(linear, blends, study.model.latent)
    return np.array([nearest(xs, train) for xs in found]), nearest(blends, train)


def nearest(xs: Any, train: Images) -> float:
    """The mean squared difference to the nearest training digit, in the mean."""
    xs, train = (np.asarray(ys).reshape(len(ys), -1) for ys in (xs, train))
    squares = np.square(xs).sum(axis=1)[:, None] + np.square(train).sum(axis=1)
    distances = (squares - 2 * xs @ train.T) / xs.shape[1]
    return float(distances.min(axis=1).mean())


ANSWERS = {
    SUPPORTED: "Yes: from the code of an autoencoder, an unseen digit is reconstructed "
    "better than from as many principal components.",
    PARTLY_SUPPORTED: "Partly: some autoencoders reconstruct an unseen digit better "
    "than as many principal components do.",
    INCONCLUSIVE: "The seeds do not decide whether an autoencoder reconstructs an "
    "unseen digit better than as many principal components.",
    REFUTED: "No: no autoencoder reconstructs an unseen digit better than as many "
    "principal components.",
}


def evaluate_claim(studies: Sequence[Study], linear: Linear) -> Claim:
    """Whether what passes through z alone says more than as many components."""
    alone = [s for s in studies if not s.switches]
    known = [linear.test_mse[s.model.latent] for s in alone]
    found = judge([pca - s.test_mse for s, pca in zip(alone, known, strict=True)])
    numbers = "; ".join(
        f"{s.model.latent} numbers, {s.label}: held-out MSE "
        f"{interval(s.test_mse).text('{:.4f}')}, PCA's {pca:.4f}"
        for s, pca in zip(alone, known, strict=True)
    )
    return found.claim(
        "A convolutional autoencoder says more of a digit it has not seen than PCA of "
        "its size",
        f"{numbers}.",
    )


def same_error(study: Study, linear: Linear) -> str:
    """How many components PCA needs to err no more on held-out digits."""
    enough = np.flatnonzero(linear.test_mse <= study.test_mse.mean())
    return str(enough[0]) if len(enough) else f"over {len(linear.test_mse) - 1}"


def note(studies: Sequence[Study]) -> str:
    """What the star of a label means, if there is one."""
    model = next((s.model for s in studies if s.switches), None)
    if model is None:
        return ""
    space, total = int(np.prod(model.shape[:-1])), 0
    for i, count in enumerate(model.filters):
        total += count * space // 4 ** (i + 1)
    return (
        f"* Beside z, this decoder is told {total} switches: which of 4 places each of "
        f"the encoder's maxima came from. These {2 * total} bits do not pass through "
        "z, so PCA of z's size is no match for it. Not told: the same decoder without "
        "the switches that it was trained with."
    )


def remarks(studies: Sequence[Study], linear: Linear) -> list[str]:
    """What stands below the table."""
    mean = (
        f"The mean digit alone: train {linear.train_mse[0]:.4f}, "
        f"test {linear.test_mse[0]:.4f}."
    )
    return [text for text in (mean, note(studies)) if text]


def table(studies: Sequence[Study], linear: Linear) -> tables.Table:
    """What was found, a line an autoencoder, and what it is held against."""
    header = ["latent", "upsample", "parameters", "train MSE", "test MSE"]
    header += ["PCA train", "PCA test", "train ratio", "test ratio"]
    header += ["PCA's size for that test MSE"]
    rows = []
    for s in studies:
        count = sum(leaf[0].size for leaf in jax.tree.leaves(s.params))
        floor = linear.train_mse[s.model.latent], linear.test_mse[s.model.latent]
        rows.append(
            [
                str(s.model.latent),
                s.label,
                f"{count:,}",
                tables.mean_and_deviation(s.train_mse, "{:.4f}"),
                tables.mean_and_deviation(s.test_mse, "{:.4f}"),
                *(f"{error:.4f}" for error in floor),
                f"{s.train_mse.mean() / floor[0]:.3g}",
                f"{s.test_mse.mean() / floor[1]:.3g}",
                same_error(s, linear),
            ]
        )
    return tables.Table(header, rows)
