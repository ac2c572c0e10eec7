"""The figure, the tables and the claim of tagging from one side and from both."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from experiments.harness import plotting, tables
from experiments.harness.claims import SUPPORTED, Claim, judge
from experiments.harness.intervals import interval
from experiments.harness.plotting import Plot
from train.data import words
from train.data.words import Words

FORWARD, BACKWARD, BOTH, EQUAL = WAYS = (
    "forward",
    "backward",
    "both",
    "both, equal parameters",
)


class Tagged(NamedTuple):
    """What one way of reading tells.

    Attributes:
        way: One of `WAYS`.
        features: Hidden units of each direction.
        parameters: Of the whole model.
        f1: Harmonic mean of precision and recall of starts, [seeds].
        accuracy: Share of letters told right, [seeds].
        bits: -log2 p(label) by the place in the window, [seeds, time].
        said: What the first seed takes for starts in a few windows.
    """

    way: str
    features: int
    parameters: int
    f1: Float[np.ndarray, " seeds"]
    accuracy: Float[np.ndarray, " seeds"]
    bits: Float[np.ndarray, "seeds time"]
    said: Int[np.ndarray, "windows time"]


def table(found: Sequence[Tagged], majority: float) -> tables.Table:
    """What was found, a line a way of reading; first what needs no reading."""
    header = ["reads", "units", "parameters", "F1 of starts, %", "accuracy, %"]
    rows = [["no word begins", "-", "0", "0", f"{100 * majority:.1f}"]]
    for one in found:
        directions = 2 if one.way in (BOTH, EQUAL) else 1
        rows.append(
            [
                one.way,
                f"{directions} x {one.features}",
                f"{one.parameters:,}",
                tables.mean_and_deviation(100 * one.f1, "{:.1f}"),
                tables.mean_and_deviation(100 * one.accuracy, "{:.1f}"),
                tables.mean_and_deviation(one.bits.mean(axis=1), "{:.3f}"),
            ]
        )
    rows[0].append(f"{entropy(majority):.3f}")
    return tables.Table([*header, "bits a letter"], rows)


def entropy(share: float) -> float:
    """Of a coin that shows one side with this probability, in bits.

    Example:
        >>> entropy(0.5)
        1.0
    """
    parts = np.array([share, 1 - share])
    return float(-(parts * np.log2(parts)).sum())


def examples(found: Sequence[Tagged], test: Words) -> tables.Table:
    """Held-out letters, cut into words by each way of reading."""
    rows = []
    for i, letters in enumerate(test.letters[: len(found[0].said)]):
        rows.append([f"{i + 1}, as written", words.cut(letters, test.starts[i])])
        rows += [[one.way, words.cut(letters, one.said[i])] for one in found]
    return tables.Table(["window", "words"], rows)


def gains(
    found: Sequence[Tagged],
) -> dict[tuple[str, str], Float[np.ndarray, " seeds"]]:
    """By how much F1 is better, in percentage points, seed by seed."""
    f1 = {one.way: 100 * one.f1 for one in found}
    return {
        (two, one): f1[two] - f1[one]
        for two in (BOTH, EQUAL)
        for one in (FORWARD, BACKWARD)
    }


def evaluate_claim(found: Sequence[Tagged]) -> Claim:
    """Whether reading both ways is better than either, at equal parameters too."""
    differences = gains(found)
    judged = judge(list(differences.values()))
    names = (f"{two} minus {one}" for two, one in differences)
    numbers = judged.text(names, "{:+.1f}")
    size = {one.way: one.parameters for one in found}
    return judged.claim(
        "A label that hangs on both sides is told better by a network that reads both "
        "ways",
        f"F1 of the starts of words, in percentage points: {numbers} ({EQUAL}: "
        f"{size[EQUAL]:,}; {FORWARD}: {size[FORWARD]:,}).",
    )


def title(found: Sequence[Tagged]) -> str:
    """The finding, as the claim is judged."""
    f1 = {one.way: one.f1 for one in found}
    differences = gains(found)
    parts = dict(
        zip(differences, judge(list(differences.values())).outcomes, strict=True)
    )
    best = np.maximum(f1[FORWARD], f1[BACKWARD])
    means = " against ".join(
        f"{100 * values.mean():.0f} %" for values in (f1[EQUAL], best)
    )
    if all(parts[EQUAL, one] == SUPPORTED for one in (FORWARD, BACKWARD)):
        return f"Both sides tell more than one, with no more parameters: F1 {means}"
    if all(parts[BOTH, one] == SUPPORTED for one in (FORWARD, BACKWARD)):
        return "Both sides tell more than one, with more parameters"
    return f"Whether both sides tell more than one hangs on the seed: F1 {means}"


def draw(found: Sequence[Tagged], caption: str) -> Plot:
    """F1 by the way of reading; bits by the place in the window.

    Args:
        found: What was found.
        caption: What was done, so that the figure can stand alone.

    Returns:
        A `Plot`.
    """
    figure = Figure(figsize=(11, 5), dpi=110, layout="constrained")
    finding = title(found)
    figure.suptitle(finding, fontweight="bold", fontsize=12)
    left, right = figure.subplots(1, 2)
    for i, one in enumerate(found):
        colour = plotting.COLOURS[i]
        mean, low, high = interval(100 * one.f1)
        reach = [[mean - low], [high - mean]] if np.isfinite(low) else None
        left.errorbar([mean], [i], xerr=reach, fmt="o", color=colour, capsize=4)
        left.annotate(
            f"{mean:.1f}",
            (mean, i),
            (0, 8),
            textcoords="offset points",
            ha="center",
            color=colour,
        )
        plotting.band(right, one.bits, one.way, i)
    left.set_yticks(range(len(found)), [one.way for one in found])
    left.set_ylim(len(found) - 0.5, -0.6)
    left.set(xlabel="F1 of the starts of words, %", ylabel="reads")
    right.set(
        xlabel="place in the window, letters from the left",
        ylabel=r"$-\log_2 p$(label), bits a letter",
        yscale="log",
    )
    right.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    right.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    right.yaxis.set_minor_formatter(NullFormatter())
    right.legend(ncols=2)
    for axis in (left, right):
        axis.grid(alpha=0.3, which="both")
    return plotting.captioned(figure, finding, caption)
