"""What an image classifier does, to look at: its mistakes, its filters, its maps."""

import math
import textwrap
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from experiments.harness import plotting, tables
from experiments.harness.plotting import Plot
from experiments.image_classification.claims import Findings
from nets.blocks import Row
from nets.convolutional.geometry import by

MISREAD = 24  # images shown
FILTERS, INPUTS = 32, 16  # of a layer, likewise
ACROSS, MOST = 16, 32  # feature maps of a layer, side by side and in all
MEANINGS = {
    "confusion": "Numbers: how often, over all seeds; colours: the share of a row.",
    "misread": "How sure: the mean probability, over seeds, of what it is taken for; "
    "then how many seeds misread it.",
    "filters": "The first seed's. Orange adds, purple takes away; where more than half "
    "cancels, a filter weighs places against each other.",
    "feature_maps": "The first seed's. Frames: how much of the input one number of the "
    "layer sees. Each layer has its own scale, black for nothing; or orange above "
    "zero, purple below.",
}
BLUE, ORANGE, GREY = plotting.COLOURS[0], plotting.COLOURS[1], "0.6"


def draw(found: Findings, rows: Sequence[Row], caption: str) -> dict[str, Plot]:
    """All figures, by file name.

    Args:
        found: What was found.
        rows: The network's table.
        caption: What was done.
    """
    figures = {
        "confusion": confusion(found.confusion),
        "misread": misread(found.images, found.labels, found.probabilities),
        "filters": filters(found.weights, rows, found.images.shape[1:]),
        "feature_maps": feature_maps(found, rows),
    }
    return {
        f"{name}.png": plotting.captioned(
            *drawn, f"{MEANINGS[name]} {caption}", MEANINGS[name]
        )
        for name, drawn in figures.items()
    }


def confusion(counts: Int[np.ndarray, "classes classes"]) -> tuple[Figure, str]:
    """What is taken for what, as a share of each row, with the counts in the cells."""
    totals = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shares = 100 * counts / totals
    wrong = shares * (1 - np.eye(len(counts)))
    label, taken = np.unravel_index(wrong.argmax(), wrong.shape)
    right = 100 * np.trace(counts) / counts.sum()
    title = f"{right:.1f} % are read right"
    if wrong.max() > 0:
        title += (
            f"; the most frequent mistake:\n{label} taken for {taken}, in "
            f"{wrong.max():.1f} % of all {label}s"
        )
    figure = _figure(title, (7.0, 6.6))
    axis = figure.subplots()
    # The root lets a mistake in a hundred be seen beside what is right.
    image = axis.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 100))
    figure.colorbar(image, ax=axis, label="share of the row, %", shrink=0.8)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if shares[row, column] > 30 else "black"
            axis.text(
                column, row, f"{count}", ha="center", va="center", color=colour, size=8
            )
    ticks = range(len(counts))
    axis.set(xticks=ticks, yticks=ticks, xlabel="taken for", ylabel="class")
    return figure, title


