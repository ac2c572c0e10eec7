"""Results of a classifier on held-out sequences, and results published elsewhere."""

from typing import Any, NamedTuple

import jax
import numpy as np
from flax import linen as nn
from jaxtyping import Float, Int
from sklearn.metrics import confusion_matrix

from experiments.classify_sequences.networks import ALL, END, LINEAR
from experiments.harness.probing import Sequences
from experiments.harness.training import logits

REFERENCE_UNITS = 64  # units of PyTorch's cells
# Accuracy in % of PyTorch's cells, from the last output, on the same halves.
DIGITS = {
    "rows": {"elman": 92.2, "lstm": 89.5, "gru": 91.8},
    "pixels": {"elman": 77.8, "lstm": 78.6, "gru": 88.5},
}
# Accuracy in %, as published. The GRU is bidirectional, has 6 units, and reads all
# outputs.
MNIST1D_LINEAR, MNIST1D_GRU = 32.0, 91.0


class ModelResult(NamedTuple):
    """Held-out results of one model.

    Attributes:
        cell: Name of the cell, or `LINEAR`.
        way: Way of reading, one of `WAYS`, or `INPUTS`.
        features: Hidden units of each direction; 0 for the linear model.
        bidirectional: Whether the model reads from both ends.
        parameters: Number of parameters.
        accuracy: Accuracy after training, or R2 of targets, at most 1, [seeds].
        steps: Training steps at which accuracy was measured, [probes].
        curve: Accuracy at these steps, [seeds, probes].
        confusion: Number of sequences by class (row) and predicted class (column); no
            classes for targets.
        milliseconds: Time of a training step of all seeds.
        known: Accuracy of the same model elsewhere, in %, or None.
    """

    cell: str
    way: str
    features: int
    bidirectional: bool
    parameters: int
    accuracy: Float[np.ndarray, " seeds"]
    steps: Int[np.ndarray, " probes"]
    curve: Float[np.ndarray, "seeds probes"]
    confusion: Int[np.ndarray, "seeds classes classes"]
    milliseconds: float
    known: float | None

    @property
    def name(self) -> str:
        """Text such as "gru, last output"."""
        return f"{self.cell}, {self.way}"


def known_accuracy(
    data: str, order: str, cell: str, way: str, features: int, bidirectional: bool
) -> float | None:
    """The accuracy of the same model elsewhere, in %, or None.

    Example:
        >>> known_accuracy("digits", "rows", "gru", END, 64, False)
        91.8
    """
    if data not in ("digits", "mnist1d"):
        return None
    if data == "digits":
        same = (way, features, bidirectional) == (END, REFERENCE_UNITS, False)
        return DIGITS[order].get(cell) if same else None
    if cell == LINEAR:
        return MNIST1D_LINEAR
    published = ("gru", ALL, 6, True)
    return MNIST1D_GRU if (cell, way, features, bidirectional) == published else None


def majority_accuracy(train: np.ndarray, test: np.ndarray) -> float:
    """Accuracy of always predicting the most frequent class of the training set.

    Args:
        train: Labels of the training set, [examples]; or targets, whose mean is always
            predicted.
        test: Labels, or targets, of the held-out set, [examples].

    Returns:
        Accuracy on the held-out set, from 0 to 1; R2 of targets, at most 0.

    Example:
        >>> majority_accuracy(np.array([1, 1, 0]), np.array([0, 1, 0, 0]))
        0.25
    """
    if np.issubdtype(train.dtype, np.floating):
        return 1 - float(np.square(test - train.mean()).mean() / test.var())
    return float((test == np.bincount(train).argmax()).mean())


def confusion_matrices(
    model: nn.Module, params: Any, data: Sequences, classes: int
) -> Int[np.ndarray, "seeds classes classes"]:
    """Number of sequences by class (row) and predicted class (column), by seed."""
    xs, labels = data
    predict = jax.jit(
        lambda params: jax.lax.map(
            lambda p: logits(model, p, xs).argmax(axis=-1), params
        )
    )
    return np.stack(
        [
            confusion_matrix(np.asarray(labels), predicted, labels=range(classes))
            for predicted in np.asarray(predict(params))
        ]
    )


def error_shares(result: ModelResult) -> Float[np.ndarray, "classes classes"]:
    """Share of each class that is mistaken for each other class, in %, over seeds."""
    counts = result.confusion.sum(axis=0)
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    np.fill_diagonal(shares, 0)
    return shares
