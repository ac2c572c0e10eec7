"""The claim and the table of image classifiers, compared with their references."""

import pathlib
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Int

from experiments.harness import tables
from experiments.harness.claims import Claim, judge, positive
from experiments.image_classification.measure import ClassifierResult
from experiments.image_classification.references import REFERENCES, reference_of
from train import FitResult

MARGIN = 1.0  # percentage points by which a network may miss the reference


def evaluate_claim(result: ClassifierResult, config: Any) -> Claim:
    """The claim that the network is as good as its reference, within `MARGIN`."""
    reference = float(REFERENCES[config.data].accuracy.split("-")[0])
    return judge(
        [100 * result.test_accuracy - reference],
        partial(positive, threshold=-MARGIN),
    ).claim(
        f"{model_and_data(config)} is as accurate as the reference, to within "
        f"{MARGIN:g} point",
        "Test accuracy minus that of the reference, in percentage points.",
        [model_and_data(config)],
        "{:+.1f}",
    )


def accuracy_title(
    counts: Int[np.ndarray, "classes classes"], classes: Sequence[str] = ()
) -> str:
    """The finding: the accuracy, and the most frequent mistake.

    Args:
        counts: Counts by true class (row) and predicted class (column).
        classes: Names of the classes; by default, they are digits.

    Returns:
        One sentence without its full stop, in up to two lines.

    Example:
        >>> accuracy_title(np.eye(3, dtype=int))
        '100.0 % of the test set is classified correctly'
    """
    label, predicted, share = most_frequent_mistake(counts)
    accuracy = 100 * np.trace(counts) / counts.sum()
    title = f"{accuracy:.1f} % of the test set is classified correctly"
    if share > 0 and classes:
        title += (
            f";\nmost frequent mistake: {classes[label]} read as {classes[predicted]}, "
            f"in {share:.1f} % of these images"
        )
    elif share > 0:
        title += (
            f";\nmost frequent mistake: {label} read as {predicted}, in "
            f"{share:.1f} % of all {label}s"
        )
    return title


def most_frequent_mistake(
    counts: Int[np.ndarray, "classes classes"],
) -> tuple[int, int, float]:
    """The true class, the predicted class, and their share of the true class in %."""
    totals = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    wrong = 100 * counts / totals * (1 - np.eye(len(counts)))
    label, predicted = np.unravel_index(wrong.argmax(), wrong.shape)
    return int(label), int(predicted), float(wrong.max())


def answer(
    counts: Int[np.ndarray, "classes classes"], classes: Sequence[str] = ()
) -> str:
    """The answer: the share of misread images, and the most frequent mistake.

    Args:
        counts: Counts by true class (row) and predicted class (column).
        classes: Names of the classes; by default, they are digits.

    Returns:
        One sentence.

    Example:
        >>> answer(np.array([[9, 1], [0, 10]]))
        'The network misreads 5.0 % of the test images, most often 0 as 1.'
    """
    label, predicted, share = most_frequent_mistake(counts)
    if share == 0:
        return "The network misreads none of the test images."
    wrong = 100 * (1 - np.trace(counts) / counts.sum())
    names = classes or range(len(counts))
    return (
        f"The network misreads {wrong:.1f} % of the test images, most often "
        f"{names[label]} as {names[predicted]}."
    )


def table(
    result: ClassifierResult, parameters: int, fitted: FitResult, config: Any
) -> tables.Table:
    """Accuracies, next to that of the reference."""
    reference = reference_of(config)
    header = [
        "model",
        "parameters",
        "training accuracy, %",
        "test accuracy, %",
        "reference, %",
        "ms/step, all seeds",
    ]
    line = [
        model_and_data(config),
        f"{parameters:,}",
        tables.mean_and_deviation(100 * result.train_accuracy, "{:.1f}"),
        tables.mean_and_deviation(100 * result.test_accuracy, "{:.1f}"),
        reference.accuracy,
        f"{1e3 * fitted.seconds_per_step:.3g}",
    ]
    return tables.Table(header, [line])


def model_and_data(config: Any) -> str:
    """Names of the model and the data set."""
    path = pathlib.Path(config.data_dir or config.own()).absolute()
    is_path = config.data_dir or config.own()
    return f"{config.model} on {path.name if is_path else config.data}"


def caption(config: Any, result: ClassifierResult) -> str:
    """Description of the experiment, for the figures."""
    return (
        f"{model_and_data(config)}; {config.optimizer}, rate {config.learning_rate:g} "
        f"({config.schedule}), {config.steps} steps of {config.batch_size}; "
        f"seeds: {len(config.seeds)}; {len(result.labels)} test images; test accuracy "
        f"{tables.mean_and_deviation(100 * result.test_accuracy, '{:.1f}')} %."
    )
