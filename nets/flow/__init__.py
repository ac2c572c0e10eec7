"""The instruments: how gradients flow back through any cell."""

from nets.flow.perturbed import perturbed
from nets.flow.profile import decay_rate, half_life, log_norms
from nets.flow.state_gradients import state_gradients

__all__ = ["decay_rate", "half_life", "log_norms", "perturbed", "state_gradients"]
