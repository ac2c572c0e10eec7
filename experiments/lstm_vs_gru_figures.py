"""The figure, the table and the verdicts of the GRU against the LSTM."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments import report
from experiments.verdicts import (
    FAILS,
    HOLDS,
    Interval,
    Verdict,
    interval,
    positive,
    together,
)

EQUAL_UNITS, EQUAL_PARAMETERS = SETTINGS = "equal units", "equal parameters"
MARGIN = 1.0  # percentage points that the GRU may lack, and be called no worse


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
    def gain(self) -> Interval:
        """Accuracy of the GRU minus the LSTM's, in percentage points."""
        lstm, gru = self.accuracy
        return interval(100 * (gru - lstm))

    @property
    def ratios(self) -> Float[np.ndarray, " rounds"]:
        """Time of a step, the GRU's over the LSTM's in the same round."""
        return self.milliseconds[:, 1] / self.milliseconds[:, 0]


def table(duels: Sequence[Duel]) -> report.Table:
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
            *(report.mean_and_deviation(100 * a, "{:.1f}") for a in one.accuracy),
            one.gain.text("{:+.1f}"),
            *(f"{ms:.2f}" for ms in np.median(one.milliseconds, axis=0)),
            f"{np.median(one.ratios):.2f}",
        ]
        for one in duels
    ]
    return report.Table(header, rows)


def verdicts(duels: Sequence[Duel]) -> list[Verdict]:
    """Simpler, faster, no worse: each by itself."""
    return [simpler(duels), faster(duels), no_worse(duels)]


def simpler(duels: Sequence[Duel]) -> Verdict:
    """Whether it has fewer parameters, of as many units, which no seed changes."""
    same = [one for one in duels if one.setting == EQUAL_UNITS]
    fewer = [one.parameters[1] < one.parameters[0] for one in same]
    numbers = ", ".join(
        f"{one.task} {one.parameters[1]:,} against {one.parameters[0]:,}"
        for one in same
    )
    return Verdict(
        "The GRU is simpler: it has fewer parameters than an LSTM with as many units",
        together([HOLDS if one else FAILS for one in fewer]),
        f"Parameters of the whole model: {numbers}.",
    )


def faster(duels: Sequence[Duel]) -> Verdict:
    """Whether a training step takes less time, with as many units and parameters."""
    said = [positive(interval(-np.log(one.ratios))) for one in duels]
    numbers = ", ".join(f"{one.name} {np.median(one.ratios):.2f}" for one in duels)
    return Verdict(
        "The GRU is faster: its training step takes less time",
        together(said),
        f"Time of a step over the LSTM's, median of {len(duels[0].ratios)} rounds: "
        f"{numbers}.",
    )


def no_worse(duels: Sequence[Duel]) -> Verdict:
    """Whether its accuracy is not below the LSTM's by more than the margin."""
    said = [
        positive(Interval(*(value + MARGIN for value in one.gain))) for one in duels
    ]
    numbers = ", ".join(
        f"{one.name} {one.gain.text('{:+.1f}')} (LSTM "
        f"{100 * one.accuracy[0].mean():.1f} %)"
        for one in duels
    )
    return Verdict(
        "The GRU is no worse: after as many training steps it lacks no more than "
        f"{MARGIN:g} percentage point of accuracy",
        together(said),
        f"GRU minus LSTM, in points: {numbers}.",
    )


def title(duels: Sequence[Duel]) -> str:
    """The finding: how often each of the claims is so."""
    count = len(duels)
    quicker = sum(np.median(one.ratios) < 1 for one in duels)
    worse = sum(one.gain.high < 0 for one in duels)
    better = sum(one.gain.low > 0 for one in duels)
    return (
        f"In {count} comparisons after as many steps the GRU is more accurate in "
        f"{better}, less in {worse}, and faster in {quicker}"
    )


def draw(duels: Sequence[Duel], caption: str) -> Figure:
    """Accuracy, parameters and time, a line a duel.

    Args:
        duels: What was found.
        caption: What was done, so that the figure can stand alone.

    Returns:
        The figure.
    """
    figure, axes = report.figure(title(duels), columns=3)
    figure.set_size_inches(12, 2.2 + 0.45 * len(duels))
    left, middle, right = axes
    for i, one in enumerate(duels):
        colour = report.COLOURS[SETTINGS.index(one.setting)]
        gain = one.gain
        _point(left, i, gain.mean, gain.low, gain.high, colour)
        share = one.parameters[1] / one.parameters[0]
        middle.barh(i, share, color=colour, alpha=0.85)
        middle.text(
            share / 2,
            i,
            f"{one.parameters[1]:,}",
            color="white",
            ha="center",
            va="center",
            fontsize=9,
        )
        low, median, high = np.quantile(one.ratios, [0.25, 0.5, 0.75])
        _point(right, i, median, low, high, colour)
    left.set_xlim(left=min(left.get_xlim()[0], -1.5 * MARGIN))
    left.axvline(0, color="0.3", linewidth=0.8)
    left.axvline(-MARGIN, color="0.3", linewidth=1, linestyle=":")
    for axis in (middle, right):
        axis.axvline(1, color="0.3", linewidth=0.8)
    left.set_yticks(range(len(duels)), [one.name for one in duels])
    left.set_ylim(len(duels) - 0.5, -0.5)
    left.set_xlabel("accuracy, GRU - LSTM, percentage points")
    middle.set_xlabel("parameters, GRU / LSTM")
    right.set_xlabel("time of a training step, GRU / LSTM")
    report.caption(figure, caption)
    return figure


def _point(
    axis: Axes, place: int, mean: float, low: float, high: float, colour: str
) -> None:
    """A number and where it may lie; no bar if that is anywhere."""
    reach = [[mean - low], [high - mean]] if np.isfinite(low) else None
    axis.errorbar([mean], [place], xerr=reach, fmt="o", color=colour, capsize=4)
