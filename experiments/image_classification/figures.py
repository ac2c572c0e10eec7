"""The figures of image classifiers: mistakes, filters and feature maps."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from experiments.harness import plotting, tables
from experiments.harness.plotting import Plot
from experiments.image_classification.claims import accuracy_title
from experiments.image_classification.measure import ClassifierResult
from nets.blocks import Row
from nets.convolutional.geometry import format_shape

MISREAD = 24  # misclassified images shown
FILTERS, INPUTS = 32, 16  # filters and input channels of a layer shown
ACROSS, MOST = 16, 32  # feature maps of a layer shown, per row and in all
MEANINGS = {
    "confusion": "Numbers: counts over all seeds; colors: share of the row.",
    "misread": "Above each image: its class, the predicted class and its mean "
    "probability over seeds; then the number of seeds that misread it.",
    "filters": "Filters of the first seed. Orange: positive, purple: negative weights. "
    "If more than half of the weights cancel, a filter compares positions.",
    "feature_maps": "Feature maps of the first seed. Frames: receptive field of one "
    "output of the layer. Each layer is scaled separately: black is zero; or orange is "
    "positive and purple negative.",
}
BLUE, ORANGE, GREY = plotting.COLORS[0], plotting.COLORS[1], "0.6"


def draw(
    result: ClassifierResult, rows: Sequence[Row], caption: str
) -> dict[str, Plot]:
    """Draw all figures.

    Args:
        result: Result of the classifiers.
        rows: Table of the network's layers.
        caption: Description of the experiment.
    """
    names = result.names
    figures = {
        "confusion": confusion(result.confusion, names if result.classes else ()),
        "misread": misread(result.images, result.labels, result.probabilities, names),
        "filters": filters(result.weights, rows, result.images.shape[1:]),
        "feature_maps": feature_maps(result, rows),
    }
    return {
        f"{name}.png": plotting.captioned(
            *drawn, f"{MEANINGS[name]} {caption}", MEANINGS[name]
        )
        for name, drawn in figures.items()
    }


def confusion(
    counts: Int[np.ndarray, "classes classes"], classes: Sequence[str] = ()
) -> tuple[Figure, str]:
    """Draw the confusion matrix: colors are shares of each row, numbers are counts."""
    totals = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shares = 100 * counts / totals
    title = accuracy_title(counts, classes)
    figure = plotting.titled(title, (7.0, 6.6))
    axis = figure.subplots()
    # The square root makes mistakes of 1 % visible next to the diagonal.
    image = axis.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 100))
    figure.colorbar(image, ax=axis, label="share of the row, %", shrink=0.8)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            color = "white" if shares[row, column] > 30 else "black"
            axis.text(
                column, row, f"{count}", ha="center", va="center", color=color, size=8
            )
    ticks, names = range(len(counts)), classes or list(map(str, range(len(counts))))
    axis.set_xticks(ticks, names, rotation=90 if classes else 0)
    axis.set_yticks(ticks, names)
    axis.set(xlabel="predicted class", ylabel="true class")
    return figure, title


def misread(
    images: Float[np.ndarray, "examples *space channels"],
    labels: Int[np.ndarray, " examples"],
    probabilities: Float[np.ndarray, "seeds examples classes"],
    classes: Sequence[str] = (),
) -> tuple[Figure, str]:
    """Draw the images that most seeds misread, with the predicted classes."""
    seeds = len(probabilities)
    wrong = (probabilities.argmax(axis=-1) != labels).sum(axis=0)
    mean = probabilities.mean(axis=0)
    wrong_classes = np.where(np.arange(mean.shape[1]) == labels[:, None], -1, mean)
    predicted, confidence = wrong_classes.argmax(axis=1), wrong_classes.max(axis=1)
    order = np.lexsort((-confidence, -wrong))[:MISREAD]
    order = order[wrong[order] > 0] if wrong.any() else order
    by_all = int((wrong == seeds).sum())
    by_whom = "by every seed" if seeds > 1 else ""
    kind = "images" if images.ndim == 4 else "sequences"
    title = f"{by_all} of {len(labels)} test {kind} are misread {by_whom}".rstrip()
    if not wrong.any():
        title = f"None of {len(labels)} test {kind} is misread; these are the closest"
    columns = 6
    figure, axes = plotting.panels(title, -(-len(order) // columns), columns, 1.5)
    for axis, i in zip(axes.flat, order, strict=False):
        names = list(classes) or list(map(str, range(probabilities.shape[-1])))
        read = f"{names[labels[i]]} read as {names[predicted[i]]}"
        text = f"{read}\n{100 * confidence[i]:.0f} %"
        if seeds > 1:
            text += f", {wrong[i]} of {seeds} seeds"
        _example(axis, images[i])
        axis.set_title(text, fontsize=8, pad=3)
    return figure, title


def filters(
    weights: Mapping[int, np.ndarray], rows: Sequence[Row], shape: Sequence[int]
) -> tuple[Figure, str]:
    """Draw the kernels of the first layer, and of the second if it is a convolution.

    Args:
        weights: Kernels, by number of the layer.
        rows: Table of the network's layers.
        shape: Shape of an image, which dense layers read as a vector.
    """
    kernels = list(weights.values())[:2]
    units = "units" if kernels[0].ndim == 2 else "filters"
    if kernels[0].ndim == 2:  # a dense layer: one weight per pixel
        kernels[0] = kernels[0].reshape(*shape, -1)
    kernels = [kernel for kernel in kernels if kernel.ndim > 2]
    first = kernels[0].reshape(-1, kernels[0].shape[-1])
    cancels = np.abs(first.sum(axis=0)) < 0.5 * np.abs(first).sum(axis=0)
    title = (
        f"First layer: {cancels.sum()} of {len(cancels)} {units} compare positions, "
        f"{(~cancels).sum()} add them up"
    )
    figure = plotting.titled(title, (6.0 * len(kernels), 6.2))
    axes = figure.subplots(1, len(kernels), squeeze=False)[0]
    for axis, kernel, i in zip(axes, kernels, weights, strict=False):
        _kernels(axis, kernel, rows[i].name)
        figure.colorbar(axis.images[0], ax=axis, label="weight", shrink=0.7)
    return figure, title


def feature_maps(result: ClassifierResult, rows: Sequence[Row]) -> tuple[Figure, str]:
    """Draw the output of each layer for one image, from the input to the logits."""
    image, label = result.images[result.shown], result.labels[result.shown]
    predicted = result.probabilities[0, result.shown]
    layers = [
        (row, maps)
        for row, maps in zip(rows, result.maps, strict=True)
        if row.name != "flatten"  # it has the same values as the layer before
    ]
    has_fields = any(row.receptive_field for row, _ in layers)
    growth = (
        "each layer has a larger receptive field"
        if has_fields
        else "every layer reads all"
    )
    title = (
        f"Feature maps of a {result.names[label]}: {growth};\n"
        f"the prediction is {result.names[predicted.argmax()]} "
        f"({100 * predicted.max():.0f} %)"
    )
    heights = [1.0, *(_height(maps) for _, maps in layers)]
    figure = plotting.titled(title, (11, sum(heights) + 1.6))
    axes = figure.subplots(
        len(heights), 3, width_ratios=(1.3, 0.8, 8), height_ratios=heights
    )
    for axis in axes[:, :2].flat:
        axis.axis("off")
    _write(axes[0, 0], f"input\n{format_shape(image.shape)}")
    _example(axes[0, 2], image)
    axes[0, 2].set_anchor("W")
    for (label_axis, field_axis, axis), (row, maps) in zip(
        axes[1:], layers, strict=True
    ):
        hidden = maps.ndim == 3 and maps.shape[-1] > MOST
        count = f"\n(the first {MOST} are shown)" if hidden else ""
        _write(
            label_axis,
            f"{row.name}\n{format_shape(row.shape)}, reads "
            f"{tables.receptive_field(row)}{count}",
        )
        _draw_field(field_axis, image, row.receptive_field)
        _maps(axis, maps)
    _classes(axes[-1, 2], layers[-1][1], int(label))
    return figure, title


def _write(axis: Axes, text: str) -> None:
    """Write text into an empty panel."""
    axis.text(0, 0.5, text, transform=axis.transAxes, va="center", fontsize=9)


def _example(axis: Axes, image: Float[np.ndarray, "*space channels"]) -> None:
    """Draw an image, or a sequence as a line."""
    axis.axis("off")
    if image.ndim == 3:
        plotting.show(axis, image if image.shape[-1] == 3 else image[..., 0])
        return
    axis.plot(image[:, 0], color=BLUE, linewidth=1.2)
    axis.axhline(0, color=GREY, linewidth=0.5)
    axis.margins(x=0)


def _draw_field(
    axis: Axes,
    image: Float[np.ndarray, "*space channels"],
    field: tuple[int, ...] | None,
) -> None:
    """Draw the image, with a frame around the receptive field of one output."""
    _example(axis, image)
    space = image.shape[:-1]
    size = [min(e, n) for e, n in zip(field or space, space, strict=True)]
    low = [(n - e) // 2 - 0.5 for e, n in zip(size, space, strict=True)]
    if len(space) == 1:
        axis.axvspan(low[0], low[0] + size[0], color=ORANGE, alpha=0.3)
        return
    frame = Rectangle(
        (low[1], low[0]), *size[::-1], fill=False, color=ORANGE, linewidth=2
    )
    axis.add_patch(frame)
    frame.set_clip_on(False)


def _height(maps: np.ndarray) -> float:
    """Height of the picture of a layer's output, in inches."""
    if maps.ndim == 3:
        return max(0.8, 0.52 * math.ceil(min(maps.shape[-1], MOST) / ACROSS) + 0.1)
    return 1.2


