"""Probes: what can be read from the states of a network."""

from nets.probes.linear import label_probe, memory_curve, memory_probe
from nets.probes.usable_information import label_information

__all__ = ["label_information", "label_probe", "memory_curve", "memory_probe"]
