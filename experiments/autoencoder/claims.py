"""The claim, the findings and the table of autoencoders."""

from collections.abc import Sequence

import jax
import numpy as np

from experiments.autoencoder.measure import AutoencoderResult, PCAResult
from experiments.harness import tables
from experiments.harness.claims import (
    INCONCLUSIVE,
    PARTLY_SUPPORTED,
    REFUTED,
    SUPPORTED,
    Claim,
    judge,
)

ANSWERS = {
    SUPPORTED: "Yes: autoencoders reconstruct an unseen digit better than as many "
    "principal components do.",
    PARTLY_SUPPORTED: "Partly: some autoencoders reconstruct an unseen digit better "
    "than as many principal components do.",
    INCONCLUSIVE: "The seeds do not decide whether an autoencoder reconstructs an "
    "unseen digit better than as many principal components.",
    REFUTED: "No: no autoencoder reconstructs an unseen digit better than as many "
    "principal components.",
}


def evaluate_claim(
    studies: Sequence[AutoencoderResult], pca_result: PCAResult
) -> Claim:
    """The claim that autoencoders without switches have less error than PCA."""
    without_switches = [s for s in studies if not s.switches]
    pca_errors = [pca_result.test_mse[s.model.latent] for s in without_switches]
    judgment = judge(
        [pca - s.test_mse for s, pca in zip(without_switches, pca_errors, strict=True)]
    )
    return judgment.claim(
        "A convolutional autoencoder reconstructs unseen digits better than PCA of the "
        "same size",
        "Mean squared error on held-out digits, PCA minus autoencoder.",
        (f"{s.model.latent} numbers, {s.label}" for s in without_switches),
        "{:+.4f}",
    )


def same_error(study: AutoencoderResult, pca_result: PCAResult) -> str:
    """Number of components with which PCA matches the error on held-out digits."""
    enough = np.flatnonzero(pca_result.test_mse <= study.test_mse.mean())
    return str(enough[0]) if len(enough) else f"over {len(pca_result.test_mse) - 1}"


def note(studies: Sequence[AutoencoderResult]) -> str:
    """Explanation of the star of a label, if there is one."""
    model = next((s.model for s in studies if s.switches), None)
    if model is None:
        return ""
    space, total = int(np.prod(model.shape[:-1])), 0
    for i, count in enumerate(model.filters):
        total += count * space // 4 ** (i + 1)
    return (
        f"* In addition to z, this decoder receives {total} switches: the position (1 "
        f"of 4) of each of the encoder's maxima. These {2 * total} bits do not pass "
        "through z, so the comparison with PCA of z's size is not fair. No switches: "
        "the same decoder without the switches that it was trained with."
    )


def remarks(studies: Sequence[AutoencoderResult], pca_result: PCAResult) -> list[str]:
    """Findings to appear below the table."""
    mean = (
        f"The mean digit alone: train {pca_result.train_mse[0]:.4f}, "
        f"test {pca_result.test_mse[0]:.4f}."
    )
    return [text for text in (mean, note(studies)) if text]


def table(studies: Sequence[AutoencoderResult], pca_result: PCAResult) -> tables.Table:
    """Errors of the autoencoders and of PCA, one row per autoencoder."""
    header = ["latent", "upsample", "parameters", "train MSE", "test MSE"]
    header += ["PCA train", "PCA test", "train ratio", "test ratio"]
    header += ["PCA components for that test MSE"]
    rows = []
    for s in studies:
        count = sum(leaf[0].size for leaf in jax.tree.leaves(s.params))
        floor = (
            pca_result.train_mse[s.model.latent],
            pca_result.test_mse[s.model.latent],
        )
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
                same_error(s, pca_result),
            ]
        )
    return tables.Table(header, rows)


def best(studies: Sequence[AutoencoderResult]) -> list[AutoencoderResult]:
    """The autoencoder with the least training error of each size, without switches.

    Selected by the training error, because a selection by the held-out digits would
    bias their error.
    """
    without_switches = [s for s in studies if not s.switches]
    sizes = dict.fromkeys(s.model.latent for s in without_switches)
    return [
        min(
            (s for s in without_switches if s.model.latent == latent),
            key=lambda s: s.train_mse.mean(),
        )
        for latent in sizes
    ]


def walk_title(distances: np.ndarray, pca_distance: float) -> str:
    """The finding: whether the midpoint between two digits resembles a digit."""
    if distances.max() < pca_distance:
        comparison = "is closer to a real digit than the blend by PCA"
    elif distances.min() > pca_distance:
        comparison = "is farther from real digits than the blend by PCA"
    else:
        comparison = "is about as far from real digits as the blend by PCA"
    return (
        f"The midpoint between the autoencoder's codes of two digits\n{comparison}\n"
        f"(distance {distances.mean():.4f}, PCA {pca_distance:.4f})"
    )
