"""Published numbers, and results of the networks here."""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from experiments.harness.published import Published
from experiments.mnist1d.config import CNN, LINEAR, MLP
from train.data import mnist1d

README = "authors' README"
NOTEBOOK = "authors' notebook, seed 42"
NAMES = {LINEAR: "linear model", MLP: "MLP", CNN: "CNN", "gru": "GRU, bidirectional"}
TOLERANCES = {LINEAR: 0.5, MLP: 3.0, CNN: 1.5, "gru": 2.0}  # percentage points
ACCURACIES = {  # in %, in the README and in the notebook
    LINEAR: (32.0, 31.5),
    MLP: (68.0, 65.1),
    CNN: (94.0, 92.3),
    "gru": (91.0, 89.1),
}
# The authors' models, an LSTM and a tanh RNN in PyTorch 2.13, in %.
PYTORCH = {LINEAR: 31.6, MLP: 64.1, CNN: 93.6, "gru": 90.9, "lstm": 90.0, "elman": 70.7}
POOLING = {"none": 59.2, "stride": 57.4, "max": 78.2, "mean": 78.0, "l2": 77.2}
POOLED = 1000  # sequences to train on, and to test on, with pools


class ModelResult(NamedTuple):
    """Results of one network.

    Attributes:
        name: Name of the model, or of the pool.
        units: Hidden units of each direction; 0 if it has no cell.
        parameters: Number of parameters.
        accuracy: Test accuracy after the last step, in %, [seeds].
        steps: Training steps at which it was measured, [probes].
        curve: Accuracy at these steps, in %, [seeds, probes].
        seconds: Duration of the training of all seeds, with compilation.
    """

    name: str
    units: int
    parameters: int
    accuracy: Float[np.ndarray, " seeds"]
    steps: Int[np.ndarray, " probes"]
    curve: Float[np.ndarray, "seeds probes"]
    seconds: float


Halves = tuple[tuple[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]


def load(pooled: bool = False) -> Halves:
    """Sequences and digits, to train on and to test on.

    Args:
        pooled: Whether to generate the smaller set of the pooling table.

    Returns:
        Two pairs of sequences, [examples, time, 1], and digits, [examples].
    """
    if not pooled:
        return _as_arrays(*mnist1d.load())
    xs, labels = mnist1d.make(examples=2 * POOLED)
    return _as_arrays(
        mnist1d.MNIST1D(xs[:POOLED], labels[:POOLED]),
        mnist1d.MNIST1D(xs[POOLED:], labels[POOLED:]),
    )


def _as_arrays(train: mnist1d.MNIST1D, test: mnist1d.MNIST1D) -> Halves:
    """Both halves on the device."""
    first, second = (
        (
            jax.numpy.asarray(half.sequences[..., None], jax.numpy.float32),
            jax.numpy.asarray(half.labels),
        )
        for half in (train, test)
    )
    return first, second


def published(name: str) -> list[Published]:
    """The published accuracies of a model, if there are any."""
    if name not in ACCURACIES:
        return []
    return [
        Published(f"MNIST-1D, {NAMES[name]}", value, source, TOLERANCES[name], "%")
        for value, source in zip(ACCURACIES[name], (README, NOTEBOOK), strict=True)
    ]


def published_pool(pool: str) -> Published:
    """The published accuracy of a pool."""
    setting = f"MNIST-1D, {POOLED:,} sequences, pool {pool}"
    return Published(setting, POOLING[pool], "authors' notebook, seed 0", unit="%")
