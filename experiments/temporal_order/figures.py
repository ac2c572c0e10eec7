"""The figure of the network of 1997."""

import numpy as np

from experiments.harness import plotting
from experiments.harness.plotting import Plot
from experiments.temporal_order.networks import NAME, RATE, Original
from experiments.temporal_order.references import ORIGINAL
from nets.flow import plot


def finding(learned: Original) -> str:
    """The number of sequences that the network needed, by seed."""
    solved = [int(count) for count in learned.solved if count]
    published = f"(published: {ORIGINAL.published:,} on average)"
    if not solved:
        return (
            f"The {NAME} does not solve temporal order in "
            f"{learned.sequences[-1]:,} sequences {published}"
        )
    counts = ", ".join(f"{count:,}" for count in sorted(solved))
    return (
        f"The {NAME}, with 156 weights, solves temporal order from {len(solved)} of "
        f"{len(learned.solved)} seeds, after {counts} sequences {published}"
    )


def draw_original(learned: Original) -> Plot:
    """Draw the share of wrong sequences, and the gradient before training."""
    text = finding(learned)
    figure = plotting.titled(text, (10.5, 4.2))
    left, right = figure.subplots(1, 2)
    for i, shares in enumerate(learned.wrong):
        left.plot(learned.sequences, 100 * shares, **plotting.line_style(i))
    left.axvline(ORIGINAL.published, color="k", linestyle="--", linewidth=1)
    left.annotate(
        "published ",
        (ORIGINAL.published, 50),
        ha="right",  # the line is at the right edge, if all seeds solve it sooner
    )
    left.set(xlabel="sequences", ylabel="held-out sequences that are wrong, %")
    left.set_ylim(0, 105)
    plot.curves(learned.profile.T / np.log(10), ax=right)
    right.set(xlabel="step t", ylabel=r"$\log_{10} \|\partial L/\partial s_t\|$")
    right.set_title("gradient before training")
    low, high = right.get_ylim()
    right.set_ylim(low - 0.5, high + 0.5)  # constant along the cells, up to rounding
    for axis in (left, right):
        axis.grid(alpha=0.3)
    return plotting.captioned(
        figure,
        text,
        "8 inputs, 2 blocks of 2 memory cells that share their gates, 4 logistic "
        "outputs; gradient truncated, so that it flows back along the cells only; "
        f"gradient descent, rate {RATE:g}, one sequence per step. Left: one line per "
        "seed; a sequence is wrong if an output is wrong by 0.3 or more. Training "
        "stops when none of 1,000 held-out sequences is wrong; that of the paper when "
        "none of the last 2,000 sequences was wrong, which counts up to 2,000 more. "
        "Right: mean and range over seeds.",
    )
