"""The figure of an LSTM's gates."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.gates.claims import Clamped, bias_of, evaluate_claims
from experiments.harness import plotting
from experiments.harness.claims import (
    INCONCLUSIVE,
    PARTLY_SUPPORTED,
    REFUTED,
    SUPPORTED,
)
from experiments.harness.intervals import interval
from experiments.harness.plotting import Plot


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


def title(found: Sequence[Clamped]) -> str:
    """The finding on the reach, and the accuracies of the ends."""
    along, whole = (claim.outcome for claim in evaluate_claims(found)[:2])
    words = {
        SUPPORTED: "decays as sigmoid(b)^T",
        PARTLY_SUPPORTED: "decays as sigmoid(b)^T for some b",
        INCONCLUSIVE: "may decay as sigmoid(b)^T",
        REFUTED: "does not decay as sigmoid(b)^T",
    }
    return (
        f"Along the cell state the gradient {words[along]};\n"
        f"the whole gradient, through the weights too, {words[whole]}"
    )


def draw(found: Sequence[Clamped], traces: Traces, order: str, caption: str) -> Plot:
    """Gates and cell state over time; decay and accuracy by the clamped gate.

    Args:
        found: What was found.
        traces: Of the learnt LSTM.
        order: What a step reads, in a word.
        caption: What was done, so that the figure can stand alone.

    Returns:
        A `Plot`.
    """
    figure = Figure(figsize=(12, 8.5), dpi=110, layout="constrained")
    finding = title(found)
    figure.suptitle(finding, fontweight="bold", fontsize=12)
    grid = figure.add_gridspec(2, 2)
    over_time = figure.add_subplot(grid[0, 0])
    for i, (name, values) in enumerate(traces.gates.items()):
        plotting.band(over_time, values, f"{name} gate", i)
    over_time.set(
        title="the gates of the LSTM as it is",
        xlabel=f"step t, reading {order}",
        ylabel="mean of the gate, from 0 (shut) to 1 (open)",
        ylim=(0, 1),
    )
    over_time.legend()
    inner = grid[0, 1].subgridspec(2, 1, height_ratios=(8, 1), hspace=0.02)
    _cell_state(figure, [figure.add_subplot(part) for part in inner], traces, order)
    _decays(figure.add_subplot(grid[1, 0]), found, traces)
    _accuracies(figure.add_subplot(grid[1, 1]), found)
    return plotting.captioned(figure, finding, caption)


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


def _decays(axis: Axes, found: Sequence[Clamped], traces: Traces) -> None:
    """Decay against b, beside what sigmoid(b) says; of a learnt gate, against its mean.

    A mean f counts as the b of which it is the sigmoid.
    """
    known = sorted((one for one in found if one.bias is not None), key=bias_of)
    biases = np.array([bias_of(one) for one in known])
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
            color=plotting.COLOURS[i],
            label=label,
            capsize=3,
            mfc="white",
            markersize=7,
        )
    mean = float(traces.gates["forget"].mean())
    learnt = next(one for one in found if one.bias is None)
    for field, marker in (("highway_after", "o"), ("after", "^")):
        value = getattr(learnt, field).mean()
        axis.plot(np.log(mean / (1 - mean)), value, marker, color=plotting.COLOURS[3])
    axis.plot(
        [], [], "o", color=plotting.COLOURS[3], label=f"learnt, mean f = {mean:.2f}"
    )
    # Linear where the curve does not go, which would have a kink.
    axis.set_yscale("symlog", linthresh=float(np.log1p(np.exp(-line[-1]))) / 2)
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
        colour = plotting.COLOURS[3 if one.bias is None else 0]
        axis.errorbar([i], [value.mean], [half], fmt="o", color=colour, capsize=4)
    axis.set_xticks(range(len(found)), [one.name for one in found])
    axis.set(title="what is learnt", xlabel="forget gate", ylabel="test accuracy, %")
    axis.margins(x=0.15)
    axis.grid(alpha=0.3)
