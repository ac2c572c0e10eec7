"""The instruments: how gradients flow back through any cell."""

from nets.flow.decay import (
    DecayProfile,
    decay_profile,
    decay_rate,
    gradient_horizon,
    half_life,
    log_norms,
)
from nets.flow.depth import depth_gradients, depth_log_norms
from nets.flow.gates import GateStatistics, gates
from nets.flow.jacobians import step_jacobians
from nets.flow.lags import lag_matrix
from nets.flow.layers import zero_perturbations
from nets.flow.log_singular_values import log_singular_values
from nets.flow.lyapunov import LyapunovSpectrum, lyapunov_spectrum
from nets.flow.parameter_gradients import (
    Cancellation,
    cancellation,
    parameter_gradients_by_time,
)
from nets.flow.paths import Paths, highway, split_by_path
from nets.flow.penalties import flossing_penalty, pascanu_penalty
from nets.flow.saliency import input_saliency, integrated_gradients
from nets.flow.state_gradients import state_gradients
from nets.recurrent import CellRun, by_cell, per_cell

__all__ = [
    "Cancellation",
    "CellRun",
    "DecayProfile",
    "GateStatistics",
    "LyapunovSpectrum",
    "Paths",
    "by_cell",
    "cancellation",
    "decay_profile",
    "decay_rate",
    "depth_gradients",
    "depth_log_norms",
    "flossing_penalty",
    "gates",
    "gradient_horizon",
    "half_life",
    "highway",
    "input_saliency",
    "integrated_gradients",
    "lag_matrix",
    "log_norms",
    "log_singular_values",
    "lyapunov_spectrum",
    "parameter_gradients_by_time",
    "pascanu_penalty",
    "per_cell",
    "split_by_path",
    "state_gradients",
    "step_jacobians",
    "zero_perturbations",
]


def __dir__() -> list[str]:
    """Names that a user types."""
    return __all__
