"""The figure, the table and the claims of the GRU against the LSTM."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from experiments.harness import plotting, tables
from experiments.harness.claims import (
    REFUTED,
    SUPPORTED,
    Claim,
    Judgment,
    claim_of_cases,
    judge,
    positive,
)
from experiments.harness.intervals import Interval
from experiments.harness.plotting import Plot

EQUAL_UNITS, EQUAL_PARAMETERS = SETTINGS = "equal units", "equal parameters"
MARGIN = 1.0  # percentage points that the GRU may lack, and be called no worse
# From process to process the ratio of two step times, median over rounds, moves by as
# much as a quarter (equal parameters: MNIST-1D 0.82 to 1.06, words 0.92 to 1.16), of
# which the rounds of one process know nothing.
FACTOR = 1.25


class Duel(NamedTuple):
    """An LSTM and a GRU in one task: of each pair the LSTM's number comes first.

    Attributes:
        task: Its name.
        setting: One of `SETTINGS`.
        features: Hidden units.
        parameters: Of the whole model.
        accuracy: On what is held out, [seeds] each.
        milliseconds: Of a training step, in each round of timing.
    """

    task: str
    setting: str
    features: tuple[int, int]
    parameters: tuple[int, int]
    accuracy: tuple[Float[np.ndarray, " seeds"], Float[np.ndarray, " seeds"]]
    milliseconds: Float[np.ndarray, "rounds 2"]

    @property
    def name(self) -> str:
        """The task and the setting."""
        return f"{self.task}, {self.setting}"

    @property
    def gain(self) -> Float[np.ndarray, " seeds"]:
        """Accuracy of the GRU minus the LSTM's, in percentage points, seed by seed."""
        lstm, gru = self.accuracy
        return 100 * (gru - lstm)

    @property
    def ratios(self) -> Float[np.ndarray, " rounds"]:
        """Time of a step, the GRU's over the LSTM's in the same round."""
        return self.milliseconds[:, 1] / self.milliseconds[:, 0]


def table(duels: Sequence[Duel]) -> tables.Table:
    """What was found, a line a duel."""
    header = [
        "task",
        "LSTM units",
        "GRU units",
        "LSTM parameters",
        "GRU parameters",
        "LSTM accuracy, %",
        "GRU accuracy, %",
        "GRU - LSTM, points",
        "LSTM ms/step",
        "GRU ms/step",
        "GRU / LSTM",
    ]
    rows = [
        [
            one.name,
            *map(str, one.features),
            *(f"{count:,}" for count in one.parameters),
            *(tables.mean_and_deviation(100 * a, "{:.1f}") for a in one.accuracy),
            gain.text("{:+.1f}"),
            *(f"{ms:.2f}" for ms in np.median(one.milliseconds, axis=0)),
            f"{np.median(one.ratios):.2f}",
        ]
        for one, gain in zip(duels, accuracy(duels).intervals, strict=True)
    ]
    return tables.Table(header, rows)


def evaluate_claims(duels: Sequence[Duel]) -> list[Claim]:
    """Simpler, faster, no worse: each by itself."""
    return [simpler(duels), faster(duels), no_worse(duels)]


def answer(claims: Sequence[Claim]) -> str:
    """The outcomes of the three claims, in one sentence."""
    simple, fast, accurate = (claim.outcome for claim in claims)
    return (
        f"That the GRU is simpler is {simple}, that it is faster is {fast}, and that "
        f"it is no worse is {accurate}."
    )


def simpler(duels: Sequence[Duel]) -> Claim:
    """Whether it has fewer parameters, of as many units, which no seed changes."""
    same = [one for one in duels if one.setting == EQUAL_UNITS]
    parts = [
        SUPPORTED if one.parameters[1] < one.parameters[0] else REFUTED for one in same
    ]
    numbers = ", ".join(
        f"{one.task} {one.parameters[1]:,} against {one.parameters[0]:,}"
        for one in same
    )
    return claim_of_cases(
        "The GRU is simpler: it has fewer parameters than an LSTM with as many units",
        parts,
        f"Parameters of the whole model: {numbers}.",
    )


def speed(duels: Sequence[Duel]) -> Judgment:
    """Whether a step takes less time, by more than processes differ."""

    def clear(gain: Interval) -> str:
        margin = np.log(FACTOR)
        return positive(Interval(gain.mean, gain.low - margin, gain.high + margin))

    return judge([-np.log(one.ratios) for one in duels], clear)


def faster(duels: Sequence[Duel]) -> Claim:
    """Whether a training step takes less time, with as many units and parameters."""
    found = speed(duels)
    numbers = ", ".join(
        f"{one.name} {ratio.text()}"
        for one, ratio in zip(duels, map(_ratio, found.intervals), strict=True)
    )
    return found.claim(
        "The GRU is faster: its training step takes less time",
        f"Time of a step over the LSTM's, geometric mean over rounds ("
        f"{len(duels[0].ratios)}): {numbers}; from run to run these move by up "
        f"to a quarter, so that only what is clear of 1 by a factor of {FACTOR:g} "
        "counts.",
    )


