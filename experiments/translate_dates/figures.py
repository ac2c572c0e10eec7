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
from experiments.translate_dates.claims import PROBED
from experiments.translate_dates.measure import (
    GOAL,
    PARTS,
    READS,
    AttentionResult,
    TranslationResult,
)
from nets.flow import plot
from train.data.date_formats import FORMATS, written
from train.data.dates import Dates

SAMPLE = datetime.date(2024, 3, 5)
# Romanization of characters that few fonts have.
ROMANIZATION = {
    "Korean": "년nyeon 월wol 일il 요yo 화hwa 수su 목mok 금geum 토to",
    "Japanese": "年nen 月gatsu 日nichi 火ka 水sui 木moku 金kin 土do",
    "Chinese": "年nián 月yuè 日rì 星xīng 期qī \u3007líng 一yī 二èr 三sān 四sì 五wǔ "
    "六liù 七qī 八bā 九jiǔ 十shí",
}
ROMANIZED = "East Asian characters are romanized."


def romanized(text: str, language: str) -> list[str]:
    """Characters of a date, romanized if they are not Latin.

    Args:
        text: A date.
        language: Language of the date.

    Returns:
        One text per character.

    Example:
        >>> "".join(romanized("2024년 3월 5일", "Korean"))
        '2024nyeon 3wol 5il'
    """
    latin = {word[0]: word[1:] for word in ROMANIZATION.get(language, "").split()}
    return [latin.get(character, character) for character in text]


def title(studies: Sequence[TranslationResult]) -> str:
    """The share of exact translations, for every model."""
    shares = ", ".join(
        f"{tables.mean_and_deviation(100 * result.exact, '{:.1f}')} % {result.name}"
        for result in studies
    )
    steps = studies[0].steps[-1]
    return f"Unseen dates exactly right after {steps:,} training steps: {shares}"


def draw(studies: Sequence[TranslationResult], test: Dates, caption: str) -> Plot:
    """Plot the learning curves, and the share of exact translations per format.

    Args:
        studies: Results, one per model.
        test: Held-out dates.
        caption: Description of the experiment.

    Returns:
        A `Plot`.
    """
    with matplotlib.rc_context({"font.size": 10}):
        figure = Figure(figsize=(11, 7), dpi=110, layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.15))
    finding = title(studies)
    figure.suptitle(finding.replace(": ", ":\n"), fontweight="bold", fontsize=12)
    for i, result in enumerate(studies):
        curve = {result.name: 100 * result.curve.T}
        plot.curves(curve, result.steps, ax=left, color=plotting.COLORS[i])
    left.axhline(100 * GOAL, color="0.3", linestyle=":", label=f"{GOAL:.0%}")
    left.set(
        title="during training",
        xlabel="training step",
        ylabel="held-out dates exactly right, %",
        xlim=(0, studies[0].steps[-1]),
        ylim=(-2, 102),
    )
    left.legend(loc="best")
    by_format(right, studies, test)
    return plotting.captioned(figure, finding, caption)


def by_format(axis: Axes, studies: Sequence[TranslationResult], test: Dates) -> None:
    """Draw the final share of exact dates: one row per format, one dot per model."""
    present = [i for i in range(len(FORMATS)) if (test.formats == i).any()]
    places = np.arange(len(present))
    for i, result in enumerate(studies):
        values = 100 * np.stack(
            [result.right[:, test.formats == form].mean(axis=1) for form in present]
        )
        # The dots of a row are shifted, so that they do not cover each other.
        heights = places + 0.3 * (i - (len(studies) - 1) / 2)
        mean = values.mean(axis=1)
        bars = mean - values.min(axis=1), values.max(axis=1) - mean
        color = plotting.COLORS[i]
        axis.errorbar(
            mean,
            heights,
            xerr=bars,
            fmt="o",
            ms=4,
            color=color,
            lw=1,
            label=result.name,
        )
    labels = [
        "".join(romanized(written(SAMPLE, FORMATS[i]), FORMATS[i].language))
        + ("" if FORMATS[i].language == "digits" else f"  ({FORMATS[i].language})")
        for i in present
    ]
    axis.set_yticks(places, labels, fontsize=8)
    axis.set_ylim(len(present) - 0.5, -0.5)
    axis.set(title="after training, by format", xlabel="exactly right, %")
    axis.grid(alpha=0.3)


