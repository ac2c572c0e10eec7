"""Sequences to learn: handwritten digits, or the user's data."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from experiments.harness import cli, own_data, tables, training
from experiments.harness.data_flags import CLASSIFY
from experiments.harness.padding import Inputs, Padded, first, trimmed, unpadded
from experiments.harness.runs import Run
from train.data import digits


class Sequences(NamedTuple):
    """Sequences to train on and to measure on.

    Attributes:
        train: Inputs, [examples, time, features] or `Padded`, and labels or targets.
        test: Held-out inputs, and their labels or targets.
        classes: Names of the classes; empty for real targets.
        noun: Noun for the examples, "digits" or "sequences".
        unit: Noun for the content of a step, such as "pixels".
        setting: Description of the data, for captions.
        scale: Deviation by which targets were divided.
        from_user: Whether the user gave them by `--data`.
    """

    train: tuple[Inputs, Array]
    test: tuple[Inputs, Array]
    classes: tuple[str, ...]
    noun: str
    unit: str
    setting: str
    scale: float = 1.0
    from_user: bool = False

    @property
    def measured(self) -> tuple[Inputs, Array]:
        """The held-out data without steps that are padding in every sequence."""
        return trimmed(self.test[0]), self.test[1]

    @property
    def example(self) -> Inputs:
        """Inputs of one training example."""
        return first(self.train[0], 1)

    @property
    def time(self) -> int:
        """Number of steps, of the longest sequence."""
        return unpadded(self.train[0])[0].shape[1]

    @property
    def inputs(self) -> int:
        """Number of features of a step."""
        return unpadded(self.train[0])[0].shape[2]

    @property
    def outputs(self) -> int:
        """Number of outputs of a model."""
        return len(self.classes) or 1

    @property
    def score(self) -> str:
        """Name of what models are measured by, "accuracy" or "R2"."""
        return "accuracy" if self.classes else "R2"

    def scores(self, value: float) -> dict[str, float]:
        """The held-out score of a model, for a row of the log."""
        if self.classes:
            return {"test_accuracy": value}
        return {"test_r2": value, "test_rmse": float(self.rmse(np.asarray(value)))}

    def rmse(self, r2: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Root of the mean squared error, in units of the target, from R2."""
        variance = np.asarray(self.test[1]).var()
        return self.scale * np.sqrt(np.maximum((1 - r2) * variance, 0))

    def findings(
        self, r2: Mapping[str, Float[np.ndarray, " seeds"]] | None = None
    ) -> list[str]:
        """Findings: a description of the user's data, and the RMSE of models.

        Args:
            r2: R2 of each model, for real targets.
        """
        data = [f"Data: {self.setting}."] if self.from_user else []
        if self.classes or not r2:
            return data
        numbers = ", ".join(
            f"{name} {tables.mean_and_deviation(self.rmse(values), '{:.4g}')}"
            for name, values in r2.items()
        )
        always = np.asarray(self.test[1]) - np.asarray(self.train[1]).mean()
        mean = self.scale * math.sqrt(np.square(always).mean())
        return [
            *data,
            f"RMSE on held-out {self.noun}, in units of the target: {numbers}; always "
            f"predicting the mean of the training part: {mean:.4g}.",
        ]


def load(config: Any, results: Run | None = None, least: int = 1) -> Sequences:
    """Load digits in the order of `--order`, or the user's own sequences.

    Args:
        config: The flags.
        results: Run that gets a description of the user's own data; None for none.
        least: Least number of steps that can be measured.

    Returns:
        The `Sequences`.

    Raises:
        cli.UsageError: A size does not fit the data.
        DataError: The data cannot be read.
    """
    if config.own():
        return _load_from_user(config, results, least)
    own_data.expect_no_flags_of_own_data(config)
    halves = training.parts(digits.load(), config)
    training.check(config, len(halves[0].labels), "digits")
    train, test = (
        (
            jnp.asarray(digits.as_sequences(half.images, config.order)),
            jnp.asarray(half.labels),
        )
        for half in halves
    )
    return Sequences(
        train,
        test,
        tuple(map(str, range(10))),
        noun="digits",
        unit=config.order,
        setting=f"Digits as {config.order}",
    )


def _load_from_user(config: Any, results: Run | None, least: int = 1) -> Sequences:
    """Load the user's own sequences; see `load`."""
    own_data.expect_defaults(config, ["order"], "omit it with --data")
    task = getattr(config, "task", CLASSIFY)
    data, text = own_data.load(config, task=task, label=config.label)
    training.check(config, len(data.y), "sequences")
    if results is not None:
        own_data.announce(results, text, "sequence")
    unit = "values"
    if data.lengths is not None:
        unit = "values, sequences aligned at their ends"
    assert data.x_test is not None and data.y_test is not None
    test = _inputs(data.x_test, data.lengths_test)
    if (time := unpadded(trimmed(test))[0].shape[1]) < least:
        raise cli.UsageError(
            f"flag --data: expected sequences of at least {least} steps, whose "
            f"gradients can be compared; the longest to test on has {time}"
        )
    return Sequences(
        (_inputs(data.x, data.lengths), jnp.asarray(data.y)),
        (test, jnp.asarray(data.y_test)),
        data.classes,
        noun="sequences",
        unit=unit,
        setting=text,
        scale=data.scale,
        from_user=True,
    )


def _inputs(x: np.ndarray, lengths: np.ndarray | None) -> Inputs:
    """Inputs of a model, on the device."""
    if lengths is None:
        return jnp.asarray(x)
    return Padded(jnp.asarray(x), jnp.asarray(lengths))
