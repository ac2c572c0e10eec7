"""The figure, the table and the findings of spectra."""

import re
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.harness import plotting, tables
from experiments.harness.plotting import Plot

NEAR = 0.01  # nats a step, within which an exponent is next to zero: 69 steps and more
ZERO = 1e-4  # nats a step, below which float32 and a few hundred steps tell no more
COLUMNS = 5
MARKERS = "", "o", "^", "s"  # in turn, where the colours are used up


class Spectra(NamedTuple):
    """What was found of one cell from one start, in nats a step, over seeds.

    Attributes:
        cell: Its name.
        init: Of its scheme, or "own" if it takes none.
        exponents: Lyapunov's, descending, [seeds, n]; -inf where a direction is lost.
        errors: The standard error of each.
        log_singular_values: ln of those of the product, a step, descending.
    """

    cell: str
    init: str
    exponents: Float[np.ndarray, "seeds n"]
    errors: Float[np.ndarray, "seeds n"]
    log_singular_values: Float[np.ndarray, "seeds n"]

    @property
    def name(self) -> str:
        """The cell, and its scheme if that says more."""
        plain = self.init in ("own", self.cell)
        return self.cell if plain else f"{self.cell} ({self.init})"

    @property
    def largest(self) -> Float[np.ndarray, " seeds"]:
        """The exponent of the slowest direction."""
        return self.exponents[:, 0]


def table(found: Sequence[Spectra]) -> tables.Table:
    """What was found, a line a start."""
    header = [
        "cell, start",
        "state's dimension",
        "largest exponent, nats/step",
        "its error",
        f"exponents within {NEAR} of zero, %",
        "mean exponent, nats/step",
        "directions lost, %",
        "half-life of the slowest, steps",
    ]
    rows = [
        [
            f"{one.cell}, {one.init}",
            str(one.exponents.shape[1]),
            said(one.largest, "{:+.4f}"),
            said(np.array([one.errors[:, 0].mean()]), "{:.4f}"),
            f"{100 * (np.abs(one.exponents) <= NEAR).mean():.0f}",
            said(one.exponents.mean(axis=1), "{:+.3f}"),
            f"{100 * np.isneginf(one.exponents).mean():.0f}",
            half_life(float(one.largest.mean())),
        ]
        for one in found
    ]
    return tables.Table(header, rows)


def said(values: Float[np.ndarray, " seeds"], form: str) -> str:
    """The mean over seeds and its deviation; "-inf" if a seed has that."""
    if np.isneginf(values).any():
        return "-inf"
    text = tables.mean_and_deviation(values, form)
    return re.sub(r"^[+-](0\.0+)(?= |$)", r"\1", text)  # a zero has no sign


def half_life(rate: float) -> str:
    """Steps in which a difference that grows by a rate is halved, in words.

    Args:
        rate: Nats a step.

    Returns:
        The words.

    Example:
        >>> half_life(-0.0693147), half_life(0.0693147), half_life(1e-7)
        ('10.0', '10.0 (grows)', 'above 6,931')
    """
    if np.isnan(rate):
        return "none"
    if abs(rate) < ZERO:
        return f"above {np.log(2) / ZERO:,.0f}"
    steps = f"{np.log(2) / abs(rate):.1f}"
    return steps if rate < 0 else f"{steps} (grows)"


def findings(found: Sequence[Spectra]) -> list[str]:
    """What can be claimed, as it holds for every seed; the most telling first."""
    near = [one.name for one in found if (np.abs(one.largest) <= NEAR).all()]
    grow = [one.name for one in found if (one.largest > NEAR).all()]
    return [
        *titles(found),
        f"The largest exponent lies within {NEAR} nats a step of zero, whatever the "
        f"seed: {', '.join(near) or 'none'}.",
        f"It lies above that, and differences explode: {', '.join(grow) or 'none'}.",
    ]


def titles(found: Sequence[Spectra]) -> list[str]:
    """The two most telling findings, or the one that there is."""
    return list(filter(None, [closest(found), widest(found)]))


def closest(found: Sequence[Spectra]) -> str:
    """Whose largest exponent is closest to zero, if that does not hang on the seed."""
    away = [np.nan_to_num(np.abs(one.largest), nan=np.inf) for one in found]
    zero = [one for one, far in zip(found, away, strict=True) if (far < ZERO).all()]
    if zero:
        names = " and ".join(one.name for one in zero)
        return f"At the start a direction is kept for good by {names} (exponent 0.000)"
    best = int(np.argmin([far.mean() for far in away]))
    others = np.concatenate([[np.inf], *away[:best], *away[best + 1 :]])
    if not away[best].max() < others.min():
        return "Whose largest exponent is closest to zero hangs on the seed"
    return (
        f"Closest to zero is the largest exponent of {found[best].name}: "
        f"{found[best].largest.mean():+.4f} nats a step"
    )


