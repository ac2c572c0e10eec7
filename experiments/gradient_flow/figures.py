"""Pictures of learning: what the instruments see, training step by training step."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.harness import plotting
from experiments.harness.plotting import Plot

DECADES = 8  # below its largest value, what is shown of a gradient
TAILS = 2, 98  # percentiles of what is seen after the first look, for the colors
COLUMNS = 3
SUBTLE = 0.35, 0.75  # from dark to light gray, for the second exponent to the last

CAPTIONS = {
    "learning.png": "Norm of the state's gradient while the cells learn: reading step "
    "across, training step up.",
    "gates.png": "Mean of every gate that a cell names, while the cell learns. LSTM's "
    "forget gate and GRU's update gate keep the old state where they are 1.",
    "lyapunov.png": "The largest Lyapunov exponents along held-out digits.",
}


class Course(NamedTuple):
    """What was seen of one cell in one direction while it learned.

    Attributes:
        label: The cell, and the direction if there are two.
        steps: Training steps, [probes].
        log_norms: ln |dL/ds_t| by reading step, [probes, seeds, time], or None.
        gates: The mean of each gate, [probes, seeds]; empty if it names none, or None.
        exponents: Lyapunov exponents, [probes, seeds, exponents], or None.
    """

    label: str
    steps: Int[np.ndarray, " probes"]
    log_norms: Float[np.ndarray, "probes seeds time"] | None
    gates: Mapping[str, Float[np.ndarray, "probes seeds"]] | None
    exponents: Float[np.ndarray, "probes seeds exponents"] | None


def draw(courses: Sequence[Course], captions: Mapping[str, str]) -> dict[str, Plot]:
    """A figure of everything that was probed.

    Args:
        courses: One a cell and direction.
        captions: Captions by file name.

    Returns:
        Figures by file name.
    """
    figures: dict[str, tuple[Figure, str]] = {}
    if courses[0].log_norms is not None:
        figures["learning.png"] = _heat_maps(courses)
    if any(course.gates for course in courses):
        figures["gates.png"] = _gates([c for c in courses if c.gates])
    if courses[0].exponents is not None:
        figures["lyapunov.png"] = _exponents(courses)
    return {
        name: plotting.captioned(*drawn, captions[name], CAPTIONS[name])
        for name, drawn in figures.items()
    }


def named(label: str) -> str:
    """A cell and its direction as people write them, such as "LSTM, forward"."""
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


def _heat_maps(courses: Sequence[Course]) -> tuple[Figure, str]:
    """The log norm of the state's gradient: time across, training step up."""
    norms = [np.mean(c.log_norms, axis=1) / np.log(10) for c in courses]  # type: ignore
    lowest, highest = _limits(norms)
    title = _carried_title(courses)
    figure, axes = _grid(title, len(courses), share_y=True)
    mesh = None
    for axis, course, norm in zip(axes, courses, norms, strict=True):
        time = np.arange(norm.shape[1] + 1) - 0.5
        mesh = axis.pcolormesh(
            time,
            _edges(course.steps),
            np.clip(norm, lowest, highest),
            cmap="cividis",
            vmin=lowest,
            vmax=highest,
            rasterized=True,
        )
        axis.set(title=course.label, xlabel="step t of the sequence (loss at the end)")
    for axis in axes[::COLUMNS]:
        axis.set_ylabel("training step")
    assert mesh is not None
    bar = figure.colorbar(mesh, ax=axes, extend="both", pad=0.01, aspect=30)
    bar.set_label(r"$\log_{10} \|\partial L/\partial s_t\|$, mean over seeds")
    return figure, title


def _limits(norms: Sequence[np.ndarray]) -> tuple[float, float]:
    """Least and largest log norm that has a color: most of what learning changes.

    The first look, at untrained cells, may be decades below all that follows, and would
    take all colors.

    Args:
        norms: log10 of norms, [probes, time] of each cell.

    Returns:
        Two numbers that differ.
    """
    later = np.concatenate([n[min(1, len(n) - 1) :].ravel() for n in norms])
    later = later[np.isfinite(later)]
    if not len(later):
        return -1.0, 0.0
    low, high = np.percentile(later, TAILS)
    low = max(low, high - DECADES)
    return (float(low), float(high)) if high - low > 1e-3 else (low - 0.5, high + 0.5)


