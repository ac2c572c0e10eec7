"""The figures and the table of who knows what, and when."""

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.harness import plotting, tables
from experiments.harness.plotting import Plot
from experiments.information.claims import of, spread
from experiments.information.measure import (
    BACKWARD,
    BOTH,
    FORWARD,
    TRAINED,
    UNTRAINED,
    WAYS,
    Known,
)

LABEL, IMAGE, STATE, INPUT = PANELS = (
    "what a state knows of the label",
    "what a state knows of the whole image",
    "which states the loss hangs on",
    "which inputs the loss hangs on",
)


def table(found: dict[str, Known]) -> tables.Table:
    """What was found, a line a way of reading: at both ends, and how even it is."""
    header = [
        "states of",
        "bits of the label, first step",
        "last step",
        "spread, %",
        "label told, first step, %",
        "last step, %",
        "image's variance, first step, %",
        "last step, %",
        "spread, %",
        "dL/ds, spread, %",
        "dL/dx, spread, %",
    ]
    rows = []
    for when in (TRAINED, UNTRAINED):
        known = found[when]
        for way in WAYS:
            bits, right, image = (
                of(curves, way) for curves in (known.bits, known.right, known.image)
            )
            gradients = (np.exp(of(c, way)) for c in (known.by_state, known.by_input))
            cells = [
                (bits[:, 0], "{:.2f}"),
                (bits[:, -1], "{:.2f}"),
                (100 * spread(bits), "{:.0f}"),
                (100 * right[:, 0], "{:.0f}"),
                (100 * right[:, -1], "{:.0f}"),
                (100 * image[:, 0], "{:.0f}"),
                (100 * image[:, -1], "{:.0f}"),
                (100 * spread(image), "{:.0f}"),
                *((100 * spread(norms), "{:.0f}") for norms in gradients),
            ]
            said = [tables.mean_and_deviation(*cell) for cell in cells]
            rows.append([f"{way}, {when}", *said])
    return tables.Table(header, rows)


def title(known: Known) -> str:
    """The finding, if it holds for every seed."""
    forward, backward, both = (of(known.bits, way) for way in WAYS)
    gains = forward[:, -1] - forward[:, 0], backward[:, 0] - backward[:, -1]
    if not all((gain > 0).all() for gain in gains):
        return "Whether a state knows more the more it has read hangs on the seed"
    ends = (forward[:, 0], forward[:, -1], backward[:, 0], backward[:, -1])
    first, last, early, late = (end.mean() for end in ends)
    line = (
        f"Read forward, a state knows {first:.1f} bits of the digit at first and "
        f"{last:.1f} at last; backward, {early:.1f} and {late:.1f}"
    )
    alone = np.minimum(spread(forward), spread(backward))
    if not (spread(both) < alone).all():
        return line
    low, high = both.min(axis=1).mean(), both.max(axis=1).mean()
    return f"{line};\nboth together {low:.1f} to {high:.1f} at every step"


def draw(
    found: dict[str, Known], times: np.ndarray, image: float, order: str, caption: str
) -> Plot:
    """What is known, and what the loss hangs on, by the step.

    Args:
        found: Trained and untrained.
        times: After which steps states were read out.
        image: Bits of the label that a probe reads from the image itself.
        order: "rows" or "pixels".
        caption: What was done, so that the figure can stand alone.

    Returns:
        A `Plot`.
    """
    figure = Figure(figsize=(11, 8.6), dpi=110, layout="constrained")
    finding = title(found[TRAINED])
    figure.suptitle(finding, fontweight="bold", fontsize=12)
    axes = figure.subplots(2, 2).flatten()
    for axis, name in zip(axes, PANELS, strict=True):
        axis.set(title=name, xlabel=f"step t, {order} from the top")
        axis.grid(alpha=0.3)
    label, whole, state, inputs = axes
    for when, known in found.items():
        lines(label, known.bits, times, when)
        lines(whole, 100 * known.image, times, when)
        everywhere = np.arange(known.by_state.shape[-1])
        lines(state, known.by_state / np.log(10), everywhere, when)
        lines(inputs, known.by_input / np.log(10), everywhere, when)
    label.axhline(image, color="0.4", linestyle=":")
    label.axhline(np.log2(10), color="0.4", linewidth=0.8)
    place, shift = (times[-1], image), (0, -3)
    label.annotate(
        "the image itself",
        place,
        shift,
        textcoords="offset points",
        ha="right",
        va="top",
        fontsize=8,
        color="0.3",
    )
    label.set(ylabel="bits, of log2(10) = 3.32 there are")
    label.set_ylim(top=3.5)
    whole.set(ylabel="share of its variance read, %")
    state.set(ylabel=r"$\log_{10} \|\partial L/\partial s_t\|$")
    inputs.set(ylabel=r"$\log_{10} \|\partial L/\partial x_t\|$")
    label.legend(loc="lower center", fontsize=8, ncols=2)
    return plotting.captioned(
        figure, finding, f"{caption} Dotted: the same probe of all pixels.", caption
    )


