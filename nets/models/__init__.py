"""Whole networks, as Linen modules."""

from nets.models.autoencoder import Autoencoder
from nets.models.images import cnn, cnn_1d, feed_forward, lenet5
from nets.models.sequences import SequenceClassifier, SequenceTagger

__all__ = [
    "Autoencoder",
    "SequenceClassifier",
    "SequenceTagger",
    "cnn",
    "cnn_1d",
    "feed_forward",
    "lenet5",
]