def _edges(steps):
    """Where the rows of a heat map begin and end, for rows at `steps`."""
    between = (steps[1:] + steps[:-1]) / 2
    return np.concatenate([steps[:1], between, steps[-1:]])


def _carried_title(courses: Sequence[Course]) -> str:
    """How many powers of ten the gradient loses from the last step to the first."""
    said = []
    for course in courses:
        assert course.log_norms is not None
        with np.errstate(invalid="ignore"):  # nothing less nothing, of a constant cell
            lost = course.log_norms[..., -1] - course.log_norms[..., 0]
        first, last = (lost[i].mean() / np.log(10) for i in (0, -1))
        if np.isfinite([first, last]).all():
            said.append(f"{named(course.label)} {first:.1f} to {last:.1f}")
    if not said:
        return "The state's gradient while learning"
    return _wrapped(
        "Powers of ten that the gradient loses on its way to the first step, before "
        "and after learning",
        said,
        len(courses),
    )


def _wrapped(start: str, parts: Sequence[str], panels: int) -> str:
    """A title that breaks between its parts."""
    limit, lines = 50 * min(panels, COLUMNS) // 2 + 20, [start + ":"]
    for i, part in enumerate(parts):
        text = part + (", " if i < len(parts) - 1 else "")
        if len(lines[-1]) + len(text) > limit:
            lines.append(text)
        else:
            lines[-1] += (" " if lines[-1].endswith(":") else "") + text
    return "\n".join(line.strip() for line in lines)


def _gates(courses: Sequence[Course]) -> tuple[Figure, str]:
    """The mean of every gate against the training step."""
    moved = []
    for course in courses:
        gates = course.gates or {}
        change = {name: g[-1].mean() - g[0].mean() for name, g in gates.items()}
        name = max(change, key=lambda n: abs(change[n]))
        first, last = (gates[name][i].mean() for i in (0, -1))
        moved.append(f"{named(course.label)}'s {name} {first:.2f} to {last:.2f}")
    title = _wrapped("The gate that learning moves most", moved, len(courses))
    figure, axes = _grid(title, len(courses), share_y=True)
    for axis, course in zip(axes, courses, strict=True):
        for colour, (name, values) in enumerate((course.gates or {}).items()):
            _band(axis, course.steps, values.T, name, colour)
        axis.set(title=course.label, xlabel="training step", ylim=(0, 1))
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    for axis in axes[::COLUMNS]:
        axis.set_ylabel("mean of the gate, from 0 to 1")
    return figure, title


def _exponents(courses: Sequence[Course]) -> tuple[Figure, str]:
    """Lyapunov exponents against the training step."""
    moved = []
    for course in courses:
        assert course.exponents is not None
        first, last = (course.exponents[i, :, 0].mean() for i in (0, -1))
        moved.append(f"{named(course.label)} {first:+.3f} to {last:+.3f}")
    title = _wrapped("Largest Lyapunov exponent, nats/step", moved, len(courses))
    figure, axes = _grid(title, len(courses), share_y=True)
    for axis, course in zip(axes, courses, strict=True):
        assert course.exponents is not None
        count = course.exponents.shape[-1]
        for i in reversed(range(1, count)):
            gray = np.interp(i, [1, max(count - 1, 2)], SUBTLE)
            label = f"next {count - 1}, mean" if i == 1 else None
            mean = course.exponents[..., i].mean(axis=1)
            axis.plot(course.steps, mean, color=str(gray), linewidth=1, label=label)
        _band(axis, course.steps, course.exponents[..., 0].T, "largest, and range", 0)
        axis.axhline(0, color="0.3", linewidth=1, linestyle=":")
        axis.set(title=course.label, xlabel="training step")
        axis.grid(alpha=0.3)
        handles, labels = axis.get_legend_handles_labels()
        axis.legend(handles[::-1], labels[::-1], fontsize=8, loc="lower right")
    for axis in axes[::COLUMNS]:
        axis.set_ylabel("Lyapunov exponent, nats/step")
    return figure, title


def _band(axis, steps, values, label, colour):
    """The mean over seeds as a line, their range as a band."""
    shade = plotting.COLOURS[colour % len(plotting.COLOURS)]
    style = plotting.STYLES[colour % len(plotting.STYLES)]
    axis.plot(steps, values.mean(axis=0), style, color=shade, label=label, linewidth=2)
    low, high = values.min(axis=0), values.max(axis=0)
    axis.fill_between(steps, low, high, color=shade, alpha=0.2, linewidth=0)
