"""Reference networks and training settings of each data set.

Flags that are not given take the value of the reference.
"""

from typing import Any, NamedTuple

AUTO = "auto"
UNSET = 0, [0], AUTO  # values of flags that take the reference's value


class Reference(NamedTuple):
    """Reference network of a data set, and its training.

    Attributes:
        model: Name of the network in `MODELS`.
        filters: Filters of each convolution.
        kernel_size: Kernel size along each axis.
        padding: Padding of a cnn's convolutions.
        hidden: Units of a cnn's dense layers before the last.
        batch_size: Examples per step.
        learning_rate: Learning rate of Adam.
        schedule: Schedule of the learning rate.
        epochs: Number of epochs.
        accuracy: Accuracy on the test set, in percent.
        source: Source of this accuracy.
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
OWN = REFERENCES["digits"]._replace(accuracy="-", source="")  # of the user's images
# Flags that apply to each model.
MODELS = {
    "cnn": ("filters", "kernel_size", "padding", "pool", "hidden"),
    "lenet5": (),
    "cnn_1d": ("filters",),
    "feed_forward": ("hidden",),
    "linear": (),
}


def reference_of(config: Any) -> Reference:
    """The reference of the data set; for the user's own images the network of digits.

    Args:
        config: Flags, as returned by `named`.
    """
    return REFERENCES.get(config.data, OWN)


def by_data(name: str) -> str:
    """Values of all references, as text for --help."""
    values = {data: getattr(reference, name) for data, reference in REFERENCES.items()}
    texts = [
        f"{data} {','.join(map(str, value)) if isinstance(value, tuple) else value}"
        for data, value in values.items()
    ]
    return f"0 for the reference's: {'; '.join(texts)}."
