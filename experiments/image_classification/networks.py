"""The networks of image_classification."""

from collections.abc import Sequence
from typing import Any

from experiments.harness import cli
from experiments.image_classification.references import AUTO, UNSET, reference_of
from nets import blocks, models
from nets.initializers import kernels
from nets.linen import Sequential

CLASSES = 10


def network(
    config: Any, shape: Sequence[int], classes: int = CLASSES
) -> tuple[Sequential, list[blocks.Row]]:
    """Build the model that the flags specify, and its table of layers.

    Args:
        config: Flags, as returned by `named`.
        shape: Shape of one image, [*space, channels].
        classes: Number of classes.

    Raises:
        cli.UsageError: The model does not exist or does not fit the images.
    """
    side = min(shape[:-1])
    # With padding "valid", the summary reports the layer that does not fit.
    if config.kernel_size > side and config.padding != "valid":
        raise cli.UsageError(
            f"flag --kernel_size: expected at most {side}, the width of an image; got "
            f"{config.kernel_size}"
        )
    try:
        model = build(config, len(shape) - 1, classes)
        return model, blocks.summary(model.layers, shape)
    except ValueError as error:
        raise cli.UsageError(
            f"--model={config.model} does not fit {config.data} of shape "
            f"{list(shape)}: {error}"
        ) from None


def build(config: Any, axes: int, classes: int = CLASSES) -> Sequential:
    """Build the model that the flags specify, for images with `axes` spatial axes."""
    reference = reference_of(config)
    options: dict[str, Any] = {"classes": classes}
    if config.init != AUTO:
        options["init"] = kernels.KERNELS[config.init]
    filters = reference.filters if config.filters in UNSET else config.filters
    size = config.kernel_size or reference.kernel_size
    padding = reference.padding if config.padding == AUTO else config.padding
    pool = {AUTO: "max", "none": None}.get(config.pool, config.pool)
    hidden = None if config.hidden in UNSET else config.hidden
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