def widest(found: Sequence[Spectra]) -> str | None:
    """The cell whose slowest half-life hangs most on its scheme, for every seed."""
    most, sentence = 1.0, None
    for cell in dict.fromkeys(one.cell for one in found):
        ours = [one for one in found if one.cell == cell]
        ours = [one for one in ours if (one.largest < -ZERO).all()]
        ours = [one for one in ours if np.isfinite(one.largest).all()]
        ours.sort(key=lambda one: one.largest.mean())
        if not ours or not ours[0].largest.max() < ours[-1].largest.min():
            continue
        fast, slow = (float(one.largest.mean()) for one in (ours[0], ours[-1]))
        if fast / slow > most:
            most = fast / slow
            sentence = (
                f"Where schemes differ most, {cell}'s slowest direction halves in "
                f"{half_life(fast)} steps from {ours[0].init}, in {half_life(slow)} "
                f"from {ours[-1].init}"
            )
    return sentence


def draw(found: Sequence[Spectra], caption: str) -> Plot:
    """All spectra, a panel a cell, a colour a scheme."""
    names = list(dict.fromkeys(one.cell for one in found))
    inits = list(dict.fromkeys(one.init for one in found))
    columns = min(COLUMNS, len(names))
    rows = -(-len(names) // columns)
    with matplotlib.rc_context({"font.size": 10}):
        size = 2.7 * columns + 3, 2.6 * rows + 1.6
        figure = Figure(figsize=size, dpi=110, layout="constrained")
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    width = int(size[0] * 7.5)
    lines = [textwrap.fill(line, width) for line in titles(found)]
    finding = "\n".join(lines)
    figure.suptitle(finding, fontweight="bold", fontsize=12)
    for axis, name in zip(axes.flat, names, strict=False):
        panel(axis, [one for one in found if one.cell == name], inits)
    for axis in axes.flat[len(names) :]:
        axis.remove()
    for axis in axes[:, 0]:
        axis.set_ylabel("rate, nats a step")
    for i in range(columns):  # below the last panel of each column
        last = axes[(len(names) - 1 - i) // columns, i]
        last.set_xlabel("direction: index / n")
        last.tick_params(labelbottom=True)
    legend(figure, inits)
    return plotting.captioned(figure, finding, caption)


def panel(axis: Axes, found: Sequence[Spectra], inits: Sequence[str]) -> None:
    """The spectra of one cell."""
    count = found[0].exponents.shape[1]
    x = (np.arange(count) + 0.5) / count
    for one in found:
        colour, marker = look(inits.index(one.init))
        for values, style in ((one.exponents, "-"), (one.log_singular_values, "--")):
            values = np.where(np.isfinite(values), values, np.nan)
            axis.plot(
                x,
                values.mean(axis=0),
                style,
                color=colour,
                marker=marker if style == "-" else "",
                markersize=3,
                linewidth=1.8 if style == "-" else 1.1,
            )
            if style == "-":
                low, high = values.min(axis=0), values.max(axis=0)
                axis.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
    axis.axhline(0, color="0.3", linewidth=0.8, zorder=0)
    axis.set_yscale("symlog", linthresh=NEAR, linscale=0.6)
    axis.set(title=f"{found[0].cell}, n = {count}", xlim=(0, 1))
    axis.grid(alpha=0.3)


def look(number: int) -> tuple[str, str]:
    """The colour and the marker of a scheme."""
    colours = len(plotting.COLOURS)
    marker = MARKERS[number // colours % len(MARKERS)]
    return plotting.COLOURS[number % colours], marker


def legend(figure: Figure, inits: Sequence[str]) -> None:
    """What colours and dashes mean, beside the panels."""
    lines = [
        Line2D([], [], color=colour, marker=marker, markersize=3, label=init)
        for init, (colour, marker) in ((one, look(inits.index(one))) for one in inits)
    ]
    for style, width, label in (
        ("-", 1.8, "Lyapunov exponents"),
        ("--", 1.1, "log singular values\nof the product / steps"),
        ("-", 0.8, "0: neither vanishes\nnor explodes"),
    ):
        lines.append(Line2D([], [], color="0.3", ls=style, lw=width, label=label))
    figure.legend(handles=lines, loc="outside right upper", frameon=False)
