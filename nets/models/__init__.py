"""Complete networks, as Linen modules."""

from nets import signatures
from nets.models.autoencoder import Autoencoder
from nets.models.encoder_decoder import EncoderDecoder, Memory
from nets.models.generator import Mixture, SequenceGenerator, draw, log_density
from nets.models.images import cnn, cnn_1d, feed_forward, lenet5
from nets.models.sequences import SequenceClassifier, SequenceTagger

__all__ = [
    "Autoencoder",
    "EncoderDecoder",
    "Memory",
    "Mixture",
    "SequenceClassifier",
    "SequenceGenerator",
    "SequenceTagger",
    "cnn",
    "cnn_1d",
    "draw",
    "feed_forward",
    "lenet5",
    "log_density",
]

signatures.as_written(globals())


def __dir__() -> list[str]:
    """Names that a user types."""
    return __all__
