"""The figure of language models."""

import itertools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

from experiments.harness import plotting
from experiments.harness.plotting import Plot
from experiments.language_model.characters import NetworkResult
from experiments.language_model.claims import BITS, title
from experiments.language_model.ngrams import NgramResult
from nets.flow import plot

TICKS = (0.1, 0.2, 0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 10, 15)  # bits
DENSE = 50  # largest ratio of the ends of an axis on which these ticks have room


def draw(
    ngram_results: Sequence[NgramResult],
    networks: Sequence[NetworkResult],
    length: int,
    caption: str,
) -> Plot:
    """Plot bits per character against training steps and against context length.

    Args:
        ngram_results: Results of the n-gram models.
        networks: Results of the networks.
        length: Characters per training window.
        caption: Description of the experiment.

    Returns:
        A `Plot`.
    """
    finding = title(ngram_results, networks)
    figure, (left, right) = plotting.figure(finding, columns=2)
    for i, net in enumerate(networks):
        shade = plotting.COLORS[i % len(plotting.COLORS)]
        draw_line(left, net.steps, net.curve, shade, net.cell)
        places = bins(net.by_context.shape[1])
        losses = [net.by_context[:, a:b].mean(axis=1) for a, b in places]
        middles = [(a + 1 + b) / 2 for a, b in places]
        draw_line(right, middles, np.stack(losses, 1), shade, net.cell)
    for axis in (left, right):
        draw_level(axis, ngram_results[0])
    draw_level(left, ngram_results[1])
    right.plot(
        [ngram.order - 1 for ngram in ngram_results[1:]],
        [ngram.nats * BITS for ngram in ngram_results[1:]],
        "k.:",
        label=f"n-grams, n = 2 to {ngram_results[-1].order}",
    )
    right.axvline(
        length, color="0.5", linestyle="-.", linewidth=1, label="training window"
    )
    right.set_xscale("log", base=2)
    right.xaxis.set_major_formatter("{x:.0f}")
    left.set_yscale("log")
    low, high = left.get_ylim()
    if high < DENSE * low:
        left.yaxis.set_major_locator(FixedLocator(TICKS))
        left.yaxis.set_minor_locator(NullLocator())
    left.yaxis.set_major_formatter("{x:g}")
    left.set(xlabel="training steps", ylabel="bits per held-out character")
    right.set(xlabel="characters read since a fresh state")
    left.legend()
    right.legend()
    return plotting.captioned(figure, finding, caption)


def draw_line(
    axis: Axes, x, nats: Float[np.ndarray, "seeds x"], shade: str, label: str
):
    """Draw the mean over seeds as a line and their range as a band, in bits."""
    plot.curves({label: BITS * nats.T}, x, ax=axis, color=shade)


def draw_level(axis: Axes, ngram: NgramResult) -> None:
    """Draw a labeled horizontal line at the loss of an n-gram model."""
    axis.axhline(ngram.nats * BITS, color="0.4", linestyle="--", linewidth=1)
    axis.annotate(
        ngram.name,
        (1, ngram.nats * BITS),
        (-4, 3),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        ha="right",
        color="0.4",
    )


def bins(count: int) -> list[tuple[int, int]]:
    """Bins of positions in a window; bins far from the start are wider.

    Args:
        count: Number of positions.

    Returns:
        First position (counted from 0) and end (exclusive) of each bin.

    Example:
        >>> bins(7)
        [(0, 1), (1, 2), (2, 3), (3, 4), (4, 6), (6, 7)]
    """
    edges = [0, 1, 2, 3, 4]
    while edges[-1] < count:  # 6, 8, 12, 16, 24, 32 ...
        edges.append(2 * edges[-2])
    edges = [edge for edge in edges if edge < count]
    return list(itertools.pairwise([*edges, count]))
