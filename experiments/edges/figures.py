"""The figures of feature maps and of learned kernels."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from experiments.edges.claims import finding
from experiments.edges.measure import MARKS, KernelSimilarity, LearnedKernels, Picture
from experiments.harness import plotting
from experiments.harness.plotting import Plot
from nets.convolutional.geometry import format_shape

CORNER = 16  # size of the corner that is enlarged, in pixels
SEEDS = 8  # maximal number of seeds drawn, one row each
WIDTH = 9  # minimal number of columns, for the title
PARTS = ("after the convolution", "after ReLU", "after 2x2 max pooling")
FALSE = 1.5  # a zero-padded border is a false edge if |y| grows by this factor


def photograph(picture: Picture, kernel: Float[np.ndarray, "3 3"]) -> Plot:
    """Draw the photograph, both kernels, and the maps of each kernel, row by row."""
    title = (
        "Each Sobel kernel responds to the edges of one direction; ReLU keeps "
        f"{100 * picture.kept:.0f} % of the response;\n{border([picture])}"
    )
    figure, axes = plotting.panels(title, 5, 4)
    figure.set_size_inches(11.5, 10.5)
    plotting.show(axes[0, 0], picture.image, f"{picture.name}, {size(picture.image)}")
    pair = kernel, kernel.T
    for axis, values, mark in zip(axes[0, 1:], pair, MARKS, strict=False):
        plotting.show(axis, values, f"kernel {mark}", signed=True)
        write_numbers(axis, values)
    place, corner = brightest_corner(picture.image)
    high = float(np.quantile(np.abs(picture.maps["valid"].edges), 0.995))
    rows = [(i, padding) for i in (0, 1) for padding in picture.maps]
    for row, (i, padding) in zip(axes[1:], rows, strict=True):
        maps = [m[..., i] for m in picture.maps[padding]]
        plotting.row_label(row[0], f"kernel {MARKS[i]}\n{padding}")
        show = [
            (maps[0], PARTS[0]),
            (maps[0][corner], f"its {place}"),
            *zip(maps[1:], PARTS[1:], strict=True),
        ]
        for axis, (values, part) in zip(row, show, strict=True):
            text = f"{part}, {size(values)}"
            plotting.show(axis, values, text, signed=True, limits=(-high, high))
            axis.images[0].set_interpolation(
                "auto"
            )  # smooth downsampling of the large maps
    return plotting.captioned(
        figure,
        title,
        "Orange: brighter below or on the right; purple: darker; white: no edge. The "
        f"color scale ends at {high:.2g}, which 0.5 % of the values exceed. The corner "
        "is the brightest of the image: with padding 'same', the zeros around it look "
        "like an edge; padding 'valid' has no such border and gives a smaller map.",
        "A photograph after Sobel's kernels, ReLU and pooling.",
    )


def digits(shown: Sequence[Picture]) -> Plot:
    """Draw the maps of digits, two rows each: with zero padding and without."""
    kept = float(np.mean([picture.kept for picture in shown]))
    title = (
        f"Sobel's kernels on digits: ReLU keeps {100 * kept:.0f} % of the response;\n"
        f"{border(shown)}"
    )
    figure, axes = plotting.panels(title, 2 * len(shown), 7, 1.35)
    for i, picture in enumerate(shown):
        high = float(np.abs(picture.maps["same"].edges).max())
        for row, padding in zip(axes[2 * i :], picture.maps, strict=False):
            draw_chain(row, picture, padding, high)
    return plotting.captioned(
        figure,
        title,
        "The images are numbered as in scikit-learn's set. The dashed line is the edge "
        "of an image: padding 'same' adds zeros around it. Orange: brighter below or "
        "on the right; purple: darker; white: no edge.",
        "Digits after Sobel's kernels, ReLU and pooling, with and without padding.",
    )


def draw_chain(
    row: Sequence[Axes], picture: Picture, padding: str, high: float
) -> None:
    """Draw a padded digit, and three maps of each kernel."""
    pad = 1 if padding == "same" else 0
    padded = np.pad(picture.image, pad)
    plotting.row_label(row[0], padding)
    plotting.show(row[0], padded, f"{picture.name}, {size(padded)}", limits=(0, 1))
    height, width = picture.image.shape
    frame = Rectangle(
        (pad - 0.5, pad - 0.5),
        *(width, height),
        fill=False,
        linestyle="--",
        edgecolor=plotting.COLORS[5],
    )
    if pad:
        row[0].add_patch(frame)
    columns = iter(row[1:])
    for i, mark in enumerate(MARKS):
        for part, values in zip(
            ("conv", "ReLU", "pool"), picture.maps[padding], strict=True
        ):
            text = f"{mark} {part}, {size(values)}"
            limits = (-high, high)
            plotting.show(
                next(columns), values[..., i], text, signed=True, limits=limits
            )


def kernels(
    learned: LearnedKernels,
    names: Mapping[str, np.ndarray],
    similarities: Sequence[KernelSimilarity],
    fixed: Mapping[str, Float[np.ndarray, "3 3"]],
    seeds: Sequence[int],
    caption: str,
) -> Plot:
    """Draw the fixed kernels, and below the kernels of each seed.

    Args:
        learned: Kernels before and after training.
        names: Most similar fixed kernel of each, "before" and "after": texts
            [seeds, filters].
        similarities: Similarity to the fixed kernels, and that of random kernels.
        fixed: Fixed kernels by name; each is drawn transposed too.
        seeds: Seeds of the networks.
        caption: Description of the experiment.
    """
    filters, drawn = learned.after.shape[-1], min(len(seeds), SEEDS)
    columns = max(2 * filters + 1, WIDTH)
    title = finding(similarities)
    figure, axes = plotting.panels(title, 1 + drawn, columns, 1.15)
    plotting.row_label(axes[0, 0], "fixed")
    pairs = [(n, k, m) for n in fixed for k, m in ((fixed[n], 0), (fixed[n].T, 1))]
    for axis, (name, kernel, mark) in zip(axes[0], pairs, strict=False):
        plotting.show(axis, kernel, f"{name} {MARKS[mark]}", signed=True)
        write_numbers(axis, kernel)
    for i, row in enumerate(axes[1:]):
        accuracy = f"{100 * learned.accuracy[i]:.1f} %"
        plotting.row_label(row[0], f"seed {seeds[i]}\n{accuracy}")
        for first, when in ((0, "before"), (filters + 1, "after")):
            of_seed = getattr(learned, when)[i]
            for number, axis in enumerate(row[first : first + filters]):
                text = names[when][i, number]
                plotting.show(axis, of_seed[..., number], text, signed=True)
            if i == 0:
                heading(row[first], f"{when} training")
    if drawn < len(seeds):
        caption += f" The first {drawn} of {len(seeds)} seeds are drawn."
    return plotting.captioned(
        figure, title, caption, "Learned kernels, and kernels made by hand."
    )


def heading(axis: Axes, text: str) -> None:
    """Write a heading above the title of the first picture of a group."""
    axis.text(0, 1.35, text, transform=axis.transAxes, fontsize=9, fontweight="bold")


def border(shown: Sequence[Picture]) -> str:
    """The finding on zero padding."""
    zeros = float(np.mean([picture.rim_zeros for picture in shown]))
    repeated = float(np.mean([picture.rim_repeated for picture in shown]))
    verdict = (
        "makes a false edge"
        if zeros > FALSE * repeated
        else "makes no clear false edge"
    )
    return (
        f"zero padding {verdict}: |y| at the border is {zeros:.2f}, and "
        f"{repeated:.2f} with repeated pixels"
    )


def brightest_corner(
    image: Float[np.ndarray, "height width"],
) -> tuple[str, tuple[slice, slice]]:
    """Name and slices of the brightest corner, where zero padding is most visible."""
    first, last = slice(None, CORNER), slice(-CORNER, None)
    corners = {
        f"{y} {x} corner": (rows, columns)
        for y, rows in (("top", first), ("bottom", last))
        for x, columns in (("left", first), ("right", last))
    }
    return max(corners.items(), key=lambda corner: image[corner[1]].mean())


def write_numbers(axis: Axes, kernel: Float[np.ndarray, "3 3"]) -> None:
    """Write the weights of a kernel into its picture."""
    for (y, x), value in np.ndenumerate(kernel):
        dark = abs(value) == np.abs(kernel).max()
        color = "white" if dark else "black"
        axis.text(x, y, f"{value:g}", ha="center", va="center", fontsize=8, color=color)


def size(image: np.ndarray) -> str:
    """Height and width as text."""
    return format_shape(image.shape[:2])
