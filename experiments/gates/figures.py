"""The figure of an LSTM's gates."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.gates.claims import bias_of, evaluate_claims
from experiments.gates.measure import ForgetGateResult, Traces
from experiments.harness import plotting
from experiments.harness.claims import (
    INCONCLUSIVE,
    PARTLY_SUPPORTED,
    REFUTED,
    SUPPORTED,
)
from experiments.harness.intervals import interval
from experiments.harness.plotting import Plot
from nets.flow import plot


def title(results: Sequence[ForgetGateResult]) -> str:
    """The finding: whether the gradient decays as sigmoid(b)^T."""
    highway, whole = (claim.outcome for claim in evaluate_claims(results)[:2])
    words = {
        SUPPORTED: "decays as sigmoid(b)^T",
        PARTLY_SUPPORTED: "decays as sigmoid(b)^T for some b",
        INCONCLUSIVE: "may decay as sigmoid(b)^T",
        REFUTED: "does not decay as sigmoid(b)^T",
    }
    return (
        f"Along the cell state the gradient {words[highway]};\n"
        f"the whole gradient, also through the weights, {words[whole]}"
    )


def draw(
    results: Sequence[ForgetGateResult],
    traces: Traces,
    order: str,
    caption: str,
    score: str = "accuracy",
) -> Plot:
    """Draw gates and cell state over time, and decay and accuracy by the clamped gate.

    Args:
        results: Results, one per LSTM.
        traces: Traces of the plain LSTM.
        order: Name of the input of a step, "pixels" or "rows".
        caption: Setting of the run.
        score: Name of what the LSTMs are measured by.

    Returns:
        A `Plot`.
    """
    figure = Figure(figsize=(12, 8.5), dpi=110, layout="constrained")
    finding = title(results)
    figure.suptitle(finding, fontweight="bold", fontsize=12)
    grid = figure.add_gridspec(2, 2)
    over_time = figure.add_subplot(grid[0, 0])
    plot.gates(
        {f"{name} gate": values.T for name, values in traces.gates.items()},
        ax=over_time,
        title="gates of the plain LSTM",
        xlabel=f"step t, reading {order}",
    )
    over_time.set_ylabel("mean gate, from 0 (closed) to 1 (open)")
    inner = grid[0, 1].subgridspec(2, 1, height_ratios=(8, 1), hspace=0.02)
    _cell_state(figure, [figure.add_subplot(part) for part in inner], traces, order)
    _decays(figure.add_subplot(grid[1, 0]), results, traces)
    _accuracies(figure.add_subplot(grid[1, 1]), results, score)
    return plotting.captioned(figure, finding, caption)


def _cell_state(
    figure: Figure, axes: Sequence[Axes], traces: Traces, order: str
) -> None:
    """Draw the cell state for one sequence, and the inputs below it."""
    above, below = axes
    units = np.argsort(np.abs(traces.cell).argmax(axis=0), kind="stable")
    largest = np.abs(traces.cell).max()
    image = above.imshow(
        traces.cell[:, units].T,
        aspect="auto",
        cmap=plot.DIVERGING,
        vmin=-largest,
        vmax=largest,
        interpolation="nearest",
    )
    figure.colorbar(image, ax=above, label="cell state c", pad=0.01)
    above.set(
        title=f"cell state of the plain LSTM, reading a {traces.label}", ylabel="unit"
    )
    above.set_xticks([])
    above.yaxis.set_major_locator(MaxNLocator(integer=True))
    below.imshow(traces.xs.T, aspect="auto", cmap="Greys", interpolation="nearest")
    below.set_xlabel(f"step t, reading {order}")
    below.set_ylabel("input", rotation=0, ha="right", va="center")
    below.set_yticks([])


def _decays(axis: Axes, results: Sequence[ForgetGateResult], traces: Traces) -> None:
    """Draw measured decay rates and -ln sigmoid(b) against b.

    The learned gate is drawn at b = logit(f), with f its mean.
    """
    clamped = sorted((r for r in results if r.bias is not None), key=bias_of)
    biases = np.array([bias_of(result) for result in clamped])
    line = np.linspace(biases.min() - 0.5, biases.max() + 0.5, 200)
    axis.plot(line, np.log1p(np.exp(-line)), color="0.3", label=r"$-\ln\sigma(b)$")
    kinds = {
        "highway_after": ("along the cell state, trained", "o", 0),
        "before": ("whole gradient, untrained", "s", 1),
        "after": ("whole gradient, trained", "^", 2),
    }
    for field, (label, marker, i) in kinds.items():
        values = [interval(getattr(result, field)) for result in clamped]
        means = np.array([value.mean for value in values])
        half = [v.high - v.mean if np.isfinite(v.high) else 0.0 for v in values]
        axis.errorbar(
            biases,
            means,
            half,
            fmt=marker,
            color=plotting.COLORS[i],
            label=label,
            capsize=3,
            mfc="white",
            markersize=7,
        )
    mean = float(traces.gates["forget"].mean())
    learned = next(result for result in results if result.bias is None)
    for field, marker in (("highway_after", "o"), ("after", "^")):
        value = getattr(learned, field).mean()
        axis.plot(np.log(mean / (1 - mean)), value, marker, color=plotting.COLORS[3])
    axis.plot(
        [], [], "o", color=plotting.COLORS[3], label=f"learned, mean f = {mean:.2f}"
    )
    # Linear only below the curve, to draw the curve without a kink.
    axis.set_yscale("symlog", linthresh=float(np.log1p(np.exp(-line[-1]))) / 2)
    axis.axhline(0, color="0.3", linewidth=0.8, linestyle=":")
    axis.set(
        title="decay of the gradient, by clamped forget gate",
        xlabel=r"b; the forget gate is $\sigma(b)$",
        ylabel="decay, nats per step",
    )
    axis.grid(alpha=0.3)
    axis.legend()


def _accuracies(axis: Axes, results: Sequence[ForgetGateResult], score: str) -> None:
    """Draw the test accuracy, or another score, of every LSTM."""
    for i, result in enumerate(results):
        value = interval(100 * result.accuracy)
        half = value.high - value.mean if np.isfinite(value.high) else 0.0
        color = plotting.COLORS[3 if result.bias is None else 0]
        axis.errorbar([i], [value.mean], [half], fmt="o", color=color, capsize=4)
    axis.set_xticks(range(len(results)), [result.name for result in results])
    axis.set(title=score, xlabel="forget gate", ylabel=f"test {score}, %")
    axis.margins(x=0.15)
    axis.grid(alpha=0.3)
