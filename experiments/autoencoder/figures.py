"""The figures of autoencoders: reconstructions, walks through z, and errors."""

import itertools
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.ticker import LogLocator, NullFormatter

from experiments.autoencoder.claims import best, note, same_error
from experiments.autoencoder.measure import (
    AutoencoderResult,
    PCAResult,
    Pixels,
    decode,
    half_pairs,
    project,
)
from experiments.harness import plotting
from experiments.harness.own_images import Images
from experiments.harness.plotting import Plot

PAIRS = ((1, 7), (3, 8), (4, 9), (0, 6), (2, 5))  # every digit once
PLACES = 9  # points of a walk
AXES = 8  # maximal number of axes of z to walk along
REACH = 2.0  # standard deviations on both sides of the mean


def reconstructions(
    studies: Sequence[AutoencoderResult],
    pca_result: PCAResult,
    test: Images,
    caption: str,
    noun: str = "digit",
) -> Plot:
    """Draw one held-out image of each class, and its reconstructions."""
    chosen = firsts(test)
    rows = [(f"held-out {noun}s", test.images[chosen])]
    for latent in dict.fromkeys(s.model.latent for s in studies):
        for s in studies:
            if s.model.latent == latent:
                label = f"z of {latent}, {s.label}\nMSE {s.test_mse[0]:.4f}"
                rows.append((label, s.images[0, chosen]))
        projected = project(pca_result, test.images[chosen], latent)
        projected = projected.reshape(test.images[chosen].shape)
        rows.append(
            (f"PCA of {latent}\nMSE {pca_result.test_mse[latent]:.4f}", projected)
        )
    finding = "\nand ".join(
        f"{s.test_mse.mean() / pca_result.test_mse[s.model.latent]:.2f} times PCA's, "
        f"with {s.model.latent} numbers ({s.label})"
        for s in best(studies)
    )
    title = f"The autoencoder's error on held-out {noun}s\nis {finding}"
    figure, axes = plotting.panels(title, len(rows), len(chosen), side=0.72)
    for line, (label, images) in zip(axes, rows, strict=True):
        plotting.row_label(line[0], label)
        for axis, image in zip(line, images, strict=True):
            plotting.show(axis, picture(image), limits=(0, 1))
    return plotting.captioned(
        figure,
        title,
        f"The first held-out {noun} of each class, and its reconstructions by the "
        f"first seed. MSE: of that seed, on all {len(test.labels)} held-out {noun}s, "
        f"pixels 0 to 1. Title: mean over seeds. {caption} {note(studies)}",
        f"Held-out {noun}s, and their reconstructions from z.",
    )


def walk(
    result: AutoencoderResult,
    test: Images,
    title: str,
    caption: str,
    noun: str = "digit",
) -> Plot:
    """Draw walks through z, from image to image and along its axes."""
    pairs = PAIRS if noun == "digit" else pairs_of(test)
    ends = np.array([[np.argmax(test.labels == c) for c in pair] for pair in pairs])
    walks = lines(result.z[0], ends)
    first = jax.tree.map(lambda leaf: leaf[:1], result.params)
    codes = jnp.asarray(walks.reshape(1, -1, walks.shape[-1]))
    decoded = np.asarray(decode(result.model, first, codes))
    figure, axes = plotting.panels(title, len(walks), PLACES + 2, side=0.62)
    rows = decoded.reshape(len(walks), PLACES, *test.images.shape[1:])
    show_walks(axes, rows, test, ends, noun)
    return plotting.captioned(
        figure,
        title,
        f"z of {result.model.latent}, {result.label}, the first seed. Above: points on "
        f"the straight line between the z of two held-out {noun}s, which are shown at "
        f"both ends. Below: one number of z runs from mean - {REACH:g} to mean + "
        f"{REACH:g} standard deviations over held-out {noun}s, the rest stay at their "
        "means. "
        f"Distance: mean squared difference to the nearest training {noun}, over "
        f"{len(half_pairs(test)[0])} pairs of held-out {noun}s of different classes "
        f"and all seeds. {caption}",
        f"Walks through z, from {noun} to {noun} and along its axes.",
    )


def lines(z: Pixels, ends: np.ndarray) -> np.ndarray:
    """Points in z, [walks, points, latent]: between digits, and along the axes."""
    along = np.linspace(0.0, 1.0, PLACES)[:, None]
    offsets = np.linspace(-REACH, REACH, PLACES)[:, None]
    axes = np.diag(z.std(axis=0))[:AXES]
    return np.array(
        [z[a] + along * (z[b] - z[a]) for a, b in ends]
        + [z.mean(axis=0) + offsets * axis for axis in axes]
    )


