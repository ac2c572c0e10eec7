"""The figure, the tables and the claims of language models."""

import itertools
import math
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

from experiments.harness import plotting, tables
from experiments.harness.claims import SUPPORTED, Claim, judge
from experiments.harness.plotting import Plot

NAMES = {1: "unigram", 2: "bigram", 3: "trigram"}
GATED = ("lstm", "gru")
TICKS = (0.1, 0.2, 0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 10, 15)  # bits
BITS = 1 / math.log(2)  # in a nat


class Counted(NamedTuple):
    """What an n-gram model tells.

    Attributes:
        order: Its n.
        nats: -ln p of a held-out character, the mean.
    """

    order: int
    nats: float

    @property
    def name(self) -> str:
        """In a word."""
        return NAMES.get(self.order, f"{self.order}-gram")


class Learned(NamedTuple):
    """What the nets of one cell tell.

    Attributes:
        cell: Its name.
        parameters: Of the whole model.
        nats: -ln p of a held-out character, the state carried, [seeds].
        by_context: The same by the characters read since a fresh start, from 1 on.
        further: By how much that of a character told from the last 8 is more.
        steps: When it was looked at while it learned, the last at the end.
        curve: -ln p in a few held-out windows then.
        seconds_per_step: Of all seeds together.
    """

    cell: str
    parameters: int
    nats: Float[np.ndarray, " seeds"]
    by_context: Float[np.ndarray, "seeds contexts"]
    further: Float[np.ndarray, " seeds"]
    steps: Int[np.ndarray, " looks"]
    curve: Float[np.ndarray, "seeds looks"]
    seconds_per_step: float


class Sample(NamedTuple):
    """What a net wrote.

    Attributes:
        cell: Its name.
        temperature: 0 for the likeliest character each time.
        prompt: What it read before.
        text: How it went on.
    """

    cell: str
    temperature: float
    prompt: str
    text: str


def table(
    counted: Sequence[Counted], found: Sequence[Learned], length: int
) -> tables.Table:
    """How well held-out text is told, a line a model."""
    header = [
        "model",
        "nats a character",
        "bits a character",
        "perplexity",
        f"nats in windows of {length}",
        "parameters",
        "ms a step",
    ]
    rows = []
    for one in counted:
        numbers = one.nats, one.nats * BITS, math.exp(one.nats)
        nats, bits, perplexity = (f"{number:.3f}" for number in numbers)
        rows.append([one.name, nats, bits, perplexity, "-", "-", "-"])
    for one in found:
        fresh = one.by_context[:, :length].mean(axis=1)
        numbers = one.nats, one.nats * BITS, np.exp(one.nats), fresh
        said = [tables.mean_and_deviation(number, "{:.3f}") for number in numbers]
        milliseconds = f"{1000 * one.seconds_per_step:.1f}"
        rows.append([one.cell, *said, f"{one.parameters:,}", milliseconds])
    return tables.Table(header, rows)


def sample_tables(samples: Sequence[Sample]) -> dict[str, tables.Table]:
    """What was written, a table a temperature, a row a line."""
    shown = {}
    for one in samples:
        rows = [[line] for line in lines(one.text)]
        title = f"{one.cell} at temperature {one.temperature:g}"
        shown[title] = tables.Table([f"after {one.prompt!r}"], rows)
    return shown


def lines(written: str) -> list[str]:
    r"""The lines of a text, the long ones broken; no-break spaces keep indents.

    Example:
        >>> lines("if so:\n  go on")
        ['if so:', '\xa0\xa0go on']
    """
    broken = []
    for line in written.split("\n"):
        indent = len(line) - len(line.lstrip(" "))
        rest = textwrap.wrap(line[indent:], 80) or [""]
        broken += ["\N{NO-BREAK SPACE}" * indent + rest[0], *rest[1:]]
    return broken


def evaluate_claims(
    counted: Sequence[Counted], found: Sequence[Learned]
) -> list[Claim]:
    """What is said of what textbooks say of language models."""
    by_order = {one.order: one for one in counted}
    best = min(counted, key=lambda one: one.nats)
    claims = {
        "What came before tells the next character: a recurrent net is better than the "
        "frequencies of characters": by_order[1],
        "A net remembers more than the last character: it is better than a bigram "
        "model": by_order[2],
        f"A net is better than all that counting n-grams tells, of up to "
        f"{max(by_order)} characters": best,
    }
    said = [
        compare(claim, {one.cell: other.nats - one.nats for one in found}, other.name)
        for claim, other in claims.items()
    ]
    per_cell = {one.cell: one.nats for one in found}
    gated = [name for name in GATED if name in per_cell]
    if "elman" in per_cell and gated:
        gains = {name: per_cell["elman"] - per_cell[name] for name in gated}
        said.append(
            compare("Gates help: they tell more than an Elman net", gains, "elman")
        )
    claim = "A net makes use of what is more than eight characters back"
    gains = {one.cell: one.further for one in found}
    what = "told from the last 8 characters minus told from all before"
    said.append(compare(claim, gains, what))
    return said


