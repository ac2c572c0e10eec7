"""What is said of networks that read images, beside what their reference reaches."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from experiments import report
from experiments.image_references import REFERENCES
from experiments.verdicts import Verdict, interval, positive
from train import Fitted

MARGIN = 1.0  # percentage points that a network may lack to what is known


class Findings(NamedTuple):
    """What trained models say of the test images, and what the first is made of.

    Attributes:
        images: Of the test set, [examples, *space, 1].
        labels: Their classes.
        probabilities: Of each class by each seed.
        train_accuracy: From 0 to 1.
        weights: The first seed's kernels, by the layer's number.
        shown: The image whose feature maps are shown.
        maps: What each layer of the first seed's model puts out for it.
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
        """How often an image of a class (row) is taken for another, over all seeds."""
        classes = self.probabilities.shape[-1]
        counts = np.zeros((classes, classes), int)
        for taken in self.taken_for:
            np.add.at(counts, (self.labels, taken), 1)
        return counts


def verdict(found: Findings, config: Any) -> Verdict:
    """Whether the network is as good as the reference, to a point."""
    known = float(REFERENCES[config.data].accuracy.split("-")[0])
    accuracy = interval(100 * found.test_accuracy)
    return Verdict(
        f"{which(config)} reads what the reference reads, but for {MARGIN:g} point",
        positive(accuracy, known - MARGIN),
        f"Test accuracy {accuracy.text('{:.1f}')} %, reference "
        f"{REFERENCES[config.data].accuracy} %.",
    )


def table(
    found: Findings, parameters: int, fitted: Fitted, config: Any
) -> report.Table:
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
        report.mean_and_deviation(100 * found.train_accuracy, "{:.1f}"),
        report.mean_and_deviation(100 * found.test_accuracy, "{:.1f}"),
        reference.accuracy,
        f"{1e3 * fitted.seconds_per_step:.3g}",
    ]
    return report.Table(header, [line])


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
        f"{report.mean_and_deviation(100 * found.test_accuracy, '{:.1f}')} %."
    )