def firsts(test: Images) -> list[int]:
    """Index of the first image of each class, of at most ten classes."""
    return [int(np.argmax(test.labels == c)) for c in np.unique(test.labels)[:10]]


def pairs_of(test: Images) -> list[tuple[int, int]]:
    """Neighboring classes, in at most as many pairs as digits have."""
    classes = np.unique(test.labels).tolist()
    return list(itertools.pairwise(classes))[: 2 * len(PAIRS) : 2]


def picture(image: np.ndarray) -> np.ndarray:
    """An image as `plotting.show` takes it: without an axis of one channel."""
    return image if image.shape[-1] == 3 else image[..., 0]


def show_walks(
    axes: Any, rows: Pixels, test: Images, ends: np.ndarray, noun: str
) -> None:
    """Draw the walks, one row each, with labels."""
    for line, row in zip(axes, rows, strict=True):
        for axis, image in zip(line[1:-1], row, strict=True):
            plotting.show(axis, picture(image), limits=(0, 1))
    for line, (a, b) in zip(axes, ends, strict=False):
        plotting.row_label(line[0], f"{test.labels[a]} to {test.labels[b]}")
        plotting.show(line[0], picture(test.images[a]), limits=(0, 1))
        plotting.show(line[-1], picture(test.images[b]), limits=(0, 1))
    for i, line in enumerate(axes[len(ends) :]):
        plotting.row_label(line[1], f"z[{i}]")
    parts = [str(Fraction(i, PLACES - 1)) for i in range(PLACES)]
    set_titles(axes[0], [noun, *parts, noun])
    offsets = np.linspace(-REACH, REACH, PLACES)
    set_titles(axes[len(ends)][1:-1], [f"{o:+g} sd" if o else "mean" for o in offsets])


def set_titles(axes: Any, texts: Sequence[str]) -> None:
    """Write small titles above pictures."""
    for axis, text in zip(axes, texts, strict=True):
        axis.set_title(text, fontsize=8, pad=2)


def errors(
    studies: Sequence[AutoencoderResult],
    pca_result: PCAResult,
    caption: str,
    noun: str = "digit",
) -> Plot:
    """Plot the mean squared error against the size of z."""
    finding = "\nand ".join(
        f"{same_error(s, pca_result)} numbers where the autoencoder ({s.label}) has "
        f"{s.model.latent}"
        for s in best(studies)
    )
    title = f"For the same error on held-out {noun}s, PCA needs\n{finding}"
    figure, axes = plotting.figure(title, columns=2)
    aside = 0.3  # horizontal shift, so that equal errors do not overlap
    labels = list(dict.fromkeys(s.label for s in studies))
    for axis, when in zip(axes, ("train_mse", "test_mse"), strict=True):
        floor = getattr(pca_result, when)
        floor = np.where(floor > 1e-5, floor, np.nan)  # with all pixels the error is 0
        sizes = np.arange(1, len(floor))
        axis.plot(sizes, floor[1:], ".-", color="0.35", label="PCA")
        axis.axhline(floor[0], color="0.6", linestyle=":", label=f"mean {noun}")
        for i, label in enumerate(labels):
            group = sorted(
                (s for s in studies if s.label == label), key=lambda s: s.model.latent
            )
            values = np.array([getattr(s, when) for s in group])
            mean = values.mean(axis=1)
            spread = mean - values.min(axis=1), values.max(axis=1) - mean
            axis.errorbar(
                [s.model.latent + aside * (i - (len(labels) - 1) / 2) for s in group],
                mean,
                spread,
                marker="o",
                capsize=4,
                color=plotting.COLORS[i % len(plotting.COLORS)],
                label=f"autoencoder, {label}",
            )
        axis.set(yscale="log", xlabel="size of z, components of PCA")
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter(NullFormatter())
        part = "training" if when == "train_mse" else "held-out"
        axis.set_title(f"{part} {noun}s")
    axes[0].set_ylabel("mean squared error, pixels from 0 to 1")
    axes[1].legend()
    return plotting.captioned(
        figure,
        title,
        "Points: mean over seeds; bars: their range. Points of one size are shifted "
        f"sideways. PCA is fitted to the training {noun}s. {caption} {note(studies)}",
        "Mean squared error against the size of z.",
    )
