"""Measurements of cells during training."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int


class Course(NamedTuple):
    """Measurements of one cell in one direction during training.

    Attributes:
        label: Name of the cell, with the direction if there are two.
        steps: Training steps, [probes].
        log_norms: ln |dL/ds_t| by reading step, [probes, seeds, time], or None.
        gates: Mean of each gate, [probes, seeds]; empty if the cell has no gates, or
            None.
        exponents: Lyapunov exponents, [probes, seeds, exponents], or None.
    """

    label: str
    steps: Int[np.ndarray, " probes"]
    log_norms: Float[np.ndarray, "probes seeds time"] | None
    gates: Mapping[str, Float[np.ndarray, "probes seeds"]] | None
    exponents: Float[np.ndarray, "probes seeds exponents"] | None