def misread(
    images: Float[np.ndarray, "examples *space 1"],
    labels: Int[np.ndarray, " examples"],
    probabilities: Float[np.ndarray, "seeds examples classes"],
) -> tuple[Figure, str]:
    """The images that most seeds misread, and what they are taken for."""
    seeds = len(probabilities)
    wrong = (probabilities.argmax(axis=-1) != labels).sum(axis=0)
    mean = probabilities.mean(axis=0)
    others = np.where(np.arange(mean.shape[1]) == labels[:, None], -1, mean)
    taken, sure = others.argmax(axis=1), others.max(axis=1)
    order = np.lexsort((-sure, -wrong))[:MISREAD]
    order = order[wrong[order] > 0] if wrong.any() else order
    by_all = int((wrong == seeds).sum())
    whose = "by every seed" if seeds > 1 else ""
    kind = "images" if images.ndim == 4 else "sequences"
    title = f"{by_all} of {len(labels)} test {kind} are misread {whose}".rstrip()
    if not wrong.any():
        title = f"None of {len(labels)} test {kind} is misread; these nearly are"
    columns = 6
    figure, axes = plotting.panels(title, -(-len(order) // columns), columns, 1.5)
    for axis, i in zip(axes.flat, order, strict=False):
        said = f"{labels[i]} taken for {taken[i]}\n{100 * sure[i]:.0f} % sure"
        if seeds > 1:
            said += f", {wrong[i]} of {seeds}"
        _example(axis, images[i])
        axis.set_title(said, fontsize=8, pad=3)
    return figure, title


def filters(
    weights: Mapping[int, np.ndarray], rows: Sequence[Row], shape: Sequence[int]
) -> tuple[Figure, str]:
    """The kernels of the first layer, and of the second if it is a convolution.

    Args:
        weights: The kernels, by the layer's number.
        rows: The network's table.
        shape: Of an image, which dense layers see as a vector.
    """
    kernels = list(weights.values())[:2]
    units = "units" if kernels[0].ndim == 2 else "filters"
    if kernels[0].ndim == 2:  # a dense layer: a weight for each pixel
        kernels[0] = kernels[0].reshape(*shape, -1)
    kernels = [kernel for kernel in kernels if kernel.ndim > 2]
    first = kernels[0].reshape(-1, kernels[0].shape[-1])
    cancels = np.abs(first.sum(axis=0)) < 0.5 * np.abs(first).sum(axis=0)
    title = (
        f"First layer: {cancels.sum()} of {len(cancels)} {units} weigh places against "
        f"each other, {(~cancels).sum()} add them up"
    )
    figure = _figure(title, (6.0 * len(kernels), 6.2))
    axes = figure.subplots(1, len(kernels), squeeze=False)[0]
    for axis, kernel, i in zip(axes, kernels, weights, strict=False):
        _kernels(axis, kernel, rows[i].name)
        figure.colorbar(axis.images[0], ax=axis, label="weight", shrink=0.7)
    return figure, title


def feature_maps(found: Findings, rows: Sequence[Row]) -> tuple[Figure, str]:
    """What each layer puts out for one image, from the input to the logits."""
    image, label = found.images[found.shown], found.labels[found.shown]
    said = found.probabilities[0, found.shown]
    layers = [
        (row, maps)
        for row, maps in zip(rows, found.maps, strict=True)
        if row.name != "flatten"  # it shows the same numbers again
    ]
    some = any(row.receptive_field for row, _ in layers)
    sight = "each layer sees more" if some else "every layer sees all"
    title = (
        f"From the input to a class: {sight} of this {label},\n"
        f"and the last takes it for {said.argmax()} ({100 * said.max():.0f} % sure)"
    )
    heights = [1.0, *(_height(maps) for _, maps in layers)]
    figure = _figure(title, (11, sum(heights) + 1.6))
    axes = figure.subplots(
        len(heights), 3, width_ratios=(1.3, 0.8, 8), height_ratios=heights
    )
    for axis in axes[:, :2].flat:
        axis.axis("off")
    _words(axes[0, 0], f"input\n{by(image.shape)}")
    _example(axes[0, 2], image)
    axes[0, 2].set_anchor("W")
    for (words, seen, axis), (row, maps) in zip(axes[1:], layers, strict=True):
        hidden = maps.ndim == 3 and maps.shape[-1] > MOST
        count = f"\n(the first {MOST} are shown)" if hidden else ""
        _words(
            words,
            f"{row.name}\n{by(row.shape)}, sees {tables.receptive_field(row)}{count}",
        )
        _seen(seen, image, row.receptive_field)
        _maps(axis, maps)
    _classes(axes[-1, 2], layers[-1][1], int(label))
    return figure, title


def _figure(title: str, size: tuple[float, float]) -> Figure:
    with matplotlib.rc_context({"font.size": 9}):
        figure = Figure(figsize=size, dpi=110, layout="constrained")
    lines = [textwrap.fill(line, int(9 * size[0])) for line in title.split("\n")]
    title = "\n".join(lines)
    figure.suptitle(title, fontweight="bold", fontsize=12)
    return figure


def _words(axis: Axes, text: str) -> None:
    axis.text(0, 0.5, text, transform=axis.transAxes, va="center", fontsize=9)


def _example(axis: Axes, image: Float[np.ndarray, "*space 1"]) -> None:
    """An image, or a sequence as a line."""
    axis.axis("off")
    if image.ndim == 3:
        plotting.show(axis, image[..., 0])
        return
    axis.plot(image[:, 0], color=BLUE, linewidth=1.2)
    axis.axhline(0, color=GREY, linewidth=0.5)
    axis.margins(x=0)


def _seen(
    axis: Axes, image: Float[np.ndarray, "*space 1"], field: tuple[int, ...] | None
) -> None:
    """The image, with a frame around what one number of a layer sees of it."""
    _example(axis, image)
    space = image.shape[:-1]
    extent = [min(e, n) for e, n in zip(field or space, space, strict=True)]
    low = [(n - e) // 2 - 0.5 for e, n in zip(extent, space, strict=True)]
    if len(space) == 1:
        axis.axvspan(low[0], low[0] + extent[0], color=ORANGE, alpha=0.3)
        return
    corner, size = (low[1], low[0]), (extent[1], extent[0])
    frame = Rectangle(corner, *size, fill=False, color=ORANGE, linewidth=2)
    axis.add_patch(frame)
    frame.set_clip_on(False)


def _height(maps: np.ndarray) -> float:
    """Of the picture of a layer's output, in inches."""
    if maps.ndim == 3:
        return max(0.8, 0.52 * math.ceil(min(maps.shape[-1], MOST) / ACROSS) + 0.1)
    return 1.2


def _maps(axis: Axes, maps: np.ndarray) -> None:
    """What a layer puts out: images side by side, a heat map over time, or bars."""
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
    """Name the bars of the last layer, and colour those that matter."""
    taken = int(logits.argmax())
    axis.patches[taken].set_color(ORANGE)
    axis.patches[label].set_color(BLUE)  # the right one, taken or not
    axis.set_xticks(range(len(logits)))
    axis.axhline(0, color="black", linewidth=0.5)
    axis.set(xlabel="class", ylabel="logit")


def _kernels(axis: Axes, kernel: np.ndarray, name: str) -> None:
    """Kernels [*size, inputs, filters], small pictures in one."""
    *size, inputs, count = kernel.shape
    title = f"{name}: {by(kernel.shape[:-1])} weights each"
    axis.set(xticks=[], yticks=[], facecolor="0.8")
    if inputs == 1 and len(size) == 1:  # a line a filter
        plotting.show(axis, kernel[:, 0].T, title, signed=True)
        axis.set(xlabel="step", ylabel="filter", aspect="auto")
        return
    some = range(min(count, FILTERS if inputs == 1 else INPUTS))
    if inputs == 1:
        shown = [kernel[..., 0, i] for i in some]
    elif len(size) == 1:
        shown = [kernel[..., i].T for i in some]
        axis.set(xlabel="step, filter by filter", ylabel="map of the layer before")
    else:
        shown = [
            kernel[..., row, i] for row in range(min(inputs, INPUTS)) for i in some
        ]
        axis.set(xlabel="a column: a filter", ylabel="a row: a map of the layer before")
    columns = math.ceil(math.sqrt(len(shown))) if inputs == 1 else len(some)
    plotting.show(axis, plotting.montage(shown, columns), title, signed=True)
    axis.set_aspect("auto" if len(size) == 1 else "equal")
