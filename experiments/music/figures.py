"""The figures of polyphonic music."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from experiments.harness import plotting
from experiments.harness.intervals import interval
from experiments.harness.plotting import Plot
from experiments.music import midi
from experiments.music.claims import BAI, overfit, title
from experiments.music.measure import CellResult, Continuation
from nets.flow import plot
from train.data.chorales import Chorales

NOTE = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 0.8], [0.0, 0.8]])  # one step wide


def draw(
    studies: Sequence[CellResult],
    floors: Mapping[str, float],
    music: Continuation,
    caption: str,
    published: bool,
) -> Plot:
    """Draw a piano roll above, and the losses of baselines and cells below.

    Args:
        studies: Results, one per cell.
        floors: Losses of the baselines, in nats, by name.
        music: Piano roll to draw.
        caption: Description of the experiment.
        published: Whether the data are those of `BAI`.
    """
    figure = Figure(figsize=(10, 7.6), dpi=110, layout="constrained")
    finding = title(studies, floors)
    figure.suptitle(finding, fontweight="bold", fontsize=12)
    above, below = figure.subplots(2, 1, height_ratios=(3, 1 + 0.35 * len(studies)))
    draw_roll(above, music)
    draw_losses(below, studies, floors, published)
    lines = " Points: mean over seeds on the test pieces; bars: its 95% intervals."
    if published:
        lines += " Diamonds: Bai 2018."
    return plotting.captioned(
        figure,
        finding,
        caption + lines,
        "The start of a chorale and its continuation by the best network (also in "
        "continuation.mid), and the losses of the networks on the test pieces.",
    )


def draw_roll(axis: Axes, music: Continuation) -> None:
    """Draw keys against time: the given and the sampled notes, in two colors."""
    parts = {
        f"given: test piece {music.piece}": (0, music.given),
        f"sampled: {music.cell}": (music.given, len(music.roll)),
    }
    for color, (label, (start, end)) in zip(
        plotting.COLORS, parts.items(), strict=False
    ):
        steps, keys = np.nonzero(music.roll[start:end])
        # One collection, as separate bars take minutes for long music.
        corners = np.stack([steps + start, keys - 0.4], axis=1)[:, None]
        axis.add_collection(
            PolyCollection(list(corners + NOTE), color=color, lw=0, label=label)
        )
    axis.axvline(music.given, color="0.3", linewidth=1)
    sounding = np.flatnonzero(music.roll.any(axis=0))
    low, high = (sounding[0], sounding[-1]) if sounding.size else (27, 60)
    axis.set(
        title="Start of a chorale, and its continuation by the network",
        xlabel="time, quarter notes",
        ylabel="pitch",
        xlim=(0, len(music.roll)),
        ylim=(low - 1.5, high + 4),
    )
    ticks = [
        k for k in range(88) if low <= k <= high and (midi.A0 + k) % 12 in (0, 4, 7)
    ]
    axis.set_yticks(ticks, [midi.note_name(key) for key in ticks])
    apart = 4 * max(1, round(len(music.roll) / 100))  # quarter notes
    axis.set_xticks(np.arange(0, len(music.roll) + 1, apart))
    axis.grid(alpha=0.3)
    axis.set_axisbelow(True)
    axis.legend(loc="upper right", ncols=2, fontsize=9)


def draw_losses(
    axis: Axes,
    studies: Sequence[CellResult],
    floors: Mapping[str, float],
    published: bool,
) -> None:
    """Draw one point and interval per cell, and one line per baseline."""
    for row, study in enumerate(studies):
        mean, low, high = interval(study.test)
        color = plotting.COLORS[row % len(plotting.COLORS)]
        if np.isfinite(low):
            axis.plot([low, high], [row, row], color=color, linewidth=6, alpha=0.4)
        axis.plot(mean, row, "o", color=color)
        axis.annotate(
            f"{mean:.2f}",
            (mean, row),
            xytext=(0, 6),
            textcoords="offset points",
            ha="center",
            fontsize=9,
        )
        if published and study.cell in BAI:
            axis.plot(BAI[study.cell], row, "D", color=color, mfc="white", zorder=1)
    for style, (name, nats) in zip(plotting.STYLES[1:], floors.items(), strict=False):
        axis.axvline(nats, color="0.3", linestyle=style)
        axis.text(nats, -0.7, f"{name} {nats:.2f} ", ha="right", va="top", fontsize=9)
    axis.set(
        yticks=range(len(studies)),
        yticklabels=[study.cell for study in studies],
        ylim=(len(studies) - 0.4, -0.9),
        xlabel="negative log-likelihood of the test pieces, nats per step",
    )
    axis.margins(x=0.08)
    axis.grid(alpha=0.3, axis="x")


def draw_learning(
    studies: Sequence[CellResult], floors: Mapping[str, float], caption: str
) -> Plot:
    """Plot losses against training steps, one panel per cell."""
    finding = overfit(studies)
    figure, axes = plotting.figure(finding, columns=len(studies))
    figure.set_size_inches(max(8.0, 4.2 * len(studies)), 5)
    for axis, study in zip(axes, studies, strict=True):
        losses = {"training": study.train, "validation": study.valid}
        plot.curves(losses, study.steps, ax=axis, linewidth=1.5)
        axis.set(title=study.cell, xlabel="training step")
        for style, (name, nats) in zip(
            plotting.STYLES[1:], floors.items(), strict=False
        ):
            axis.axhline(nats, color="0.3", linestyle=style, label=f"{name} {nats:.2f}")
        axis.legend(loc="upper right", fontsize=9)
    axes[0].set_ylabel("negative log-likelihood, nats per step")
    lines = (
        " Lines: mean over seeds, without dropout; bands: their range. Baselines: on "
        "test pieces."
    )
    return plotting.captioned(
        figure,
        finding,
        caption + lines,
        "Loss on training and validation pieces during training.",
    )


def caption(config: Any, data: Chorales) -> str:
    """Description of the training, for the figures."""
    sizes = ", ".join(str(len(part.lengths)) for part in data[:3])
    count = len(config.seeds)
    return (
        f"Chorales of Bach, one quarter note per step; {sizes} pieces for training, "
        f"validation (choice of the training step) and test. Dropout "
        f"{config.input_dropout:g} of inputs and {config.recurrent_dropout:g} of "
        f"recurrent inputs; {config.optimizer}, rate {config.learning_rate:g} with "
        f"cosine decay to 0, {config.steps} steps of {config.batch_size} pieces, clip "
        f"norm {config.clip_norm:g}. Negative log-likelihood: sum over 88 keys, mean "
        f"over steps. {f'{count} seeds' if count > 1 else 'One seed'}."
    )
