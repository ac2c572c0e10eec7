"""The predictions of trained classifiers, and the weights and maps of the first."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from sklearn.metrics import confusion_matrix

from experiments.harness.training import logits
from nets.linen import Sequential

CHUNK = 100  # images per call in evaluation
LONGEST = 12  # characters of the name of a class in a figure


class ClassifierResult(NamedTuple):
    """Predictions of trained classifiers, and weights and maps of the first seed.

    Attributes:
        images: Test images, [examples, *space, channels].
        labels: Classes of the test images, [examples].
        probabilities: Predictions of each seed, [seeds, examples, classes].
        train_accuracy: Accuracy on the training images, from 0 to 1, [seeds].
        weights: Kernels of the first seed, by number of the layer.
        shown: Index of the image whose feature maps are shown.
        maps: Output of each layer of the first seed for that image.
        classes: Names of the classes; empty if they are digits.
    """

    images: Float[np.ndarray, "examples *space channels"]
    labels: Int[np.ndarray, " examples"]
    probabilities: Float[np.ndarray, "seeds examples classes"]
    train_accuracy: Float[np.ndarray, " seeds"]
    weights: Mapping[int, np.ndarray]
    shown: int
    maps: Sequence[np.ndarray]
    classes: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """Names of the classes, cut to the width of a picture."""
        numbers = map(str, range(self.probabilities.shape[-1]))
        return [name[:LONGEST] for name in self.classes or numbers]

    @property
    def predictions(self) -> Int[np.ndarray, "seeds examples"]:
        """Most probable class of each image, by seed."""
        return self.probabilities.argmax(axis=-1)

    @property
    def test_accuracy(self) -> Float[np.ndarray, " seeds"]:
        """Accuracy on the test images, from 0 to 1."""
        return (self.predictions == self.labels).mean(axis=1)

    @property
    def confusion(self) -> Int[np.ndarray, "classes classes"]:
        """Counts by true class (row) and predicted class (column), over all seeds."""
        classes = range(self.probabilities.shape[-1])
        counts = [
            confusion_matrix(self.labels, predicted, labels=classes)
            for predicted in self.predictions
        ]
        return np.sum(counts, axis=0)


class Images(NamedTuple):
    """Images, or sequences as images with one axis, and their classes."""

    images: Float[np.ndarray, "examples *space channels"]
    labels: Int[np.ndarray, " examples"]


@partial(jax.jit, static_argnums=0)
def _probabilities(model: Sequential, params: dict, images: Array) -> Array:
    """`probabilities`, compiled."""

    def predict(params):  # one seed at a time, and in chunks, to save memory
        apply = partial(logits, model, params)
        return jax.nn.softmax(jax.lax.map(apply, images, batch_size=CHUNK))

    return jax.lax.map(predict, params)


def probabilities(
    model: Sequential,
    params: dict,
    images: Float[np.ndarray, "examples *space channels"],
) -> Float[np.ndarray, "seeds examples classes"]:
    """Predicted probabilities of every seed for every image."""
    return np.asarray(_probabilities(model, params, jnp.asarray(images)))


def evaluate(
    model: Sequential,
    params: dict,
    train: Images,
    test: Images,
    classes: tuple[str, ...] = (),
) -> ClassifierResult:
    """Evaluate the trained models on all images; keep weights and maps of the first."""
    test_probabilities = probabilities(model, params, test.images)
    train_predictions = probabilities(model, params, train.images).argmax(axis=-1)
    first = jax.tree.map(lambda leaf: leaf[0], params)
    layers = {int(name.rpartition("_")[2]): block for name, block in first.items()}
    right = test_probabilities[0].argmax(axis=-1) == test.labels
    shown = int(right.argmax())  # first image that is classified correctly, if any
    outputs = jax.jit(partial(model.apply, method="outputs"))
    maps = outputs({"params": first}, test.images[shown])
    return ClassifierResult(
        *test,
        probabilities=test_probabilities,
        train_accuracy=(train_predictions == train.labels).mean(axis=1),
        weights={i: np.asarray(layers[i]["layer"][0]) for i in sorted(layers)},
        shown=shown,
        maps=[np.asarray(ys) for ys in cast(list, maps)],
        classes=classes,
    )
