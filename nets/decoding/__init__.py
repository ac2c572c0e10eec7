"""Decoding: sequences from a model that predicts one step at a time."""

from nets.decoding.beam import Beam, beam_search
from nets.decoding.sampling import sample

__all__ = ["Beam", "beam_search", "sample"]


def __dir__() -> list[str]:
    """Names that a user types."""
    return __all__
