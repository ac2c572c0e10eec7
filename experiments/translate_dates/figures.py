"""The figures of models that translate dates."""

import datetime
import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.harness import plotting, tables
from experiments.harness.plotting import Plot
from experiments.translate_dates.claims import GOAL, PARTS, PROBED, Study
from experiments.translate_dates.measure import READS, Looks
from train.data.date_formats import FORMATS, written
from train.data.dates import Dates

SAMPLE = datetime.date(2024, 3, 5)
# How characters sound that few fonts have, and fewer readers read.
SOUNDS = {
    "Korean": "년nyeon 월wol 일il 요yo 화hwa 수su 목mok 금geum 토to",
    "Japanese": "年nen 月gatsu 日nichi 火ka 水sui 木moku 金kin 土do",
    "Chinese": "年nián 月yuè 日rì 星xīng 期qī \u3007líng 一yī 二èr 三sān 四sì 五wǔ "
    "六liù 七qī 八bā 九jiǔ 十shí",
}
SOUNDED = "Characters of East Asia are drawn as they sound."


def sounded(text: str, language: str) -> list[str]:
    """Characters, or how they sound if they are not of the Latin script.

    Args:
        text: A date.
        language: In which it is written.

    Returns:
        A text a character.

    Example:
        >>> "".join(sounded("2024년 3월 5일", "Korean"))
        '2024nyeon 3wol 5il'
    """
    sounds = {word[0]: word[1:] for word in SOUNDS.get(language, "").split()}
    return [sounds.get(character, character) for character in text]


def title(studies: Sequence[Study]) -> str:
    """How many dates are right, of every model."""
    said = ", ".join(
        f"{tables.mean_and_deviation(100 * one.exact, '{:.1f}')} % {one.name}"
        for one in studies
    )
    steps = studies[0].steps[-1]
    return f"Unseen dates exactly right after {steps:,} training steps: {said}"


def draw(studies: Sequence[Study], test: Dates, caption: str) -> Plot:
    """How they learn, and how well they know each format.

    Args:
        studies: One a model.
        test: The held-out dates.
        caption: What was done.

    Returns:
        A `Plot`.
    """
    with matplotlib.rc_context({"font.size": 10}):
        figure = Figure(figsize=(11, 7), dpi=110, layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.15))
    finding = title(studies)
    figure.suptitle(finding.replace(": ", ":\n"), fontweight="bold", fontsize=12)
    for i, one in enumerate(studies):
        colour = plotting.COLOURS[i]
        values = 100 * one.curve
        left.plot(one.steps, values.mean(axis=0), color=colour, label=one.name, lw=2)
        low, high = values.min(axis=0), values.max(axis=0)
        left.fill_between(one.steps, low, high, color=colour, alpha=0.2, linewidth=0)
    left.axhline(100 * GOAL, color="0.3", linestyle=":", label=f"{GOAL:.0%}")
    left.set(
        title="while they learn",
        xlabel="training step",
        ylabel="held-out dates exactly right, %",
        xlim=(0, studies[0].steps[-1]),
        ylim=(-2, 102),
    )
    left.grid(alpha=0.3)
    left.legend(loc="best")
    by_format(right, studies, test)
    return plotting.captioned(figure, finding, caption)


def by_format(axis: Axes, studies: Sequence[Study], test: Dates) -> None:
    """A line a format, a dot a model: which share is right at the end."""
    present = [i for i in range(len(FORMATS)) if (test.formats == i).any()]
    places = np.arange(len(present))
    for i, one in enumerate(studies):
        values = 100 * np.stack(
            [one.right[:, test.formats == form].mean(axis=1) for form in present]
        )
        # Side by side on a line, where they would cover each other.
        at = places + 0.3 * (i - (len(studies) - 1) / 2)
        mean = values.mean(axis=1)
        bars = mean - values.min(axis=1), values.max(axis=1) - mean
        colour = plotting.COLOURS[i]
        axis.errorbar(
            mean, at, xerr=bars, fmt="o", ms=4, color=colour, lw=1, label=one.name
        )
    labels = [
        "".join(sounded(written(SAMPLE, FORMATS[i]), FORMATS[i].language))
        + ("" if FORMATS[i].language == "digits" else f"  ({FORMATS[i].language})")
        for i in present
    ]
    axis.set_yticks(places, labels, fontsize=8)
    axis.set_ylim(len(present) - 0.5, -0.5)
    axis.set(title="at the end, by format", xlabel="exactly right, %")
    axis.grid(alpha=0.3)


