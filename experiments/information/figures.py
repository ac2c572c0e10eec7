"""The figures on the information in states."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.harness import plotting
from experiments.harness.plotting import Plot
from experiments.information.claims import of_way, spread
from experiments.information.measure import (
    BACKWARD,
    BOTH,
    FORWARD,
    TRAINED,
    UNTRAINED,
    WAYS,
    InformationResult,
)
from nets.flow import plot

PANELS = (
    "information on the label",
    "information on the {unit}",
    "gradient of the loss at the states",
    "gradient of the loss at the inputs",
)


def draw(
    results: dict[str, InformationResult],
    times: np.ndarray,
    image: float,
    step: str,
    caption: str,
    classes: int = 10,
    unit: str = "image",
) -> Plot:
    """Plot the information in the states and the gradients of the loss by step.

    Args:
        results: Results of trained and untrained networks.
        times: Steps after which the states were probed.
        image: Bits of the label that a probe reads from the image itself.
        step: Text for what a step reads, such as "rows from the top".
        caption: Description of the experiment.
        classes: Number of classes.
        unit: Noun for what is read, "image" or "sequence".

    Returns:
        A `Plot`.
    """
    figure = Figure(figsize=(11, 8.6), dpi=110, layout="constrained")
    finding = title(results[TRAINED], "digit" if unit == "image" else "label")
    what = "pixels" if unit == "image" else "inputs"
    figure.suptitle(finding, fontweight="bold", fontsize=12)
    axes = figure.subplots(2, 2).flatten()
    label, whole, state, inputs = axes
    for when, result in results.items():
        lines(label, result.bits, times, when)
        lines(whole, 100 * result.image, times, when)
        everywhere = np.arange(result.by_state.shape[-1])
        lines(state, result.by_state, everywhere, when, plot.gradient_norms)
        lines(inputs, result.by_input, everywhere, when, plot.gradient_norms)
    for axis, name in zip(axes, PANELS, strict=True):
        axis.set(title=name.format(unit=unit), xlabel=f"step t, {step}")
    label.axhline(image, color="0.4", linestyle=":")
    label.axhline(np.log2(classes), color="0.4", linewidth=0.8)
    place, shift = (times[-1], image), (0, -3)
    label.annotate(
        f"the {unit} itself",
        place,
        shift,
        textcoords="offset points",
        ha="right",
        va="top",
        fontsize=8,
        color="0.3",
    )
    most = np.log2(classes)
    label.set(ylabel=f"bits, at most log2({classes}) = {most:.2f}")
    label.set_ylim(top=3.5 if classes == 10 else 1.05 * most)
    whole.set(ylabel="variance explained, %")
    state.set(ylabel=r"norm, $\|\partial L/\partial s_t\|$")
    inputs.set(ylabel=r"norm, $\|\partial L/\partial x_t\|$")
    label.legend(loc="lower center", fontsize=8, ncols=2)
    return plotting.captioned(
        figure, finding, f"{caption} Dotted: the same probe on all {what}.", caption
    )


def lines(
    axis: Axes,
    curves: Float[np.ndarray, "seeds ways time"],
    times: np.ndarray,
    when: str,
    draw: Callable[..., Axes] = plot.curves,
) -> None:
    """Draw one line per way of reading, dashed if untrained; bands: range of seeds."""
    dashed = when == UNTRAINED
    for i, way in enumerate(WAYS):
        draw(
            {f"{way}, {when}" if dashed else way: of_way(curves, way).T},
            times,
            ax=axis,
            legend=False,
            color=plotting.COLORS[i],
            linestyle=plotting.STYLES[dashed],
            linewidth=1.2 if dashed else 2,
        )


def draw_rows(
    result: InformationResult,
    times: np.ndarray,
    step: str,
    caption: str,
    unit: str = "image",
) -> Plot:
    """Draw the information on each row of the image: one map per way of reading.

    Args:
        result: Result of trained networks.
        times: Steps after which the states were probed.
        step: As in `draw`.
        caption: Description of the experiment.
        unit: As in `draw`.

    Returns:
        A `Plot`.
    """
    figure = Figure(figsize=(11, 4.6), dpi=110, layout="constrained")
    part = "row" if unit == "image" else "step"
    finding = rows_title(result, part)
    figure.suptitle(finding, fontweight="bold", fontsize=12)
    axes = figure.subplots(1, len(WAYS), sharey=True)
    drawn = None
    for axis, way in zip(axes, WAYS, strict=True):
        shares = 100 * result.rows[:, WAYS.index(way)].mean(axis=0).T  # [rows, times]
        drawn = axis.imshow(shares, vmin=0, vmax=100, cmap="viridis", aspect="auto")
        shown = np.unique(np.linspace(0, len(times) - 1, 8).round().astype(int))
        axis.set_xticks(shown, [str(times[i]) for i in shown])
        axis.set(title=way, xlabel=f"state after step t, {step}")
    axes[0].set_ylabel(f"{part} of the {'digit' if part == 'row' else unit}")
    assert drawn is not None
    figure.colorbar(drawn, ax=axes, label="variance explained, %")
    return plotting.captioned(
        figure,
        finding,
        caption,
        f"Information on each {part} of the {'digit' if part == 'row' else unit}: "
        f"share of its variance that a linear probe of the state explains. {caption}",
    )


def title(result: InformationResult, subject: str = "digit") -> str:
    """The finding on the label of the subject, if it holds for every seed."""
    forward, backward, both = (of_way(result.bits, way) for way in WAYS)
    gains = forward[:, -1] - forward[:, 0], backward[:, 0] - backward[:, -1]
    if not all((gain > 0).all() for gain in gains):
        return "Whether states gain information with every step depends on the seed"
    ends = (forward[:, 0], forward[:, -1], backward[:, 0], backward[:, -1])
    first, last, early, late = (end.mean() for end in ends)
    line = (
        f"Read forward, a state contains {first:.1f} bits on the {subject} at the "
        f"first step and {last:.1f} at the last; backward, {early:.1f} and {late:.1f}"
    )
    alone = np.minimum(spread(forward), spread(backward))
    if not (spread(both) < alone).all():
        return line
    low, high = both.min(axis=1).mean(), both.max(axis=1).mean()
    return f"{line};\nboth together {low:.1f} to {high:.1f} at every step"


def row_information(
    result: InformationResult,
) -> dict[str, Float[np.ndarray, " seeds"]]:
    """Share of a row's variance that is explained, the mean over steps and rows."""
    return {way: of_way(result.rows, way).mean(axis=(-1, -2)) for way in WAYS}


def rows_title(result: InformationResult, part: str = "row") -> str:
    """The finding on rows, or steps, if it holds for every seed."""
    shares = row_information(result)
    alone = np.maximum(shares[FORWARD], shares[BACKWARD])
    if not (shares[BOTH] > alone).all():
        return f"Which {part}s a state contains depends on the seed"
    means = {way: f"{100 * share.mean():.0f} %" for way, share in shares.items()}
    return (
        f"On average, a state contains {means[FORWARD]} of a {part} read forward, "
        f"{means[BACKWARD]} read backward, {means[BOTH]} both together"
    )
