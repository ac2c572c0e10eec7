"""The results of one way of reading, and the scores of one tagger."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from experiments.harness.training import logits, losses
from nets.models import SequenceTagger
from train.data.words import Words

FORWARD, BACKWARD, BOTH, EQUAL = WAYS = (
    "forward",
    "backward",
    "both",
    "both, equal parameters",
)


class TaggingResult(NamedTuple):
    """Results of one way of reading.

    Attributes:
        way: One of `WAYS`.
        features: Hidden units of each direction.
        parameters: Number of parameters of the whole model.
        f1: Harmonic mean of precision and recall of word starts, [seeds].
        accuracy: Share of letters labeled correctly, [seeds].
        bits: -log2 p(label) by position in the window, [seeds, time].
        predictions: Starts predicted by the first seed in a few windows.
    """

    way: str
    features: int
    parameters: int
    f1: Float[np.ndarray, " seeds"]
    accuracy: Float[np.ndarray, " seeds"]
    bits: Float[np.ndarray, "seeds time"]
    predictions: Int[np.ndarray, "windows time"]


class Scores(NamedTuple):
    """Scores of one tagger on held-out windows.

    Attributes:
        bits: -log2 p(label) at every position, the mean over windows, [time].
        accuracy: Share of letters labeled correctly.
        precision: Share of predicted starts that are starts.
        recall: Share of starts that are predicted.
    """

    bits: Array
    accuracy: Array
    precision: Array
    recall: Array


def scores(model: SequenceTagger, params: Any, data: Words) -> Scores:
    """Score one tagger on held-out windows."""
    starts = jnp.asarray(data.starts)
    label_logits = logits(model, params, jnp.asarray(data.letters))
    predicted = label_logits.argmax(axis=-1)
    hits = (predicted * starts).sum()
    return Scores(
        losses(label_logits, starts).mean(axis=0) / np.log(2),
        (predicted == starts).mean(),
        hits / predicted.sum(),
        hits / starts.sum(),
    )
