"""The instruments: how gradients flow back through any cell."""

from nets.flow.decay import Profile, decay_rate, half_life, log_norms, profile, reach
from nets.flow.depth import depth_gradients, depth_log_norms
from nets.flow.gates import GateStatistics, gates
from nets.flow.jacobians import step_jacobians
from nets.flow.lags import lag_matrix
from nets.flow.layers import by_cell, zero_deltas
from nets.flow.log_singular_values import transport
from nets.flow.lyapunov import LyapunovSpectrum, lyapunov_spectrum
from nets.flow.parameter_gradients import (
    Cancellation,
    cancellation,
    parameter_gradients_by_time,
)
from nets.flow.paths import Paths, highway, paths
from nets.flow.penalties import flossing_penalty, pascanu_penalty
from nets.flow.saliency import input_saliency, integrated_gradients
from nets.flow.state_gradients import state_gradients

__all__ = [
    "Cancellation",
    "GateStatistics",
    "LyapunovSpectrum",
    "Paths",
    "Profile",
    "by_cell",
    "cancellation",
    "decay_rate",
    "depth_gradients",
    "depth_log_norms",
    "flossing_penalty",
    "gates",
    "half_life",
    "highway",
    "input_saliency",
    "integrated_gradients",
    "lag_matrix",
    "log_norms",
    "lyapunov_spectrum",
    "parameter_gradients_by_time",
    "pascanu_penalty",
    "paths",
    "profile",
    "reach",
    "state_gradients",
    "step_jacobians",
    "transport",
    "zero_deltas",
]
