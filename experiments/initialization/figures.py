"""The figure of initializers."""

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from experiments.harness import plotting
from experiments.harness.plotting import Plot
from experiments.initialization.claims import TITLED, mean_text, title
from experiments.initialization.measure import JacobianResult
from nets.flow import plot


def draw(results: Sequence[JacobianResult], caption: str) -> Plot:
    """Draw log10 norms against steps, one panel per cell, one line per initializer.

    Args:
        results: Results, one per cell and initializer.
        caption: Setting of the run.

    Returns:
        A `Plot`.
    """
    names = list(dict.fromkeys(result.cell for result in results))
    inits = list(dict.fromkeys(result.init for result in results))
    figure, axes = plotting.figure("", columns=len(names))
    figure.set_size_inches(8.5 if len(names) == 1 else 5.5 * len(names), 5.6)
    width = int(figure.get_figwidth() * 8)
    groups = [[r for r in results if r.cell == name] for name in names]
    lines = [textwrap.fill(title(group), width) for group in groups[:TITLED]]
    finding = ".\n".join(lines)
    figure.suptitle(finding, fontweight="bold", fontsize=12)
    for axis, name, group in zip(axes, names, groups, strict=True):
        draw_panel(axis, group, inits)
        axis.set(title=name, xlabel="steps t")
    axes[0].set_ylabel(r"$\log_{10} \|\partial s_t/\partial s_0\|$")
    return plotting.captioned(figure, finding, caption)


def draw_panel(
    axis: Axes, results: Sequence[JacobianResult], inits: Sequence[str]
) -> None:
    """Draw the lines of one cell; the legend is sorted by the last norm."""
    for result in sorted(
        results, key=lambda result: -np.nan_to_num(result.mean, nan=-np.inf)
    ):
        index = inits.index(result.init)
        style = plotting.line_style(index)
        color = style["color"]
        values = np.where(np.isfinite(result.log10_norms), result.log10_norms, np.nan)
        label = f"{result.init}: {mean_text(result.last)}"
        plot.curves({label: values.T}, result.times, ax=axis, linewidth=1.5, **style)
        if result.known is not None:
            point = result.times[-1:], [result.known]
            axis.plot(*point, "o", color=color, mfc="white", clip_on=False, zorder=3)
    if any(result.known is not None for result in results):
        axis.plot([], [], "o", color="0.3", mfc="white", label="earlier, one seed")
    axis.axhline(0, color="0.3", linewidth=0.8, zorder=0)
    axis.set_xlim(0, results[0].times[-1])
    axis.legend(loc="lower left", fontsize=9)
