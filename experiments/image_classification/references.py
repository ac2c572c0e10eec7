"""What each data set of image_classification is held against: a network, a training.

A flag that says nothing leaves the matter to the reference.
"""

import dataclasses
from typing import Any, NamedTuple

from experiments.harness import cli, training
from train.data import idx

AUTO = "auto"
UNSAID = 0, [0], AUTO  # of flags that leave it to the reference


class Reference(NamedTuple):
    """The network that a data set is held against, and how it is trained.

    Attributes:
        model: Its name among `MODELS`.
        filters: Of each convolution.
        kernel_size: Along each axis.
        padding: Of a cnn's convolutions.
        hidden: Units of a cnn's dense layers before the last.
        batch_size: Examples a step.
        learning_rate: Of Adam.
        schedule: How it goes on.
        epochs: Times through the training set.
        accuracy: On the test set, in percent.
        source: Who found that.
    """

    model: str
    filters: tuple[int, ...]
    kernel_size: int
    padding: str
    hidden: tuple[int, ...]
    batch_size: int
    learning_rate: float
    schedule: str
    epochs: int
    accuracy: str
    source: str


REFERENCES = {
    "digits": Reference(
        *("cnn", (32, 64), 3, "same", (), 64, 3e-3, "constant", 40, "95.4"),
        "two convolutions, in PyTorch, on the same split in order",
    ),
    "mnist1d": Reference(
        *("cnn_1d", (25, 25, 25), 5, "same", (), 100, 1e-2, "constant", 150, "92-94"),
        "Greydanus and Kobak 2024: 94 in the README, 92.3 in the notebook",
    ),
    "idx": Reference(
        *("cnn", (16, 32), 5, "valid", (128,), 32, 3e-3, "cosine", 3, "90.5"),
        "Fashion-MNIST, two 5x5 convolutions with max pooling, in PyTorch",
    ),
}
# The flags that each model listens to.
MODELS = {
    "cnn": ("filters", "kernel_size", "padding", "pool", "hidden"),
    "lenet5": (),
    "cnn_1d": ("filters",),
    "feed_forward": ("hidden",),
    "linear": (),
}


def by_data(name: str) -> str:
    """What stands in each reference, for --help."""
    values = {data: getattr(reference, name) for data, reference in REFERENCES.items()}
    said = [
        f"{data} {','.join(map(str, value)) if isinstance(value, tuple) else value}"
        for data, value in values.items()
    ]
    return f"0 for the reference's: {'; '.join(said)}."


def named(config: Any) -> Any:
    """The flags, with the data set and the model by their names.

    Raises:
        cli.UsageError: Flags contradict each other.
    """
    data = config.data
    if data == AUTO:
        data = "idx" if config.data_dir else "digits"
    if data == "idx" and not config.data_dir:
        raise cli.UsageError(
            f"flag --data_dir: expected a folder, as --data=idx reads files; {idx.HINT}"
        )
    if data != "idx" and config.data_dir:
        raise cli.UsageError(
            f"flag --data_dir: {data} are not read from files; leave it out, or take "
            "--data=idx"
        )
    model = REFERENCES[data].model if config.model == AUTO else config.model
    for name in set().union(*MODELS.values()) - set(MODELS[model]):
        if getattr(config, name) not in UNSAID:
            others = [other for other in MODELS if name in MODELS[other]]
            raise cli.UsageError(
                f"flag --{name}: {model} leaves no choice; leave it out, or take "
                f"--model={' or '.join(others)}"
            )
    return dataclasses.replace(config, data=data, model=model)


def scheduled(config: Any, examples: int) -> Any:
    """The flags, with the numbers of the training.

    Args:
        config: Of `named`.
        examples: How many there are to train on.

    Raises:
        cli.UsageError: They are out of range.
    """
    if config.steps and config.epochs:
        raise cli.UsageError(
            "flag --steps: leave it or --epochs out; both say how long"
        )
    reference = REFERENCES[config.data]
    batch_size = config.batch_size or reference.batch_size
    schedule = reference.schedule if config.schedule == AUTO else config.schedule
    epochs = config.epochs or reference.epochs
    config = dataclasses.replace(
        config,
        learning_rate=config.learning_rate or reference.learning_rate,
        schedule=schedule,
        batch_size=batch_size,
        steps=config.steps or epochs * max(1, examples // batch_size),
    )
    training.check(config, examples, "images")
    return config
