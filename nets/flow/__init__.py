"""The instruments: how gradients flow back through any cell."""

from nets.flow.layers import by_cell, zero_deltas
from nets.flow.profile import decay_rate, half_life, log_norms
from nets.flow.state_gradients import state_gradients

__all__ = [
    "by_cell",
    "decay_rate",
    "half_life",
    "log_norms",
    "state_gradients",
    "zero_deltas",
]
