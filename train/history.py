"""A training so far: its members, times, probes and evaluations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Bool, Int

from train import members as placement
from train.calls import Call
from train.members import Members
from train.result import FitResult, Probes
from train.step import Params
from train.stopping import Evaluations, stalled


class History:
    """A training so far.

    Attributes:
        members: All members, and those that fill the devices, after the last step.
    """

    def __init__(
        self,
        members: Members,
        earlier: FitResult | None,
        evaluate_fn: Callable[[Params], Any] | None,
        count: int,
        mesh: Mesh | None,
    ):
        """Begin, or continue an earlier training.

        Args:
            members: All members, on their devices.
            earlier: Result to continue from.
            evaluate_fn: As in `train.fit`.
            count: Number of members, without those that fill the devices.
            mesh: As in `train.fit`.
        """
        self.members = members
        self._count, self._mesh = count, mesh
        self._probes = [earlier.probes] if earlier and earlier.probes else []
        self._seconds: list[tuple[float, bool]] = []
        self._before = earlier.seconds_per_step if earlier else 0.0
        self._evaluations = None
        if evaluate_fn is not None:
            self._evaluations = Evaluations(
                evaluate_fn, members.state, earlier, count, mesh
            )

    @property
    def training(self) -> Bool[np.ndarray, " members"]:
        """False for members that do not train any more."""
        return placement.fetch(self.members.training)[: self._count]

    @property
    def nonfinite(self) -> Int[np.ndarray, " members"]:
        """Number of steps of each member that were not finite."""
        return placement.fetch(self.members.nonfinite)[: self._count]

    def add(self, call: Call) -> None:
        """Add the steps of a call.

        Args:
            call: The call.
        """
        self.members = call.members
        self._seconds.append((call.seconds / call.steps, len(call.probed) > 0))
        if call.values is not None:
            self._probes.append(Probes(call.probed, call.values))

    def evaluate(self, step: int, patience: int | None, target: float | None) -> None:
        """Evaluate all members, and stop those that are good enough or do not improve.

        Args:
            step: Number of steps taken.
            patience: As in `train.fit`.
            target: As in `train.fit`.
        """
        if self._evaluations is None:
            return
        self._evaluations.add(self.members, step)
        scores = self._evaluations.scores
        if scores is None or patience is target is None:
            return
        training = self.training
        if patience is not None:
            training = training & ~stalled(scores.values, patience)
        if target is not None:
            training = training & ~(scores.values[-1] <= target)
        extra = len(self.members.training) - self._count
        training = placement.repeat_last(training, extra)
        training = placement.put(training, self._mesh, placement.PER_MEMBER)
        self.members = self.members._replace(training=training)

    def result(self) -> FitResult:
        """The result so far.

        Returns:
            A `FitResult`.
        """
        state, training, count = placement.first(self.members, self._count, self._mesh)
        evaluations = self._evaluations
        return FitResult(
            state,
            self._seconds_per_step(),
            self._joined_probes(),
            evaluations and evaluations.scores,
            evaluations and evaluations.best,
            np.asarray(training),
            np.asarray(count),
        )

    def _seconds_per_step(self) -> float:
        """Median over the calls without a probe, or over all calls."""
        plain = [seconds for seconds, probed in self._seconds if not probed]
        every = [seconds for seconds, _ in self._seconds]
        return float(np.median(plain or every or self._before))

    def _joined_probes(self) -> Probes | None:
        """The probes of all calls."""
        if not self._probes:
            return None
        return jax.tree.map(lambda *parts: np.concatenate(parts), *self._probes)