def _ratio(gain: Interval) -> Interval:
    """Of times, from minus its logarithm."""
    if not np.isfinite(gain.low):  # of one round
        return Interval(float(np.exp(-gain.mean)), -np.inf, np.inf)
    return Interval(*(float(np.exp(-x)) for x in (gain.mean, gain.high, gain.low)))


def accuracy(duels: Sequence[Duel]) -> Judgment:
    """Whether the accuracy is not below the LSTM's by more than the margin."""
    return judge([one.gain for one in duels], partial(positive, threshold=-MARGIN))


def no_worse(duels: Sequence[Duel]) -> Claim:
    """What is said of that, with both accuracies."""
    found = accuracy(duels)
    numbers = ", ".join(
        f"{one.name} {gain.text('{:+.1f}')} (LSTM {100 * one.accuracy[0].mean():.1f} %)"
        for one, gain in zip(duels, found.intervals, strict=True)
    )
    return found.claim(
        "The GRU is no worse: after as many training steps it lacks no more than "
        f"{MARGIN:g} percentage point of accuracy",
        f"GRU minus LSTM, in points: {numbers}.",
    )


def title(duels: Sequence[Duel]) -> str:
    """The finding: how often each of the claims is so."""
    equal, quick = accuracy(duels).outcomes, speed(duels).outcomes
    return (
        f"After as many steps the GRU is, in {len(duels)} comparisons,\nno worse in "
        f"{equal.count(SUPPORTED)} and worse in {equal.count(REFUTED)}; its step is "
        f"faster in {quick.count(SUPPORTED)} and slower in {quick.count(REFUTED)}"
    )


def draw(duels: Sequence[Duel], caption: str) -> Plot:
    """Accuracy, parameters and time, a line a duel.

    Args:
        duels: What was found.
        caption: What was done, so that the figure can stand alone.

    Returns:
        The figure.
    """
    finding = title(duels)
    figure, axes = plotting.figure(finding, columns=3)
    figure.set_size_inches(12, 2.6 + 0.45 * len(duels))
    left, middle, right = axes
    gains = accuracy(duels).intervals
    for i, (one, gain) in enumerate(zip(duels, gains, strict=True)):
        colour = plotting.COLOURS[SETTINGS.index(one.setting)]
        _point(left, i, *gain, colour)
        _bar(middle, i, one.parameters, colour)
        low, median, high = np.quantile(one.ratios, [0.25, 0.5, 0.75])
        _point(right, i, median, low, high, colour)
    left.set_xlim(left=min(left.get_xlim()[0], -1.5 * MARGIN))
    left.axvline(0, color="0.3", linewidth=0.8)
    left.axvline(-MARGIN, color="0.3", linewidth=1, linestyle=":")
    for axis in (middle, right):
        axis.axvline(1, color="0.3", linewidth=0.8)
    for end in (1 / FACTOR, FACTOR):
        right.axvline(end, color="0.3", linewidth=1, linestyle=":")
    middle.grid(False)
    left.set_yticks(range(len(duels)), [one.task for one in duels])
    left.set_ylim(len(duels) - 0.5, -0.5)
    left.set(
        title="no worse?",
        xlabel="accuracy, GRU - LSTM, percentage points\n"
        f"(dotted: {MARGIN:g} less, the margin)",
    )
    middle.set(title="simpler?", xlabel="parameters, GRU / LSTM\n(GRU of LSTM)")
    right.set(
        title="faster?",
        xlabel="time of a training step, GRU / LSTM\n"
        f"(dotted: a factor of {FACTOR:g} either way, the margin)",
    )
    marks = [
        Line2D([], [], color=colour, marker="o", label=setting)
        for setting, colour in zip(SETTINGS, plotting.COLOURS, strict=False)
    ]
    figure.legend(handles=marks, loc="upper right", fontsize=9, frameon=False)
    return plotting.captioned(figure, finding, caption)


def _bar(axis: Axes, place: int, parameters: tuple[int, int], colour: str) -> None:
    """The GRU's parameters as a share of the LSTM's, and both counts."""
    lstm, gru = parameters
    axis.barh(place, gru / lstm, color=colour)
    words = {"ha": "center", "va": "center", "fontsize": 9, "color": "white"}
    axis.text(gru / lstm / 2, place, f"{gru:,} of {lstm:,}", **words)


def _point(
    axis: Axes, place: int, mean: float, low: float, high: float, colour: str
) -> None:
    """A number and where it may lie; no bar if that is anywhere."""
    reach = [[mean - low], [high - mean]] if np.isfinite(low) else None
    axis.errorbar([mean], [place], xerr=reach, fmt="o", color=colour, capsize=4)
