"""The figure of sequence tagging in one and in both directions."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from experiments.harness import plotting
from experiments.harness.intervals import interval
from experiments.harness.plotting import Plot
from experiments.tag_sequences.claims import title
from experiments.tag_sequences.measure import TaggingResult
from nets.flow import plot


def draw(results: Sequence[TaggingResult], caption: str) -> Plot:
    """Plot F1 for every way of reading, and bits by position in the window.

    Args:
        results: Results, one per way of reading.
        caption: Description of the experiment.

    Returns:
        A `Plot`.
    """
    figure = Figure(figsize=(11, 5), dpi=110, layout="constrained")
    finding = title(results)
    figure.suptitle(finding, fontweight="bold", fontsize=12)
    left, right = figure.subplots(1, 2)
    for i, result in enumerate(results):
        color = plotting.COLORS[i]
        mean, low, high = interval(100 * result.f1)
        error = [[mean - low], [high - mean]] if np.isfinite(low) else None
        point = {"fmt": "o", "color": color, "capsize": 4, "label": result.way}
        left.errorbar([mean], [i], xerr=error, **point)
        left.annotate(
            f"{mean:.1f}",
            (mean, i),
            (0, 8),
            textcoords="offset points",
            ha="center",
            color=color,
        )
        plot.curves({result.way: result.bits.T}, ax=right, color=color)
    left.set_yticks(range(len(results)), [result.way for result in results])
    left.set_ylim(len(results) - 0.5, -0.6)
    left.set(xlabel="F1 of word starts, %", ylabel="reading")
    right.set(
        xlabel="position in the window, letters from the left",
        ylabel=r"$-\log_2 p$(label), bits per letter",
        yscale="log",
    )
    right.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    right.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    right.yaxis.set_minor_formatter(NullFormatter())
    right.legend(ncols=2)
    for axis in (left, right):
        axis.grid(alpha=0.3, which="both")
    return plotting.captioned(figure, finding, caption)