def lines(
    axis: Axes,
    curves: Float[np.ndarray, "seeds ways time"],
    times: np.ndarray,
    when: str,
) -> None:
    """A line a way of reading, dashed of the untrained; bands: the range of seeds."""
    dashed = when == UNTRAINED
    for i, way in enumerate(WAYS):
        values, colour = of(curves, way), plotting.COLOURS[i]
        low, high = values.min(axis=0), values.max(axis=0)
        axis.plot(
            times,
            values.mean(axis=0),
            plotting.STYLES[dashed],
            color=colour,
            linewidth=1.2 if dashed else 2,
            label=f"{way}, {when}" if dashed else way,
        )
        shade = 0.1 if dashed else 0.2
        axis.fill_between(times, low, high, color=colour, alpha=shade, linewidth=0)


def draw_rows(known: Known, times: np.ndarray, order: str, caption: str) -> Plot:
    """Which rows of the image each state has in it: a map a way of reading.

    Args:
        known: Of trained networks.
        times: After which steps states were read out.
        order: "rows" or "pixels".
        caption: What was done, so that the figure can stand alone.

    Returns:
        A `Plot`.
    """
    figure = Figure(figsize=(11, 4.6), dpi=110, layout="constrained")
    finding = rows_title(known)
    figure.suptitle(finding, fontweight="bold", fontsize=12)
    axes = figure.subplots(1, len(WAYS), sharey=True)
    drawn = None
    for axis, way in zip(axes, WAYS, strict=True):
        shares = 100 * known.rows[:, WAYS.index(way)].mean(axis=0).T  # [rows, times]
        drawn = axis.imshow(shares, vmin=0, vmax=100, cmap="viridis", aspect="auto")
        shown = np.unique(np.linspace(0, len(times) - 1, 8).round().astype(int))
        axis.set_xticks(shown, [str(times[i]) for i in shown])
        axis.set(title=way, xlabel=f"state after step t, {order} from the top")
    axes[0].set_ylabel("row of the digit that is read out")
    assert drawn is not None
    figure.colorbar(drawn, ax=axes, label="share of its variance read, %")
    return plotting.captioned(
        figure,
        finding,
        caption,
        "Which rows of the digit each state has in it, as a share of their variance "
        f"that a linear probe reads. {caption}",
    )


def seen(known: Known) -> dict[str, Float[np.ndarray, " seeds"]]:
    """The mean share of a row's variance that is read, over steps and rows."""
    return {way: of(known.rows, way).mean(axis=(-1, -2)) for way in WAYS}


def rows_title(known: Known) -> str:
    """The finding, if it holds for every seed."""
    shares = seen(known)
    alone = np.maximum(shares[FORWARD], shares[BACKWARD])
    if not (shares[BOTH] > alone).all():
        return "Which rows a state has in it hangs on the seed"
    means = {way: f"{100 * share.mean():.0f} %" for way, share in shares.items()}
    return (
        f"On average a state has {means[FORWARD]} of a row in it, read forward, "
        f"{means[BACKWARD]} read backward, {means[BOTH]} both together"
    )
