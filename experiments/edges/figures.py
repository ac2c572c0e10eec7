"""What kernels find in images, and kernels that were learnt, to look at."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from experiments.harness import plotting
from experiments.harness.plotting import Plot
from nets.convolutional.geometry import by

CORNER = 16  # pixels of a photograph's corner, along each side
SEEDS = 8  # drawn at most, a row each
WIDTH = 9  # columns that the title needs
MARKS = "—|"  # horizontal and vertical
EDGES = "Sobel", "Prewitt"  # the fixed kernels that are of edges
PARTS = ("after the convolution", "after ReLU", "after 2x2 max pooling")
FALSE = 1.5  # a border with zeros is false if its answer is so many times as strong


class Maps(NamedTuple):
    """Maps [height, width, 2]: of horizontal edges, and of vertical ones.

    Attributes:
        found: After the convolution.
        kept: After ReLU.
        pooled: After max pooling.
    """

    found: Float[np.ndarray, "height width 2"]
    kept: Float[np.ndarray, "height width 2"]
    pooled: Float[np.ndarray, "lower narrower 2"]


class Picture(NamedTuple):
    """An image and what Sobel's kernels find in it.

    Attributes:
        name: In a word or two.
        image: [height, width].
        maps: By the padding's name, same and valid.
        rim_zeros: The mean of |y| over the outermost pixels with zeros around the
            image, as "same" has them.
        rim_repeated: The same with the image's outermost pixels repeated around it.
        kept: Which share of |y| ReLU keeps.
    """

    name: str
    image: Float[np.ndarray, "height width"]
    maps: Mapping[str, Maps]
    rim_zeros: float
    rim_repeated: float
    kept: float


class Learnt(NamedTuple):
    """The networks' kernels, and what is made of them.

    Attributes:
        before: At initialisation.
        after: After training.
        fires: Whether a filter's ReLU lets anything through, on any test stroke.
        votes: The direction, 0 or 1, that each filter's output speaks for.
        accuracy: On the test strokes, from 0 to 1.
    """

    before: Float[np.ndarray, "seeds 3 3 filters"]
    after: Float[np.ndarray, "seeds 3 3 filters"]
    fires: Bool[np.ndarray, "seeds filters"]
    votes: Int[np.ndarray, "seeds filters"]
    accuracy: Float[np.ndarray, " seeds"]


class Likeness(NamedTuple):
    """How alike the kernels of each seed are to a fixed one.

    Attributes:
        to: The fixed one's name.
        of: "all" for the mean over a seed's kernels, "best" for the most alike.
        median: What chance gives.
        high: What chance does not reach in 95 of 100.
        before: |cosine| at initialisation, [seeds].
        after: After training.
    """

    to: str
    of: str
    median: float
    high: float
    before: Float[np.ndarray, " seeds"]
    after: Float[np.ndarray, " seeds"]

    @property
    def above(self) -> int:
        """How many seeds lie above what chance reaches."""
        return int((self.after > self.high).sum())


def photograph(picture: Picture, kernel: Float[np.ndarray, "3 3"]) -> Plot:
    """The photograph, both kernels, and what each leaves of it, row by row."""
    title = (
        "Each Sobel kernel answers to the edges of one direction; ReLU keeps "
        f"{100 * picture.kept:.0f} % of that;\n{border([picture])}"
    )
    figure, axes = plotting.panels(title, 5, 4)
    figure.set_size_inches(11.5, 10.5)
    plotting.show(axes[0, 0], picture.image, f"{picture.name}, {size(picture.image)}")
    for axis, one, mark in zip(axes[0, 1:], (kernel, kernel.T), MARKS, strict=False):
        plotting.show(axis, one, f"kernel {mark}", signed=True)
        write_numbers(axis, one)
    place, corner = brightest_corner(picture.image)
    high = float(np.quantile(np.abs(picture.maps["valid"].found), 0.995))
    rows = [(i, padding) for i in (0, 1) for padding in picture.maps]
    for row, (i, padding) in zip(axes[1:], rows, strict=True):
        maps = [m[..., i] for m in picture.maps[padding]]
        plotting.row_label(row[0], f"kernel {MARKS[i]}\n{padding}")
        show = [
            (maps[0], PARTS[0]),
            (maps[0][corner], f"its {place}"),
            *zip(maps[1:], PARTS[1:], strict=True),
        ]
        for axis, (one, what) in zip(row, show, strict=True):
            text = f"{what}, {size(one)}"
            plotting.show(axis, one, text, signed=True, limits=(-high, high))
            axis.images[0].set_interpolation("auto")  # many pixels fall into one
    return plotting.captioned(
        figure,
        title,
        "Orange: brighter below or on the right; purple: darker; white: no edge. The "
        f"colours end at {high:.2g}, which 0.5 % of the numbers exceed. The corner is "
        "the image's brightest: with zeros around it, as same padding has them, its "
        "outermost pixels look like an edge; valid padding has no such pixels, and a "
        "smaller map.",
        "What Sobel's kernels, ReLU and pooling leave of a photograph.",
    )


def digits(shown: Sequence[Picture]) -> Plot:
    """The same chain on digits, two rows each: with zeros around it, and without."""
    kept = float(np.mean([one.kept for one in shown]))
    title = (
        f"Sobel's kernels on digits: ReLU keeps {100 * kept:.0f} % of the answer;\n"
        f"{border(shown)}"
    )
    figure, axes = plotting.panels(title, 2 * len(shown), 7, 1.35)
    for i, one in enumerate(shown):
        high = float(np.abs(one.maps["same"].found).max())
        for row, padding in zip(axes[2 * i :], one.maps, strict=False):
            draw_chain(row, one, padding, high)
    return plotting.captioned(
        figure,
        title,
        "The images are numbered as in scikit-learn's set. The dashed line is where an "
        "image ends: same padding puts zeros around it. Orange: brighter below or on "
        "the right; purple: darker; white: no edge.",
        "What Sobel's kernels, ReLU and pooling leave of digits, with and without "
        "zero padding.",
    )


def draw_chain(row: Sequence[Axes], shown: Picture, padding: str, high: float) -> None:
    """A digit as the convolution sees it, and three maps of each kernel."""
    around = 1 if padding == "same" else 0
    seen = np.pad(shown.image, around)
    plotting.row_label(row[0], padding)
    plotting.show(row[0], seen, f"{shown.name}, {size(seen)}", limits=(0, 1))
    height, width = shown.image.shape
    frame = Rectangle(
        (around - 0.5, around - 0.5),
        *(width, height),
        fill=False,
        linestyle="--",
        edgecolor=plotting.COLOURS[5],
    )
    if around:
        row[0].add_patch(frame)
    columns = iter(row[1:])
    for i, mark in enumerate(MARKS):
        for what, one in zip(
            ("conv", "ReLU", "pool"), shown.maps[padding], strict=True
        ):
            text = f"{mark} {what}, {size(one)}"
            limits = (-high, high)
            plotting.show(next(columns), one[..., i], text, signed=True, limits=limits)


def kernels(
    learnt: Learnt,
    names: Mapping[str, np.ndarray],
    found: Sequence[Likeness],
    fixed: Mapping[str, Float[np.ndarray, "3 3"]],
    seeds: Sequence[int],
    caption: str,
) -> Plot:
    """The fixed kernels, and under them those of each seed before and after training.

    Args:
        learnt: The kernels.
        names: What each is most alike, "before" and "after": texts [seeds, filters].
        found: How alike they are, beside chance.
        fixed: Kernels by name, which are shown transposed too.
        seeds: As in the flags.
        caption: What was done.
    """
    filters, drawn = learnt.after.shape[-1], min(len(seeds), SEEDS)
    columns = max(2 * filters + 1, WIDTH)
    title = finding(found)
    figure, axes = plotting.panels(title, 1 + drawn, columns, 1.15)
    plotting.row_label(axes[0, 0], "fixed")
    pairs = [(n, k, m) for n in fixed for k, m in ((fixed[n], 0), (fixed[n].T, 1))]
    for axis, (name, kernel, mark) in zip(axes[0], pairs, strict=False):
        plotting.show(axis, kernel, f"{name} {MARKS[mark]}", signed=True)
        write_numbers(axis, kernel)
    for i, row in enumerate(axes[1:]):
        accuracy = f"{100 * learnt.accuracy[i]:.1f} %"
        plotting.row_label(row[0], f"seed {seeds[i]}\n{accuracy}")
        for first, when in ((0, "before"), (filters + 1, "after")):
            many = getattr(learnt, when)[i]
            for number, axis in enumerate(row[first : first + filters]):
                text = names[when][i, number]
                plotting.show(axis, many[..., number], text, signed=True)
            if i == 0:
                above(row[first], f"{when} training")
    if drawn < len(seeds):
        caption += f" The first {drawn} of {len(seeds)} seeds are drawn."
    return plotting.captioned(
        figure, title, caption, "Learned kernels, next to kernels made by hand."
    )


def finding(found: Sequence[Likeness]) -> str:
    """Whether the learnt kernels are edge kernels, by both names of these."""
    every = {one.to: one for one in found if one.of == "all"}
    above = min(every[name].above for name in EDGES)
    seeds = len(found[0].after)
    if above == seeds:
        title = "A network that tells strokes finds edge kernels by itself"
    elif above:
        title = f"{above} of {seeds} networks that tell strokes find edge kernels"
    else:
        title = "Networks that tell strokes find no edge kernels"
    numbers = ", ".join(
        f"{name} {one.after.mean():.2f} (chance {one.median:.2f})"
        for name, one in every.items()
    )
    return f"{title};\n|cosine| with {numbers}"


def above(axis: Axes, text: str) -> None:
    """Words over the title of the first of some pictures."""
    axis.text(0, 1.35, text, transform=axis.transAxes, fontsize=9, fontweight="bold")


def border(shown: Sequence[Picture]) -> str:
    """The finding about zeros around an image."""
    zeros = float(np.mean([one.rim_zeros for one in shown]))
    repeated = float(np.mean([one.rim_repeated for one in shown]))
    how = "a false edge" if zeros > FALSE * repeated else "hardly a false edge"
    return (
        f"zero padding makes {how}: |y| at the border is {zeros:.2f}, with pixels "
        f"repeated {repeated:.2f}"
    )


def brightest_corner(
    image: Float[np.ndarray, "height width"],
) -> tuple[str, tuple[slice, slice]]:
    """The corner where zeros around the image are seen best: its name and place."""
    first, last = slice(None, CORNER), slice(-CORNER, None)
    corners = {
        f"{y} {x} corner": (rows, columns)
        for y, rows in (("top", first), ("bottom", last))
        for x, columns in (("left", first), ("right", last))
    }
    return max(corners.items(), key=lambda corner: image[corner[1]].mean())


def write_numbers(axis: Axes, kernel: Float[np.ndarray, "3 3"]) -> None:
    """A kernel's weights, each in its place."""
    for (y, x), value in np.ndenumerate(kernel):
        dark = abs(value) == np.abs(kernel).max()
        colour = "white" if dark else "black"
        axis.text(
            x, y, f"{value:g}", ha="center", va="center", fontsize=8, color=colour
        )


def size(image: np.ndarray) -> str:
    """Height and width in words."""
    return by(image.shape[:2])
