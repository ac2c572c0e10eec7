"""Training: optax and trees of arrays, independent of `nets`."""

from train.clipping import ClipStats, clip_stats, clip_with_stats
from train.data.errors import DataError
from train.finite import NonFiniteError
from train.fit import FitResult, Probes, fit
from train.optimizers import OPTIMIZERS, make_optimizer
from train.step import Metrics, TrainState, init_state, make_step

__all__ = [
    "OPTIMIZERS",
    "ClipStats",
    "DataError",
    "FitResult",
    "Metrics",
    "NonFiniteError",
    "Probes",
    "TrainState",
    "clip_stats",
    "clip_with_stats",
    "fit",
    "init_state",
    "make_optimizer",
    "make_step",
]


def __dir__() -> list[str]:
    """Names that a user types."""
    return [*__all__, "data"]