def _maps(axis: Axes, maps: np.ndarray) -> None:
    """Draw the output of a layer: images side by side, a heat map, or bars."""
    signed = bool((maps < 0).any())
    if maps.ndim == 1:
        axis.bar(range(len(maps)), maps, color=GREY, width=0.8)
        axis.spines[["top", "right"]].set_visible(False)
        axis.margins(x=0.01)
        axis.set_xticks([])
        return
    axis.set(xticks=[], yticks=[])
    axis.set_anchor("W")
    if maps.ndim == 2:
        plotting.show(axis, maps.T, signed=signed)
        axis.set_aspect("auto")
        axis.set_ylabel("filter")
        return
    shown = [maps[..., i] for i in range(min(maps.shape[-1], MOST))]
    whole = plotting.montage(shown, min(ACROSS, len(shown)))
    plotting.show(axis, whole, signed=signed)
    axis.axis("off")


def _classes(axis: Axes, logits: Float[np.ndarray, " classes"], label: int) -> None:
    """Label the bars of the logits; color the true and the predicted class."""
    predicted = int(logits.argmax())
    axis.patches[predicted].set_color(ORANGE)
    axis.patches[label].set_color(BLUE)  # the true class, predicted or not
    axis.set_xticks(range(len(logits)))
    axis.axhline(0, color="black", linewidth=0.5)
    axis.set(xlabel="class", ylabel="logit")