def attention_title(attention: AttentionResult) -> str:
    """Whether the attention lies on the part of the source that is written."""
    shares = attention.shares.mean(axis=0)
    same = [100 * shares[i, READS.index(part)] for i, part in enumerate(PARTS)]
    text = ", ".join(
        f"{share:.0f} % on the {part}" for part, share in zip(PARTS, same, strict=True)
    )
    parts = zip(PARTS, shares, strict=True)
    best = all(READS[row.argmax()] == part for part, row in parts)
    if best:
        return f"Attention lies on the part of the source that is written: {text}"
    return f"Attention on the part of the source that is written: {text}"


def draw_attention(attention: AttentionResult, caption: str) -> Plot:
    """Draw attention maps of some dates, and the mean attention on each part.

    Args:
        attention: Attention weights of a model.
        caption: Description of the maps.

    Returns:
        A `Plot`.
    """
    with matplotlib.rc_context({"font.size": 9}):
        figure = Figure(figsize=(12, 7.5), dpi=110, layout="constrained")
        axes = figure.subplot_mosaic("AAABBB;CCCDDD;EEEEE.", height_ratios=(3, 3, 1.6))
    finding = attention_title(attention)
    figure.suptitle(textwrap.fill(finding, 100), fontweight="bold", fontsize=12)
    for axis, language, source, text, weights in zip(
        [axes[name] for name in "ABCD"], *attention[1:], strict=True
    ):
        axis.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        axis.set_xticks(range(len(source)), romanized(source, language), fontsize=8)
        axis.set_yticks(range(len(text)), text)
        axis.set(title=language, xlabel="read", ylabel="written")
    mean(axes["E"], attention)
    return plotting.captioned(figure, finding, caption)


def mean(axis: Axes, attention: AttentionResult) -> None:
    """Draw the attention on each part of the source while a part is written."""
    shares = attention.shares.mean(axis=0)
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), share in np.ndenumerate(shares):
        color = "white" if share > 0.5 else "black"
        text = f"{100 * share:.0f} %"
        axis.text(column, row, text, ha="center", va="center", color=color)
    axis.set_xticks(range(len(READS)), READS)
    axis.set_yticks(range(len(PARTS)), list(PARTS))
    axis.set(title="all held-out dates, all seeds", xlabel="read", ylabel="written")


def caption(config: Any) -> str:
    """Description of the training, for the figure."""
    ways = "in both directions" if config.bidirectional else "forward"
    return (
        f"{config.cell}, {config.features} units, reading {ways}; {config.optimizer}, "
        f"learning rate {config.learning_rate:g} with warmup over a twelfth of the "
        f"steps and cosine decay to 0, {config.steps} steps of {config.batch_size} of "
        f"{config.examples:,} dates, clip norm {config.clip_norm:g}. Left: "
        f"{min(PROBED, config.held_out)} held-out dates, greedy. Right: "
        f"{config.held_out:,}, greedy. Lines and dots: means over "
        f"{len(config.seeds)} seeds; bands and bars: their range. One day in five from "
        f"1900 to 2099 is held out, in every format. {ROMANIZED}"
    )


def attention_caption(config: Any) -> str:
    """Description of the attention maps."""
    return (
        "Maps: one held-out day in four formats; each row is a character written by "
        f"seed {config.seeds[0]}, each column a character read; white is 0, blue is 1 "
        f"(each row sums to 1). {ROMANIZED} Below: share of the attention on each part "
        f"of the source while a part is written, over {config.held_out:,} held-out "
        "dates and all seeds. Encoder outputs also depend on neighboring characters; "
        "attention need not lie on the character that carries the information."
    )
