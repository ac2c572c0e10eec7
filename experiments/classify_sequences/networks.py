"""The classifiers, one per cell and way of reading."""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from experiments.harness import training
from nets import Cell
from nets.models import SequenceClassifier

END, BOTH, SMALL, ALL = WAYS = (
    "last output",
    "both ends",
    "both ends, small",
    "all outputs",
)
INPUTS = "all inputs"  # read by the linear model
LINEAR = "linear"  # name of the linear model, in place of the name of a cell


class AllOutputs(SequenceClassifier):
    """A classifier whose dense layer reads the outputs of all steps."""

    def read(
        self, ys: Any, lengths: Array | None = None
    ) -> Float[Array, "*batch classes"]:
        """Logits from the concatenated outputs of all steps."""
        if self.bidirectional:
            ys = jnp.concatenate(ys, axis=-1)
        return self.dense(ys.reshape(*ys.shape[:-2], -1))


class Linear(nn.Module):
    """A linear classifier of the whole sequence.

    Attributes:
        classes: Number of classes.
    """

    classes: int

    @nn.compact
    def __call__(
        self, xs: Float[Array, "*batch time inputs"], lengths: Array | None = None
    ) -> Float[Array, "*batch classes"]:
        """Logits from the concatenated inputs of all steps; padding is zero."""
        return nn.Dense(self.classes)(xs.reshape(*xs.shape[:-2], -1))


def classifiers(
    cell: Cell, example: Any, units: int, bidirectional: bool, classes: int = 10
) -> dict[str, SequenceClassifier]:
    """One classifier per way of reading, all with the same cell.

    Args:
        cell: The cell.
        example: One sequence, to count parameters.
        units: Hidden units of each direction.
        bidirectional: Whether to read from both ends too.
        classes: Number of classes.

    Returns:
        Classifiers by their way of reading.
    """
    end = SequenceClassifier(cell, units, classes)
    models = {END: end}
    if bidirectional:
        models[BOTH] = SequenceClassifier(cell, units, classes, bidirectional=True)
        models[SMALL] = largest_bidirectional(cell, end, example)
    return {**models, ALL: AllOutputs(cell, units, classes, bidirectional)}


def largest_bidirectional(
    cell: Cell, model: SequenceClassifier, example: Any
) -> SequenceClassifier:
    """The largest bidirectional classifier with no more parameters than a model.

    It has at least one unit, even if that takes more parameters.
    """
    units, limit = model.features - 1, training.count(model, example)
    while True:
        small = model.clone(features=units, bidirectional=True)
        if units == 1 or training.count(small, example) <= limit:
            return small
        units -= 1