def _kernels(axis: Axes, kernel: np.ndarray, name: str) -> None:
    """Draw kernels [*size, inputs, filters] as small pictures in one."""
    *size, inputs, count = kernel.shape
    title = f"{name}: {format_shape(kernel.shape[:-1])} weights each"
    axis.set(xticks=[], yticks=[], facecolor="0.8")
    if inputs == 1 and len(size) == 1:  # one row per filter
        plotting.show(axis, kernel[:, 0].T, title, signed=True)
        axis.set(xlabel="step", ylabel="filter", aspect="auto")
        return
    columns_shown = range(min(count, FILTERS if inputs == 1 else INPUTS))
    if inputs == 1:
        shown = [kernel[..., 0, i] for i in columns_shown]
    elif len(size) == 1:
        shown = [kernel[..., i].T for i in columns_shown]
        axis.set(xlabel="step, filter by filter", ylabel="input channel")
    else:
        shown = [
            kernel[..., row, i]
            for row in range(min(inputs, INPUTS))
            for i in columns_shown
        ]
        axis.set(xlabel="filter", ylabel="input channel")
    columns = math.ceil(math.sqrt(len(shown))) if inputs == 1 else len(columns_shown)
    plotting.show(axis, plotting.montage(shown, columns), title, signed=True)
    axis.set_aspect("auto" if len(size) == 1 else "equal")
