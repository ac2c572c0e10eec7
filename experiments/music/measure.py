"""The results of one cell, and a piece of music that a network continues."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int


class Continuation(NamedTuple):
    """A piano roll: the start of a test piece and its continuation by a network.

    Attributes:
        roll: Keys that sound at each step.
        given: Number of steps taken from the test piece.
        cell: Name of the network's cell.
        piece: Number of the test piece, counted from 0.
    """

    roll: Bool[np.ndarray, "time 88"]
    given: int
    cell: str
    piece: int


class CellResult(NamedTuple):
    """Results of one cell.

    Attributes:
        cell: Name of the cell.
        features: Number of units.
        parameters: Number of parameters of the whole network.
        steps: Training steps at which the network was probed.
        train: Loss on the training pieces at these steps, in nats per step.
        valid: Loss on the validation pieces at these steps, in nats per step.
        test: Loss on the test pieces with the parameters best in validation, in nats
            per step.
        params: Parameters best in validation, [seeds, ...].
        milliseconds: Time per training step of all seeds together, in milliseconds.
    """

    cell: str
    features: int
    parameters: int
    steps: Int[np.ndarray, " probes"]
    train: Float[np.ndarray, "probes seeds"]
    valid: Float[np.ndarray, "probes seeds"]
    test: Float[np.ndarray, " seeds"]
    params: Any
    milliseconds: float

    @property
    def best_valid(self) -> Float[np.ndarray, " seeds"]:
        """Minimal loss on the validation pieces."""
        return self.valid.min(axis=0)

    @property
    def best_train(self) -> Float[np.ndarray, " seeds"]:
        """Loss on the training pieces at the step that is best in validation."""
        return self.train[self.valid.argmin(axis=0), np.arange(len(self.test))]

    @property
    def best_step(self) -> Int[np.ndarray, " seeds"]:
        """Training step that is best in validation."""
        return self.steps[self.valid.argmin(axis=0)]
