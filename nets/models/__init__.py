"""Whole networks, as Linen modules."""

from nets.models.autoencoder import Autoencoder
from nets.models.images import cnn, cnn_1d, feed_forward, lenet5
from nets.models.sequences import SequenceClassifier

__all__ = [
    "Autoencoder",
    "SequenceClassifier",
    "cnn",
    "cnn_1d",
    "feed_forward",
    "lenet5",
]
