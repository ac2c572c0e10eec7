"""What is said of networks that read images, beside what their reference reaches."""

import pathlib
from typing import Any

from experiments import report
from experiments.image_figures import Findings
from experiments.image_references import REFERENCES
from experiments.verdicts import Verdict, interval, positive
from train import Fitted

MARGIN = 1.0  # percentage points that a network may lack to what is known


def verdict(found: Findings, config: Any) -> Verdict:
    """Whether the network is as good as the reference, to a point."""
    known = float(REFERENCES[config.data].accuracy.split("-")[0])
    accuracy = interval(100 * found.test_accuracy)
    return Verdict(
        f"{which(config)} reads what the reference reads, but for {MARGIN:g} point",
        positive(accuracy, known - MARGIN),
        f"Test accuracy {accuracy.text('{:.1f}')} %, reference "
        f"{REFERENCES[config.data].accuracy} %.",
    )


def table(
    found: Findings, parameters: int, fitted: Fitted, config: Any
) -> report.Table:
    """What was found, beside what the reference reaches."""
    reference = REFERENCES[config.data]
    header = [
        "model",
        "parameters",
        "training accuracy, %",
        "test accuracy, %",
        "reference, %",
        "ms/step, all seeds",
    ]
    line = [
        which(config),
        f"{parameters:,}",
        report.mean_and_deviation(100 * found.train_accuracy, "{:.1f}"),
        report.mean_and_deviation(100 * found.test_accuracy, "{:.1f}"),
        reference.accuracy,
        f"{1e3 * fitted.seconds_per_step:.3g}",
    ]
    return report.Table(header, [line])


def which(config: Any) -> str:
    """The model and the data set, in words."""
    folder = pathlib.Path(config.data_dir).absolute()
    return f"{config.model} on {folder.name if config.data_dir else config.data}"


def caption(config: Any, found: Findings) -> str:
    """What was done, so that a figure can stand alone."""
    return (
        f"{which(config)}; {config.optimizer}, rate {config.learning_rate:g} "
        f"({config.schedule}), {config.steps} steps of {config.batch_size}; "
        f"seeds: {len(config.seeds)}; {len(found.labels)} test images; test accuracy "
        f"{report.mean_and_deviation(100 * found.test_accuracy, '{:.1f}')} %."
    )