def looks_title(looks: Looks) -> str:
    """Whether each part is written with an eye on the same part of the source."""
    shares = looks.shares.mean(axis=0)
    own = [100 * shares[i, READS.index(part)] for i, part in enumerate(PARTS)]
    said = ", ".join(
        f"{share:.0f} % on the {part}" for part, share in zip(PARTS, own, strict=True)
    )
    parts = zip(PARTS, shares, strict=True)
    best = all(READS[row.argmax()] == part for part, row in parts)
    if best:
        return (
            f"Each part is written with an eye on the same part of the source: {said}"
        )
    return f"Of the attention while the same part is written lies {said} of the source"


def draw_looks(looks: Looks, caption: str) -> Plot:
    """Maps of the attention on some dates, and where it lies on the mean.

    Args:
        looks: What was found.
        caption: What is seen.

    Returns:
        A `Plot`.
    """
    with matplotlib.rc_context({"font.size": 9}):
        figure = Figure(figsize=(12, 7.5), dpi=110, layout="constrained")
        axes = figure.subplot_mosaic("AAABBB;CCCDDD;EEEEE.", height_ratios=(3, 3, 1.6))
    finding = looks_title(looks)
    figure.suptitle(textwrap.fill(finding, 100), fontweight="bold", fontsize=12)
    for axis, language, source, text, weights in zip(
        [axes[name] for name in "ABCD"], *looks[1:], strict=True
    ):
        axis.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        axis.set_xticks(range(len(source)), sounded(source, language), fontsize=8)
        axis.set_yticks(range(len(text)), text)
        axis.set(title=language, xlabel="read", ylabel="written")
    mean(axes["E"], looks)
    return plotting.captioned(figure, finding, caption)


def mean(axis: Axes, looks: Looks) -> None:
    """Of the attention while each part is written, how much lies on which part."""
    shares = looks.shares.mean(axis=0)
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), share in np.ndenumerate(shares):
        colour = "white" if share > 0.5 else "black"
        text = f"{100 * share:.0f} %"
        axis.text(column, row, text, ha="center", va="center", color=colour)
    axis.set_xticks(range(len(READS)), READS)
    axis.set_yticks(range(len(PARTS)), list(PARTS))
    axis.set(title="all held-out dates, all seeds", xlabel="read", ylabel="written")


def caption(config: Any) -> str:
    """The training, so that the figure can be read alone."""
    ways = "both ways" if config.bidirectional else "one way"
    return (
        f"{config.cell}, {config.features} units, reading {ways}; {config.optimizer}, "
        f"rate {config.learning_rate:g}, rising for a twelfth of the steps and then "
        f"falling as a cosine to 0, {config.steps} steps of {config.batch_size} out of "
        f"{config.examples:,} dates, clip norm {config.clip_norm:g}. Left: "
        f"{min(PROBED, config.held_out)} held-out dates, greedy. Right: "
        f"{config.held_out:,}, greedy. Lines and dots: means over "
        f"{len(config.seeds)} seeds; bands and bars: their range. Held out are days, "
        f"in every format: one in five from 1900 to 2099. {SOUNDED}"
    )


def looks_caption(config: Any) -> str:
    """Explanation of the maps of the attention."""
    return (
        "Maps: one held-out day in four formats; each row is a character that seed "
        f"{config.seeds[0]} writes, each column one that it reads, white 0, blue 1 (a "
        f"row adds up to 1). {SOUNDED} Below: of the attention while a part is "
        "written, the share on each part of the source, over "
        f"{config.held_out:,} held-out dates and all seeds. An encoder's output knows "
        "its neighbours too: where it looks is where it finds out, not always where it "
        "is written."
    )
