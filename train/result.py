"""The result of `train.fit`, complete or so far."""

from __future__ import annotations  # help() prints them as they are written

from typing import Any, NamedTuple

import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from train.averaging import averaged
from train.step import Params, TrainState


class Probes(NamedTuple):
    """Measurements that a probe made during training.

    Attributes:
        steps: Steps before which the probe ran, counted from 0.
        values: Results of the probe, a tree of arrays [probes, members, ...].
    """

    steps: Int[np.ndarray, " probes"]
    values: Any


class Scores(NamedTuple):
    """Evaluations of all models during training.

    Attributes:
        steps: Number of steps taken before each evaluation.
        values: Results of `evaluate_fn`, [evaluations, members].
    """

    steps: Int[np.ndarray, " evaluations"]
    values: Float[np.ndarray, "evaluations members"]


class Best(NamedTuple):
    """The best evaluation of every model.

    Attributes:
        step: Number of steps taken before it, [members].
        score: Its result, [members].
        params: The parameters that were evaluated, a tree of arrays [members, ...].
    """

    step: Int[Array | np.ndarray, " members"]
    score: Float[Array | np.ndarray, " members"]
    params: Params


class FitResult(NamedTuple):
    """Result of `fit`, from which `fit` continues.

    Attributes:
        state: State of all models after the last step, a tree of arrays [members, ...].
            `state.step` is the number of steps that each model has taken.
        seconds_per_step: Time of one step of all models together, without compilation:
            the median over the calls of the compiled program. Calls in which the probe
            ran are left out unless the probe ran in every call.
        probes: Measurements of the probe; None without a probe.
        scores: Evaluations; None without `evaluate_fn`.
        best: Best evaluation of every model; None without `evaluate_fn`.
        training: False for models that stopped early or were dropped.
        nonfinite: Number of steps of each model that were not finite, and therefore not
            taken.
    """

    state: TrainState
    seconds_per_step: float
    probes: Probes | None
    scores: Scores | None
    best: Best | None
    training: Bool[Array | np.ndarray, " members"]
    nonfinite: Int[Array | np.ndarray, " members"]

    @property
    def params(self) -> Params:
        """The trained parameters, a tree of arrays [members, ...].

        The parameters of the best evaluation, if there are evaluations; otherwise their
        average by `average_parameters`, if the optimizer keeps it; otherwise the last.
        """
        if self.best is not None:
            return self.best.params
        average = averaged(self.state.opt_state)
        return self.state.params if average is None else average

    @property
    def opt_state(self) -> optax.OptState:
        """State of the optimizer, a tree of arrays [members, ...]."""
        return self.state.opt_state
