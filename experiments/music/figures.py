"""The figures and the table of polyphonic music."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from experiments.harness import plotting, tables
from experiments.harness.intervals import interval
from experiments.harness.plotting import Plot
from experiments.music import midi
from experiments.music.claims import BAI, BEFORE, Study, overfit, title
from train.data.chorales import Chorales

NOTE = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 0.8], [0.0, 0.8]])  # a step wide


class Music(NamedTuple):
    """A piano roll, given at first and then sampled.

    Attributes:
        roll: Which keys sound at each step.
        given: How many steps are of a test piece.
        cell: Whose net went on.
        piece: The test piece, counted from 0.
    """

    roll: Bool[np.ndarray, "time 88"]
    given: int
    cell: str
    piece: int


def table(
    studies: Sequence[Study], floors: Mapping[str, float], published: bool
) -> tables.Table:
    """What was found, a line a floor and a line a cell.

    Args:
        studies: Of the cells.
        floors: Names to nats.
        published: Whether the data are those of `BAI` and `BEFORE`.
    """
    header = [
        "model",
        "units",
        "parameters",
        "best step",
        "training, nats",
        "validation, nats",
        "test, nats",
        "test, measured before",
        "test, Bai 2018",
        "ms a step",
    ]
    rows = []
    for name, nats in floors.items():
        before = known(BEFORE, name, published)
        rows.append([f"floor: {name}", *"-----", f"{nats:.2f}", before, "-", "-"])
    for study in studies:
        steps = study.best_step
        said = [
            tables.mean_and_deviation(costs, "{:.2f}")
            for costs in (study.best_train, study.best_valid, study.test)
        ]
        span = f"{steps.min()} to {steps.max()}"
        rows.append(
            [
                study.cell,
                str(study.features),
                f"{study.parameters:,}",
                span if steps.min() < steps.max() else str(steps[0]),
                *said,
                known(BEFORE, study.cell, published),
                known(BAI, study.cell, published),
                f"{study.milliseconds:.1f}",
            ]
        )
    return tables.Table(header, rows)


def known(numbers: Mapping[str, float], name: str, published: bool) -> str:
    """A number that others measured on the same data; a dash if there is none."""
    return f"{numbers[name]:.2f}" if published and name in numbers else "-"


def findings(music: Music) -> list[str]:
    """How the sampled notes compare with the given ones."""
    given, sampled = np.split(music.roll, [music.given])
    return [
        f"Keys that sound at once: {given.sum(axis=1).mean():.1f} in the beginning, "
        f"{sampled.sum(axis=1).mean():.1f} as {music.cell} goes on "
        "(continuation.mid)."
    ]


def draw(
    studies: Sequence[Study],
    floors: Mapping[str, float],
    music: Music,
    caption: str,
    published: bool,
) -> Plot:
    """A piano roll above, the losses of floors and cells below.

    Args:
        studies: Of the cells.
        floors: Names to nats.
        music: What is shown of music.
        caption: What was done, so that the figure can stand alone.
        published: As in `table`.
    """
    figure = Figure(figsize=(10, 7.6), dpi=110, layout="constrained")
    finding = title(studies, floors)
    figure.suptitle(finding, fontweight="bold", fontsize=12)
    above, below = figure.subplots(2, 1, height_ratios=(3, 1 + 0.35 * len(studies)))
    draw_roll(above, music)
    draw_losses(below, studies, floors, published)
    lines = " Points: mean over seeds on the test pieces; bars: 95% intervals of it."
    if published:
        lines += " Diamonds: Bai 2018."
    return plotting.captioned(
        figure,
        finding,
        caption + lines,
        "The beginning of a chorale and its continuation by the best net (also in "
        "continuation.mid), and the loss of the nets on test pieces.",
    )


def draw_roll(axis: Axes, music: Music) -> None:
    """Keys against time; what is given and what is sampled in two colours."""
    parts = {
        f"given: test piece {music.piece}": (0, music.given),
        f"sampled: {music.cell}": (music.given, len(music.roll)),
    }
    for colour, (label, (start, end)) in zip(
        plotting.COLOURS, parts.items(), strict=False
    ):
        steps, keys = np.nonzero(music.roll[start:end])
        # One collection: a bar for each note would take minutes for long music.
        corners = np.stack([steps + start, keys - 0.4], axis=1)[:, None]
        axis.add_collection(
            PolyCollection(list(corners + NOTE), color=colour, lw=0, label=label)
        )
    axis.axvline(music.given, color="0.3", linewidth=1)
    sounding = np.flatnonzero(music.roll.any(axis=0))
    low, high = (sounding[0], sounding[-1]) if sounding.size else (27, 60)
    axis.set(
        title="How a chorale begins, and how the net goes on",
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
    axis: Axes, studies: Sequence[Study], floors: Mapping[str, float], published: bool
) -> None:
    """A point and an interval a cell, a line a floor."""
    for row, study in enumerate(studies):
        mean, low, high = interval(study.test)
        colour = plotting.COLOURS[row % len(plotting.COLOURS)]
        if np.isfinite(low):
            axis.plot([low, high], [row, row], color=colour, linewidth=6, alpha=0.4)
        axis.plot(mean, row, "o", color=colour)
        axis.annotate(
            f"{mean:.2f}",
            (mean, row),
            xytext=(0, 6),
            textcoords="offset points",
            ha="center",
            fontsize=9,
        )
        if published and study.cell in BAI:
            axis.plot(BAI[study.cell], row, "D", color=colour, mfc="white", zorder=1)
    for style, (name, nats) in zip(plotting.STYLES[1:], floors.items(), strict=False):
        axis.axvline(nats, color="0.3", linestyle=style)
        axis.text(nats, -0.7, f"{name} {nats:.2f} ", ha="right", va="top", fontsize=9)
    axis.set(
        yticks=range(len(studies)),
        yticklabels=[study.cell for study in studies],
        ylim=(len(studies) - 0.4, -0.9),
        xlabel="negative log-likelihood of the test pieces, nats a step",
    )
    axis.margins(x=0.08)
    axis.grid(alpha=0.3, axis="x")


def draw_learning(
    studies: Sequence[Study], floors: Mapping[str, float], caption: str
) -> Plot:
    """Losses against training steps, a panel a cell; mean and range over seeds."""
    finding = overfit(studies)
    figure, axes = plotting.figure(finding, columns=len(studies))
    figure.set_size_inches(max(8.0, 4.2 * len(studies)), 5)
    for axis, study in zip(axes, studies, strict=True):
        curves = {"training": study.train, "validation": study.valid}
        for colour, (name, costs) in zip(
            plotting.COLOURS, curves.items(), strict=False
        ):
            axis.plot(study.steps, costs.mean(axis=1), color=colour, label=name)
            low, high = costs.min(axis=1), costs.max(axis=1)
            axis.fill_between(
                study.steps, low, high, color=colour, alpha=0.2, linewidth=0
            )
        axis.set(title=study.cell, xlabel="training step")
        for style, (name, nats) in zip(
            plotting.STYLES[1:], floors.items(), strict=False
        ):
            axis.axhline(nats, color="0.3", linestyle=style, label=f"{name} {nats:.2f}")
        axis.legend(loc="upper right", fontsize=9)
    axes[0].set_ylabel("negative log-likelihood, nats a step")
    lines = (
        " Lines: mean over seeds, without dropout; bands: their range. Floors: of test "
    )
    lines += "pieces."
    return plotting.captioned(
        figure,
        finding,
        caption + lines,
        "Loss on training and validation pieces while the nets learn.",
    )


def caption(config: Any, data: Chorales) -> str:
    """The training, so that the figures can be read alone."""
    sizes = ", ".join(str(len(part.lengths)) for part in data[:3])
    count = len(config.seeds)
    return (
        f"Chorales of Bach, a quarter note a step; {sizes} pieces to learn from, to "
        f"choose the step of training by, and to judge by. Dropout "
        f"{config.input_dropout:g} of inputs, {config.recurrent_dropout:g} of what "
        f"recurrent weights read; {config.optimizer}, rate {config.learning_rate:g} "
        f"falling to 0, {config.steps} steps of {config.batch_size} pieces, clip norm "
        f"{config.clip_norm:g}. Negative log-likelihood: the sum over 88 keys, the "
        f"mean over steps. {f'{count} seeds' if count > 1 else 'One seed'}."
    )
