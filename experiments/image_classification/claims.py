"""Claims about networks that read images, compared with their references."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from experiments.harness import tables
from experiments.harness.claims import Claim, positive
from experiments.harness.intervals import interval
from experiments.image_classification.references import REFERENCES
from train import FitResult

MARGIN = 1.0  # percentage points that a network may lack to what is known


class Findings(NamedTuple):
    """Predictions of trained models for the test images; weights of the first.

    Attributes:
        images: The test set, [examples, *space, 1].
        labels: Their classes, [examples].
        probabilities: Predicted by each seed, [seeds, examples, classes].
        train_accuracy: From 0 to 1, [seeds].
        weights: Kernels of the first seed, by the layer's number.
        shown: The image whose feature maps are shown.
        maps: Output of each layer of the first seed's model for that image.
    """

    images: Float[np.ndarray, "examples *space 1"]
    labels: Int[np.ndarray, " examples"]
    probabilities: Float[np.ndarray, "seeds examples classes"]
    train_accuracy: Float[np.ndarray, " seeds"]
    weights: Mapping[int, np.ndarray]
    shown: int
    maps: Sequence[np.ndarray]

    @property
    def taken_for(self) -> Int[np.ndarray, "seeds examples"]:
        """The class that each seed finds likeliest."""
        return self.probabilities.argmax(axis=-1)

    @property
    def test_accuracy(self) -> Float[np.ndarray, " seeds"]:
        """From 0 to 1."""
        return (self.taken_for == self.labels).mean(axis=1)

    @property
    def confusion(self) -> Int[np.ndarray, "classes classes"]:
        """Counts of a class (row) taken for another (column), over all seeds."""
        classes = self.probabilities.shape[-1]
        counts = np.zeros((classes, classes), int)
        for taken in self.taken_for:
            np.add.at(counts, (self.labels, taken), 1)
        return counts


def evaluate_claim(found: Findings, config: Any) -> Claim:
    """Whether the network is as good as the reference, to a point."""
    known = float(REFERENCES[config.data].accuracy.split("-")[0])
    accuracy = interval(100 * found.test_accuracy)
    return Claim(
        f"{which(config)} reads what the reference reads, but for {MARGIN:g} point",
        positive(accuracy, known - MARGIN),
        f"Test accuracy {accuracy.text('{:.1f}')} %, reference "
        f"{REFERENCES[config.data].accuracy} %.",
    )


def table(
    found: Findings, parameters: int, fitted: FitResult, config: Any
) -> tables.Table:
    """What was found, beside what the reference reaches."""
    reference = REFERENCES[config.data]
    header = [
        "model",
        "parameters",
        "training accuracy, %",
        "test accuracy, %",
        "reference, %",
        "ms/step, all seeds",
    ]
    line = [
        which(config),
        f"{parameters:,}",
        tables.mean_and_deviation(100 * found.train_accuracy, "{:.1f}"),
        tables.mean_and_deviation(100 * found.test_accuracy, "{:.1f}"),
        reference.accuracy,
        f"{1e3 * fitted.seconds_per_step:.3g}",
    ]
    return tables.Table(header, [line])


def which(config: Any) -> str:
    """The model and the data set, in words."""
    folder = pathlib.Path(config.data_dir).absolute()
    return f"{config.model} on {folder.name if config.data_dir else config.data}"


def caption(config: Any, found: Findings) -> str:
    """What was done, so that a figure can stand alone."""
    return (
        f"{which(config)}; {config.optimizer}, rate {config.learning_rate:g} "
        f"({config.schedule}), {config.steps} steps of {config.batch_size}; "
        f"seeds: {len(config.seeds)}; {len(found.labels)} test images; test accuracy "
        f"{tables.mean_and_deviation(100 * found.test_accuracy, '{:.1f}')} %."
    )
