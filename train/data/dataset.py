"""Labeled sequences or images as arrays: their records, and the checks of their values.

The modules of the formats (`npz`, `ts`, `csv_files`, `image_folder`) return a `Part`
per training set or test set. `train.data.load` makes a `Dataset` of them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped

from train.data.errors import DataError

CLASSIFY, REGRESS = TASKS = "classify", "regress"


class Part(NamedTuple):
    """A training set or a test set, as a file has it.

    Attributes:
        x: Sequences, [examples, time, features], or images, [examples, height, width,
            channels], in float32. Padding is zero.
        y: Labels as the file writes them (strings or integers), or targets in float32.
        lengths: Number of steps of each sequence; None for images.
        features: Names of the features, or of the channels.
    """

    x: Float[np.ndarray, "examples *axes features"]
    y: Shaped[np.ndarray, " examples"]
    lengths: Int[np.ndarray, " examples"] | None
    features: tuple[str, ...]


class Dataset(NamedTuple):
    """Data to train on and data to test on, checked.

    Attributes:
        x: Training inputs, [examples, time, features] or [examples, height, width,
            channels], in float32. Padding is zero.
        y: Labels from 0 to `len(classes) - 1`, or targets in float32.
        lengths: Number of steps of each sequence; None if all sequences of both parts
            have all steps, and for images.
        x_test: Test inputs; None if the data have no test part (see
            `train.data.splits.split`).
        y_test: Labels or targets of the test part, or None.
        lengths_test: As `lengths`, of the test part.
        classes: Names of the classes in the order of the labels; empty for targets.
        features: Names of the features, or of the channels.
        scale: Standard deviation by which `standardize` divided the targets; else 1.
    """

    x: Float[np.ndarray, "examples *axes features"]
    y: Shaped[np.ndarray, " examples"]
    lengths: Int[np.ndarray, " examples"] | None
    x_test: Float[np.ndarray, "tests *axes features"] | None
    y_test: Shaped[np.ndarray, " tests"] | None
    lengths_test: Int[np.ndarray, " tests"] | None
    classes: tuple[str, ...]
    features: tuple[str, ...]
    scale: float = 1.0


def numbers(values: np.ndarray, where: str) -> Float[np.ndarray, "..."]:
    """Real and finite numbers in float32.

    Args:
        values: Array of any dtype.
        where: File and name of the array, for the message.

    Returns:
        The array in float32.

    Raises:
        DataError: The dtype is not of real numbers, or a number is not finite in
            float32.

    Example:
        >>> numbers(np.array([1, 2]), "x").dtype
        dtype('float32')
    """
    if values.dtype.kind not in "buif":
        raise DataError(
            f"{where}: expected real numbers; got an array of {values.dtype}; convert "
            "it to float32"
        )
    with np.errstate(over="ignore"):  # large float64 numbers become infinite
        converted = values.astype(np.float32)
    if not np.isfinite(converted).all():
        place = tuple(np.argwhere(~np.isfinite(converted))[0].tolist())
        axes = ("example", "step", "feature")
        if values.ndim == 4:
            axes = ("example", "row", "column", "channel")
        words = ", ".join(f"{a} {i}" for a, i in zip(axes, place, strict=False))
        raise DataError(
            f"{where}: expected numbers that are finite in float32; got "
            f"{values[place]} at {words} (counted from 0); fill in or remove it"
        )
    return converted


def targets(values: np.ndarray, task: str, where: str) -> Shaped[np.ndarray, "..."]:
    """Labels or targets of the kind that a task needs.

    Args:
        values: Strings or numbers, [examples].
        task: "classify" or "regress".
        where: File and name of the array, for the message.

    Returns:
        Strings or integers for "classify"; float32 for "regress".

    Raises:
        DataError: The values do not fit the task.

    Example:
        >>> targets(np.array([1, 2]), "regress", "y").dtype
        dtype('float32')
    """
    if task == REGRESS:
        return numbers(values, where)
    if values.dtype.kind not in "buiU":
        raise DataError(
            f"{where}: expected labels of classes, integers or strings; got an array "
            f"of {values.dtype}; convert it, or use task=regress for real targets"
        )
    return values.astype(np.int64) if values.dtype.kind == "b" else values


def padded(
    sequences: Sequence[Float[np.ndarray, "_ features"]],
) -> tuple[Float[np.ndarray, "examples time features"], Int[np.ndarray, " examples"]]:
    """Pad sequences with zeros to the longest.

    Args:
        sequences: Arrays [time, features], at least one.

    Returns:
        The padded sequences in float32, and their lengths.

    Example:
        >>> x, lengths = padded([np.ones((1, 1)), np.ones((2, 1))])
        >>> x[..., 0].tolist(), lengths.tolist()
        ([[1.0, 0.0], [1.0, 1.0]], [1, 2])
    """
    lengths = np.array([len(sequence) for sequence in sequences], np.int32)
    shape = len(sequences), lengths.max(), sequences[0].shape[1]
    x = np.zeros(shape, np.float32)
    for row, sequence in zip(x, sequences, strict=True):
        row[: len(sequence)] = sequence
    return x, lengths


def feature_names(count: int) -> tuple[str, ...]:
    """Names of features that have no names: their numbers.

    Example:
        >>> feature_names(2)
        ('0', '1')
    """
    return tuple(map(str, range(count)))
