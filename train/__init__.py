"""How anything is trained: optax and trees of arrays, and nothing of `nets`."""

from train.clipping import ClipReport, clip_report, reported_clip
from train.data.errors import DataError
from train.finite import NonFiniteError
from train.fit import Fitted, Probes, fit
from train.optimizers import OPTIMIZERS, make_optimizer
from train.step import Metrics, TrainState, init_state, make_step

__all__ = [
    "OPTIMIZERS",
    "ClipReport",
    "DataError",
    "Fitted",
    "Metrics",
    "NonFiniteError",
    "Probes",
    "TrainState",
    "clip_report",
    "fit",
    "init_state",
    "make_optimizer",
    "make_step",
    "reported_clip",
]
