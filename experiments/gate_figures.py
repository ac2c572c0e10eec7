"""The figure, the table and the verdicts of an LSTM's gates."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments import report
from experiments.verdicts import (
    FAILS,
    HOLDS,
    IN_PART,
    OPEN,
    Interval,
    Verdict,
    interval,
    positive,
    together,
)

LEARNT = "learnt"
ALONG, WHOLE = 1e-3, 0.05  # nats a step that a decay may be off what is predicted
MARGIN = 1.0  # percentage points


class Clamped(NamedTuple):
    """What was found of an LSTM.

    Attributes:
        name: Of its forget gate.
        bias: b of a gate clamped at sigmoid(b); None for one that is learnt.
        accuracy: On held-out digits, [seeds].
        before: Decay of the whole gradient before training, nats a step, [seeds].
        after: The same after training.
        highway_before: Along the cell state alone, before training.
        highway_after: The same after training.
    """

    name: str
    bias: float | None
    accuracy: Float[np.ndarray, " seeds"]
    before: Float[np.ndarray, " seeds"]
    after: Float[np.ndarray, " seeds"]
    highway_before: Float[np.ndarray, " seeds"]
    highway_after: Float[np.ndarray, " seeds"]

    @property
    def predicted(self) -> float | None:
        """-ln sigmoid(b), nats a step."""
        return None if self.bias is None else float(np.log1p(np.exp(-self.bias)))


class Traces(NamedTuple):
    """The learnt LSTM over time.

    Attributes:
        gates: Mean of each over units and digits, [seeds, time].
        cell: c of one digit, [time, features].
        xs: That digit as it is read, [time, inputs].
        label: Which digit it is.
    """

    gates: Mapping[str, Float[np.ndarray, "seeds time"]]
    cell: Float[np.ndarray, "time features"]
    xs: Float[np.ndarray, "time inputs"]
    label: int


def table(found: Sequence[Clamped]) -> report.Table:
    """What was found, a line an LSTM."""
    header = [
        "forget gate",
        "test accuracy, %",
        "-ln sigmoid(b), nats/step",
        "decay along c, before",
        "along c, after",
        "whole gradient, before",
        "whole, after",
    ]
    rows = []
    for one in found:
        known = "-" if one.predicted is None else f"{one.predicted:.4f}"
        decays = one.highway_before, one.highway_after, one.before, one.after
        rows.append(
            [
                one.name,
                report.mean_and_deviation(100 * one.accuracy, "{:.1f}"),
                known,
                *(report.mean_and_deviation(values, "{:+.4f}") for values in decays),
            ]
        )
    return report.Table(header, rows)


def near(difference: Interval, tolerance: float) -> str:
    """Whether a difference is nothing, but for a tolerance.

    Example:
        >>> near(Interval(0.0, -0.1, 0.1), 0.2), near(Interval(1.0, 0.9, 1.1), 0.2)
        ('holds', 'does not hold')
    """
    if difference.low > -tolerance and difference.high < tolerance:
        return HOLDS
    outside = difference.low > tolerance or difference.high < -tolerance
    return FAILS if outside else OPEN


def verdicts(found: Sequence[Clamped]) -> list[Verdict]:
    """On how far the gradient reaches, and on what is learnt."""
    said = [
        reaches(
            found, "along the cell state", ("highway_before", "highway_after"), ALONG
        ),
        reaches(found, "as a whole", ("before", "after"), WHOLE),
    ]
    return [*said, *learns(found)]


def reaches(
    found: Sequence[Clamped], where: str, fields: tuple[str, str], tolerance: float
) -> Verdict:
    """Whether the gradient decays as the clamped gate says."""
    parts, numbers = [], []
    for one in found:
        if one.predicted is None:
            continue
        off = [interval(getattr(one, field) - one.predicted) for field in fields]
        parts += [near(difference, tolerance) for difference in off]
        numbers.append(
            f"{one.name}: {one.predicted:.4f} predicted, off by "
            + " and ".join(difference.text("{:+.4f}") for difference in off)
        )
    return Verdict(
        f"With the forget gate clamped the gradient {where} reaches as far as "
        "sigmoid(b)^T says",
        together(parts),
        f"Decay in nats a step, before and after training, with a tolerance of "
        f"{tolerance:g}: {'; '.join(numbers)}.",
    )


def learns(found: Sequence[Clamped]) -> list[Verdict]:
    """Whether an open gate is worth more than a shut one, and a learnt one most."""
    known = sorted((one for one in found if one.bias is not None), key=_bias)
    learnt = next(one for one in found if one.bias is None)
    shut, opened = known[0], known[-1]
    best = max(known, key=lambda one: one.accuracy.mean())
    said = []
    if len(known) > 1:
        gain = interval(100 * (opened.accuracy - shut.accuracy))
        said.append(
            Verdict(
                "An LSTM learns more with its forget gate open than shut",
                positive(gain),
                f"Test accuracy at {opened.name} minus {shut.name}: "
                f"{gain.text('{:+.1f}')} points.",
            )
        )
    lead = interval(100 * (learnt.accuracy - best.accuracy))
    lacks = Interval(*(value + MARGIN for value in lead))
    said.append(
        Verdict(
            "A forget gate that is learnt is no worse than the best that is clamped, "
            f"but for {MARGIN:g} point",
            positive(lacks),
            f"Learnt minus {best.name}: {lead.text('{:+.1f}')} points.",
        )
    )
    return said


def _bias(one: Clamped) -> float:
    return 0.0 if one.bias is None else one.bias


def title(found: Sequence[Clamped]) -> str:
    """The finding on the reach, and the accuracies of the ends."""
    along, whole = (verdict.said for verdict in verdicts(found)[:2])
    words = {
        HOLDS: "decays as sigmoid(b)^T",
        IN_PART: "decays as sigmoid(b)^T for some b",
        OPEN: "may decay as sigmoid(b)^T",
        FAILS: "does not decay as sigmoid(b)^T",
    }
    return (
        f"Along the cell state the gradient {words[along]};\n"
        f"the whole gradient, through the weights too, {words[whole]}"
    )


def draw(found: Sequence[Clamped], traces: Traces, order: str, caption: str) -> Figure:
    """Gates and cell state over time; decay and accuracy by the clamped gate.

    Args:
        found: What was found.
        traces: Of the learnt LSTM.
        order: What a step reads, in a word.
        caption: What was done, so that the figure can stand alone.

    Returns:
        The figure.
    """
    figure = Figure(figsize=(12, 8.5), dpi=110, layout="constrained")
    figure.suptitle(title(found), fontweight="bold", fontsize=12)
    grid = figure.add_gridspec(2, 2)
    over_time = figure.add_subplot(grid[0, 0])
    for i, (name, values) in enumerate(traces.gates.items()):
        report.band(over_time, values, f"{name} gate", i)
    over_time.set(
        title="the gates of the LSTM as it is",
        xlabel=f"step t, reading {order}",
        ylabel="mean of the gate, from 0 (shut) to 1 (open)",
        ylim=(0, 1),
    )
    over_time.legend()
    inner = grid[0, 1].subgridspec(2, 1, height_ratios=(8, 1), hspace=0.02)
    _cell_state(figure, [figure.add_subplot(part) for part in inner], traces, order)
    _decays(figure.add_subplot(grid[1, 0]), found)
    _accuracies(figure.add_subplot(grid[1, 1]), found)
    report.caption(figure, caption)
    return figure


def _cell_state(
    figure: Figure, axes: Sequence[Axes], traces: Traces, order: str
) -> None:
    """c of one digit, and below it what is read."""
    above, below = axes
    units = np.argsort(np.abs(traces.cell).argmax(axis=0), kind="stable")
    most = np.abs(traces.cell).max()
    shown = above.imshow(
        traces.cell[:, units].T,
        aspect="auto",
        cmap="PuOr_r",
        vmin=-most,
        vmax=most,
        interpolation="nearest",
    )
    figure.colorbar(shown, ax=above, label="cell state c", pad=0.01)
    above.set(
        title=f"the cell state as it reads the digit {traces.label}", ylabel="unit"
    )
    above.set_xticks([])
    below.imshow(traces.xs.T, aspect="auto", cmap="Greys", interpolation="nearest")
    below.set(xlabel=f"step t, reading {order}", ylabel="input")
    below.set_yticks([])


def _decays(axis: Axes, found: Sequence[Clamped]) -> None:
    """Decay against b, beside what sigmoid(b) says."""
    known = sorted((one for one in found if one.bias is not None), key=_bias)
    biases = np.array([_bias(one) for one in known])
    line = np.linspace(biases.min() - 0.5, biases.max() + 0.5, 200)
    axis.plot(line, np.log1p(np.exp(-line)), color="0.3", label=r"$-\ln\sigma(b)$")
    kinds = {
        "highway_after": ("along the cell state, trained", "o", 0),
        "before": ("whole gradient, untrained", "s", 1),
        "after": ("whole gradient, trained", "^", 2),
    }
    for field, (label, marker, i) in kinds.items():
        values = [interval(getattr(one, field)) for one in known]
        means = np.array([value.mean for value in values])
        half = [v.high - v.mean if np.isfinite(v.high) else 0.0 for v in values]
        axis.errorbar(
            biases,
            means,
            half,
            fmt=marker,
            color=report.COLOURS[i],
            label=label,
            capsize=3,
            mfc="white",
            markersize=7,
        )
    axis.set_yscale("symlog", linthresh=0.01)
    axis.axhline(0, color="0.3", linewidth=0.8, linestyle=":")
    axis.set(
        title="how fast the gradient decays, by the clamped forget gate",
        xlabel=r"b; the forget gate is $\sigma(b)$",
        ylabel="decay, nats a step",
    )
    axis.grid(alpha=0.3)
    axis.legend()


def _accuracies(axis: Axes, found: Sequence[Clamped]) -> None:
    """Test accuracy of every LSTM."""
    for i, one in enumerate(found):
        value = interval(100 * one.accuracy)
        half = value.high - value.mean if np.isfinite(value.high) else 0.0
        colour = report.COLOURS[3 if one.bias is None else 0]
        axis.errorbar([i], [value.mean], [half], fmt="o", color=colour, capsize=4)
    axis.set_xticks(range(len(found)), [one.name for one in found])
    axis.set(title="what is learnt", xlabel="forget gate", ylabel="test accuracy, %")
    axis.margins(x=0.15)
    axis.grid(alpha=0.3)
