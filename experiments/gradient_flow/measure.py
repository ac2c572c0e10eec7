"""Accuracy and gradients of a cell, and what the probes measure during training."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from experiments.harness import probing, training
from nets.models import SequenceClassifier
from train import FitResult


class DecayResult(NamedTuple):
    """Results of one cell in one direction, over seeds.

    Attributes:
        label: Name of the cell, with the direction if there are two.
        parameters: Number of parameters of the whole model.
        accuracy: Test accuracy after training, from 0 to 1, [seeds].
        before: ln |dL/ds_t| at each reading step at initialization, [seeds, time].
        after: ln |dL/ds_t| after training, [seeds, time].
        seconds_per_step: Duration of a training step of all seeds.
    """

    label: str
    parameters: int
    accuracy: Float[np.ndarray, " seeds"]
    before: Float[np.ndarray, "seeds time"]
    after: Float[np.ndarray, "seeds time"]
    seconds_per_step: float


class ProbeResult(NamedTuple):
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


def accuracy_and_norms(
    model: SequenceClassifier, params: dict, xs: Array, labels: Array
) -> tuple[Array, dict[str, Array]]:
    """Accuracy, and log norm of the gradient at each step by direction, of one seed."""
    accuracy = training.accuracy(model, params, xs, labels)
    return accuracy, probing.state_gradients(model, params, (xs, labels))


def add_last_probe(
    fitted: FitResult, probe: Any, last_step: int
) -> tuple[Int[np.ndarray, " probes"], dict[str, dict[str, Any]]]:
    """Add the measurements after training to the measurements of the probes.

    Args:
        fitted: Result of training, with probes.
        probe: Function of the parameters of one seed.
        last_step: Number of training steps.

    Returns:
        Training steps, and arrays [probes, seeds, ...] by probe and direction.
    """
    assert fitted.probes is not None
    last = jax.jit(lambda params: jax.lax.map(probe, params))(fitted.params)
    values = jax.tree.map(
        lambda during, after: np.concatenate([during, np.asarray(after)[None]]),
        fitted.probes.values,
        last,
    )
    return np.append(fitted.probes.steps, last_step), values


def labels_of_gates(probes: Sequence[ProbeResult]) -> list[str]:
    """Names of the cells that have gates."""
    return [result.label.split(" ")[0] for result in probes if result.gates]