def compare(
    claim: str, gains: dict[str, Float[np.ndarray, " seeds"]], minus: str
) -> Claim:
    """Whether by all cells something is gained, in nats."""
    found = judge([gain * BITS for gain in gains.values()])
    what = minus if " minus " in minus else f"{minus} minus the net"
    numbers = found.text(gains, "{:+.3f}")
    return found.claim(claim, f"Bits a character, {what}: {numbers}.")


def title(counted: Sequence[Counted], found: Sequence[Learned]) -> str:
    """What reading is worth, and which n-gram models the best net passes."""
    unigram = counted[0].nats
    best = min(found, key=lambda one: one.nats.mean())
    place = found.index(best)

    def beats(one: Counted) -> bool:  # as the claim on that model is judged
        return (
            judge([one.nats - net.nats for net in found]).outcomes[place] == SUPPORTED
        )

    if not beats(counted[0]):
        return "For sure, no net tells more than the frequencies do"
    ranked = sorted(counted, key=lambda one: -one.nats)
    beaten = [one.name for one in ranked if beats(one)]
    others = [one.name for one in ranked if one.name not in beaten]
    than = f"any n-gram tells, n up to {len(counted)}"
    if others:
        than = f"a {beaten[-1]} tells, not more than a {others[0]}"
    return (
        f"What came before is worth {(unigram - best.nats.mean()) * BITS:.1f} of "
        f"{unigram * BITS:.1f} bits a character to {best.cell}:\nmore than {than}"
    )


def draw(
    counted: Sequence[Counted], found: Sequence[Learned], length: int, caption: str
) -> Plot:
    """Bits a character while the nets learn, and by how much they have read.

    Args:
        counted: What n-grams tell.
        found: What nets tell.
        length: Characters of a window in training.
        caption: What was done, so that the figure can stand alone.

    Returns:
        A `Plot`.
    """
    finding = title(counted, found)
    figure, (left, right) = plotting.figure(finding, columns=2)
    for i, one in enumerate(found):
        shade = plotting.COLOURS[i % len(plotting.COLOURS)]
        line(left, one.steps, one.curve, shade, one.cell)
        places = bins(one.by_context.shape[1])
        parts = [one.by_context[:, a:b].mean(axis=1) for a, b in places]
        middle = [(a + 1 + b) / 2 for a, b in places]
        line(right, middle, np.stack(parts, 1), shade, one.cell)
    for axis in (left, right):
        level(axis, counted[0])
    level(left, counted[1])
    right.plot(
        [one.order - 1 for one in counted[1:]],
        [one.nats * BITS for one in counted[1:]],
        "k.:",
        label=f"n-grams, n = 2 to {counted[-1].order}",
    )
    right.axvline(
        length, color="0.5", linestyle="-.", linewidth=1, label="windows in training"
    )
    right.set_xscale("log", base=2)
    right.xaxis.set_major_formatter("{x:.0f}")
    left.set_yscale("log")
    left.yaxis.set_major_locator(FixedLocator(TICKS))
    left.yaxis.set_minor_locator(NullLocator())
    left.yaxis.set_major_formatter("{x:g}")
    left.set(xlabel="training steps", ylabel="bits a held-out character")
    right.set(xlabel="characters read since a fresh start")
    left.legend()
    right.legend()
    return plotting.captioned(figure, finding, caption)


def line(axis: Axes, x, nats: Float[np.ndarray, "seeds x"], shade: str, label: str):
    """The mean over seeds as a line, their range as a band, in bits."""
    bits = nats * BITS
    axis.plot(x, bits.mean(axis=0), color=shade, label=label, linewidth=2)
    low, high = bits.min(axis=0), bits.max(axis=0)
    axis.fill_between(x, low, high, color=shade, alpha=0.2, linewidth=0)


def level(axis: Axes, one: Counted) -> None:
    """A line across, with its name."""
    axis.axhline(one.nats * BITS, color="0.4", linestyle="--", linewidth=1)
    axis.annotate(
        one.name,
        (1, one.nats * BITS),
        (-4, 3),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        ha="right",
        color="0.4",
    )


def bins(count: int) -> list[tuple[int, int]]:
    """Places in a window, of which those far out are taken together.

    Args:
        count: How many places.

    Returns:
        From which place, counted from 0, to before which.

    Example:
        >>> bins(7)
        [(0, 1), (1, 2), (2, 3), (3, 4), (4, 6), (6, 7)]
    """
    edges = [0, 1, 2, 3, 4]
    while edges[-1] < count:  # 6, 8, 12, 16, 24, 32 ...
        edges.append(2 * edges[-2])
    edges = [edge for edge in edges if edge < count]
    return list(itertools.pairwise([*edges, count]))
