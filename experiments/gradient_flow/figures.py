"""Figures of decay over time; gradients, gates and exponents by training step."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.gradient_flow import claims
from experiments.gradient_flow.measure import DecayResult, ProbeResult
from experiments.harness import plotting
from experiments.harness.plotting import Plot
from nets.flow import plot

DECADES = 8  # largest range of the color scale
TAILS = 2, 98  # percentiles of the norms after the first probe, for the color scale
COLUMNS = 3
GRAYS = 0.35, 0.75  # from the second exponent to the last

CAPTIONS = {
    "learning.png": "Norm of the gradient of the state during training, by reading "
    "step (x) and training step (y).",
    "gates.png": "Mean of every tagged gate during training. The LSTM's forget gate "
    "and the GRU's update gate retain the old state where they are 1.",
    "lyapunov.png": "Largest Lyapunov exponents of held-out sequences in training.",
}


def draw_decay(
    results: list[DecayResult], order: str, caption: str, bidirectional: bool = False
) -> Plot:
    """|dL/ds_t| against the reading step, before and after training.

    Args:
        results: Results; for a bidirectional layer, forward and backward in turn.
        order: Unit that each step reads, such as "pixels".
        caption: Description of the experiment, printed below the figure.
        bidirectional: Whether each cell has two results.

    Returns:
        A `Plot`.
    """
    panels = {"before": "before training", "after": "after training"}
    directions = 2 if bidirectional else 1
    finding = claims.title(results, directions)
    figure, axes = plotting.figure(finding, columns=len(panels))
    for axis, (when, name) in zip(axes, panels.items(), strict=True):
        for i, result in enumerate(results):
            log_norms = getattr(result, when)
            label = f"{result.label}: half-life {claims.halving(log_norms)}"
            style = plotting.line_style(i // directions)
            style |= {"linestyle": "--"} if i % directions else {}
            plot.gradient_norms({label: log_norms.T}, ax=axis, ylabel="", **style)
        axis.set_title(name)
        axis.set_xlabel(f"step t, reading {order} (the loss is at the right end)")
        plotting.legend(figure, axis, len(results))
    axes[0].set_ylabel(r"norm of the state's gradient, $\|\partial L/\partial s_t\|$")
    return plotting.captioned(
        figure,
        finding,
        caption,
        "Norm of the state's gradient against the reading step.",
    )


def draw_probes(
    probes: Sequence[ProbeResult], captions: Mapping[str, str]
) -> dict[str, Plot]:
    """Draw one figure per probe.

    Args:
        probes: Results, one per cell and direction.
        captions: Captions by file name.

    Returns:
        Figures by file name.
    """
    figures: dict[str, tuple[Figure, str]] = {}
    if probes[0].log_norms is not None:
        figures["learning.png"] = _heat_maps(probes)
    if any(result.gates for result in probes):
        figures["gates.png"] = _gates([r for r in probes if r.gates])
    if probes[0].exponents is not None:
        figures["lyapunov.png"] = _exponents(probes)
    return {
        name: plotting.captioned(*drawn, captions[name], CAPTIONS[name])
        for name, drawn in figures.items()
    }


def written_label(label: str) -> str:
    """Name of a cell and its direction for titles, such as "LSTM, forward"."""
    return ", ".join(plotting.written(word) for word in label.split())


def _grid(title: str, count: int, share_y: bool) -> tuple[Figure, list[Axes]]:
    """Panels in rows of at most three."""
    columns = min(COLUMNS, count)
    rows = -(-count // columns)
    with matplotlib.rc_context({"font.size": 10}):
        size = max(3.9 * columns, 6.4), 3.5 * rows + 1.1
        figure = Figure(figsize=size, dpi=110, layout="constrained")
        figure.suptitle(title, fontweight="bold", fontsize=12)
        axes = figure.subplots(
            rows, columns, squeeze=False, sharey=share_y, sharex=share_y
        ).flat
    axes = list(axes)
    for axis in axes:
        axis.tick_params(labelbottom=True)
    for axis in axes[count:]:
        axis.axis("off")
    return figure, axes[:count]


def _heat_maps(probes: Sequence[ProbeResult]) -> tuple[Figure, str]:
    """Draw the log norm of the gradient by reading step (x) and training step (y)."""
    norms = [r.log_norms for r in probes if r.log_norms is not None]
    limits = _color_limits([n.mean(axis=1) / np.log(10) for n in norms])
    title = _lost_decades_title(probes)
    figure, axes = _grid(title, len(probes), share_y=True)
    for axis, result, norm in zip(axes, probes, norms, strict=True):
        plot.gradient_heat_map(
            np.moveaxis(norm, 1, 2),
            result.steps,
            ax=axis,
            title=result.label,
            limits=limits,
            colorbar=False,
        )
        axis.set_xlabel("step t of the sequence (loss at the end)")
        if axis not in axes[::COLUMNS]:
            axis.set_ylabel("")
    mesh = axes[0].collections[0]
    bar = figure.colorbar(mesh, ax=axes, extend="both", pad=0.01, aspect=30)
    bar.set_label(r"$\log_{10} \|\partial L/\partial s_t\|$, mean over seeds")
    return figure, title


def _color_limits(norms: Sequence[np.ndarray]) -> tuple[float, float]:
    """Limits of the color scale, from the norms after the first probe.

    Norms of untrained cells may be decades lower, and would take most of the scale.

    Args:
        norms: log10 of norms, [probes, time] for each cell.

    Returns:
        Lower and upper limit, which differ.
    """
    later = np.concatenate([n[min(1, len(n) - 1) :].ravel() for n in norms])
    later = later[np.isfinite(later)]
    if not len(later):
        return -1.0, 0.0
    low, high = np.percentile(later, TAILS)
    low = max(low, high - DECADES)
    return (float(low), float(high)) if high - low > 1e-3 else (low - 0.5, high + 0.5)


def _lost_decades_title(probes: Sequence[ProbeResult]) -> str:
    """The finding: powers of ten that the gradient loses over the sequence."""
    phrases = []
    for result in probes:
        assert result.log_norms is not None
        with np.errstate(invalid="ignore"):  # -inf minus -inf, if no gradient
            lost = result.log_norms[..., -1] - result.log_norms[..., 0]
        first, last = (lost[i].mean() / np.log(10) for i in (0, -1))
        if np.isfinite([first, last]).all():
            phrases.append(f"{written_label(result.label)} {first:.1f} to {last:.1f}")
    if not phrases:
        return "Gradient of the state during training"
    return _wrapped(
        "Powers of ten that the gradient loses back to the first step, before and "
        "after training",
        phrases,
        len(probes),
    )


def _wrapped(start: str, parts: Sequence[str], panels: int) -> str:
    """A title with line breaks between its parts only."""
    limit, lines = 50 * min(panels, COLUMNS) // 2 + 20, [start + ":"]
    for i, part in enumerate(parts):
        text = part + (", " if i < len(parts) - 1 else "")
        if len(lines[-1]) + len(text) > limit:
            lines.append(text)
        else:
            lines[-1] += (" " if lines[-1].endswith(":") else "") + text
    return "\n".join(line.strip() for line in lines)


def _gates(probes: Sequence[ProbeResult]) -> tuple[Figure, str]:
    """Draw the mean of every gate against the training step."""
    changes = []
    for result in probes:
        gates = result.gates or {}
        change = {name: g[-1].mean() - g[0].mean() for name, g in gates.items()}
        name = max(change, key=lambda n: abs(change[n]))
        first, last = (gates[name][i].mean() for i in (0, -1))
        changes.append(
            f"{written_label(result.label)}'s {name} {first:.2f} to {last:.2f}"
        )
    title = _wrapped("The gate that training changes most", changes, len(probes))
    figure, axes = _grid(title, len(probes), share_y=True)
    for axis, result in zip(axes, probes, strict=True):
        gates = result.gates or {}
        plot.gates(
            gates, result.steps, ax=axis, title=result.label, xlabel="training step"
        )
        axis.legend(fontsize=8)
        first = axis in axes[::COLUMNS]
        axis.set_ylabel("mean of the gate, from 0 to 1" if first else "")
    return figure, title


def _exponents(probes: Sequence[ProbeResult]) -> tuple[Figure, str]:
    """Draw Lyapunov exponents against the training step."""
    changes = []
    for result in probes:
        assert result.exponents is not None
        first, last = (result.exponents[i, :, 0].mean() for i in (0, -1))
        changes.append(f"{written_label(result.label)} {first:+.3f} to {last:+.3f}")
    title = _wrapped("Largest Lyapunov exponent, nats/step", changes, len(probes))
    figure, axes = _grid(title, len(probes), share_y=True)
    for axis, result in zip(axes, probes, strict=True):
        assert result.exponents is not None
        count = result.exponents.shape[-1]
        for i in reversed(range(1, count)):
            gray = np.interp(i, [1, max(count - 1, 2)], GRAYS)
            label = f"next {count - 1}, mean" if i == 1 else None
            mean = result.exponents[..., i].mean(axis=1)
            axis.plot(result.steps, mean, color=str(gray), linewidth=1, label=label)
        largest = {"largest, with range": result.exponents[..., 0]}
        plot.curves(largest, result.steps, ax=axis, color=plotting.COLORS[0])
        axis.axhline(0, color="0.3", linewidth=1, linestyle=":")
        axis.set(title=result.label, xlabel="training step")
        handles, labels = axis.get_legend_handles_labels()
        axis.legend(handles[::-1], labels[::-1], fontsize=8, loc="lower right")
    for axis in axes[::COLUMNS]:
        axis.set_ylabel("Lyapunov exponent, nats/step")
    return figure, title
