"""The networks of image_classification, and what each data set is held against."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from experiments import launch
from nets import blocks, models
from nets.initializers import kernels
from nets.linen import Sequential

CLASSES = 10
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


def network(config: Any, shape: Sequence[int]) -> tuple[Sequential, list[blocks.Row]]:
    """The model of the flags, and its table.

    Args:
        config: Of `named`.
        shape: Of one image, [*space, channels].

    Raises:
        launch.UsageError: There is none, or it does not take such images.
    """
    try:
        model = build(config, axes=len(shape) - 1)
        return model, blocks.summary(model.layers, shape)
    except ValueError as error:
        raise launch.UsageError(
            f"--model={config.model} does not fit {config.data} of shape "
            f"{list(shape)}: {error}"
        ) from None


def build(config: Any, axes: int) -> Sequential:
    """The model of the flags, for images of so many axes."""
    reference = REFERENCES[config.data]
    options: dict[str, Any] = {"classes": CLASSES}
    if config.init != AUTO:
        options["scheme"] = kernels.KERNELS[config.init]
    filters = reference.filters if config.filters in UNSAID else config.filters
    size = config.kernel_size or reference.kernel_size
    padding = reference.padding if config.padding == AUTO else config.padding
    pool = {AUTO: "max", "none": None}.get(config.pool, config.pool)
    hidden = None if config.hidden in UNSAID else config.hidden
    if config.model == "cnn":
        return models.cnn(
            filters=filters,
            kernel_size=(size,) * axes,
            padding=padding,
            pool=pool,
            hidden=hidden or reference.hidden,
            **options,
        )
    if config.model == "cnn_1d":
        return models.cnn_1d(filters=filters, **options)
    if config.model == "lenet5":
        return models.lenet5(**options)
    hidden = () if config.model == "linear" else hidden or (100, 100)
    dense = models.feed_forward(hidden, **options)
    return Sequential((blocks.flatten(axes), *dense.layers))
