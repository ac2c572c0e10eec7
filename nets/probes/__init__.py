"""Probes: quantities that a linear reader can predict from states of a network."""

from nets.probes.linear import linear_probe_accuracy, linear_probe_r2, memory_capacity
from nets.probes.usable_information import usable_information

__all__ = [
    "linear_probe_accuracy",
    "linear_probe_r2",
    "memory_capacity",
    "usable_information",
]


def __dir__() -> list[str]:
    """Names that a user types."""
    return __all__
