"""Training: optax and trees of arrays, independent of `nets`."""

from train.averaging import average_parameters, averaged
from train.clipping import ClipStats, clip_stats, clip_with_stats
from train.data.errors import DataError
from train.finite import NonFiniteError
from train.fit import fit
from train.loop import result_shapes
from train.optimizers import OPTIMIZERS, SCHEDULES, make_optimizer, make_schedule
from train.result import Best, FitResult, Probes, Scores
from train.step import Metrics, TrainState, init_state, make_step

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "Best",
    "ClipStats",
    "DataError",
    "FitResult",
    "Metrics",
    "NonFiniteError",
    "Probes",
    "Scores",
    "TrainState",
    "average_parameters",
    "averaged",
    "clip_stats",
    "clip_with_stats",
    "fit",
    "init_state",
    "make_optimizer",
    "make_schedule",
    "make_step",
    "result_shapes",
]


def __dir__() -> list[str]:
    """Names that a user types."""
    return [*__all__, "data"]
