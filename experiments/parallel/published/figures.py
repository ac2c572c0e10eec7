"""The figure of published facts."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from experiments.harness import plotting
from experiments.harness.plotting import Plot
from experiments.parallel.published import claims
from experiments.parallel.published.records import (
    NOTICED,
    Lengths,
    Observed,
    Published,
    Threshold,
)


def draw(facts: Published) -> Plot:
    """Draw observers, the threshold of random networks, and iterations against T.

    Args:
        facts: The facts.

    Returns:
        A `Plot`.
    """
    finding = claims.answer(facts)
    figure = plotting.titled(finding, (14.0, 4.3))
    axes = figure.subplots(1, 3)
    _draw_observers(axes[0], facts.observers)
    _draw_threshold(axes[1], facts.threshold)
    _draw_lengths(axes[2], facts.lengths)
    for axis in axes:
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    return plotting.captioned(
        figure,
        finding,
        "float64. Settings and random numbers of Gonzalez et al. 2025, arXiv "
        "2508.16817; residual to the published tolerance. Random networks of "
        f"{facts.threshold.steps} steps (published: up to 10,000).",
    )


def _draw_observers(axis: Axes, observers: Sequence[Observed]) -> None:
    """Draw published iterations, and those here."""
    y = np.arange(len(observers))
    theirs = [each.system.iterations[1] for each in observers]
    ours = [each.iterations for each in observers]
    axis.plot(theirs, y, "s", mfc="none", color="k", ms=9, label="published")
    axis.plot(ours, y, "o", color=plotting.COLORS[0], label="here")
    axis.set_yticks(y, [each.system.name for each in observers])
    axis.invert_yaxis()
    axis.set(title="observers of chaotic systems", xlabel="iterations")
    axis.set_xlim(left=0)


def _draw_threshold(axis: Axes, networks: Threshold) -> None:
    """Draw iterations of random networks against their exponents."""
    for j in range(networks.exponents.shape[1]):
        for ended, marker in ((True, "o"), (False, "x")):
            some = networks.converged[:, j] == ended
            axis.plot(
                networks.exponents[some, j],
                networks.iterations[some, j] / networks.steps,
                marker,
                color=plotting.COLORS[j],
                label=f"network {j + 1}" if ended else None,
            )
    axis.axvline(0, color="0.3", linewidth=0.8)
    low, high = min(networks.gains), max(networks.gains)
    axis.set(
        title=f"s' = W tanh(s) + x, g from {low:g} to {high:g}",
        xlabel="largest Lyapunov exponent, nats per step",
        ylabel="iterations / steps (crosses: not converged)",
    )


def _draw_lengths(axis: Axes, lengths: Lengths) -> None:
    """Draw iterations against the number of steps."""
    plotting.mean_and_range(
        axis, lengths.steps, lengths.contracting.T, 0, label="GRU, untrained"
    )
    axis.plot(
        lengths.steps,
        lengths.wells + NOTICED,
        "o-",
        color=plotting.COLORS[1],
        label="two wells (published: at most 35)",
    )
    axis.set(xscale="log", title="iterations against steps")
    axis.set(xlabel="steps T", ylabel="iterations")
    axis.set_ylim(bottom=0)
