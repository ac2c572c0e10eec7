"""The figure, the table and the findings of schemes of initialisation."""

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from experiments.harness import plotting, tables
from experiments.harness.plotting import Plot


class Reach(NamedTuple):
    """What was found of a cell from one scheme.

    Attributes:
        cell: Its name.
        init: Of its scheme, or "own" if it takes none.
        times: Steps t.
        log10_norms: Of the Jacobian over t steps, [seeds, times].
        singular: Mean and largest singular value of W_h, gate by gate, or None.
        keeps: Mean bias of the gate that keeps the old state, or None.
        known: What was measured once before, with one seed, or None.
    """

    cell: str
    init: str
    times: np.ndarray
    log10_norms: Float[np.ndarray, "seeds times"]
    singular: tuple[float, float] | None
    keeps: float | None
    known: float | None

    @property
    def last(self) -> Float[np.ndarray, " seeds"]:
        """The log10 norms over all steps."""
        return self.log10_norms[:, -1]

    @property
    def mean(self) -> float:
        """Of them, over the seeds."""
        return float(self.last.mean())


def table(found: Sequence[Reach]) -> tables.Table:
    """What was found, a line a scheme."""
    header = [
        "cell, scheme",
        "singular values of W_h a gate, mean",
        "largest",
        "bias of the forget gate",
        "log10 norm",
        "one seed, measured before",
        "difference",
    ]
    rows = []
    for one in found:
        mean, largest = one.singular or (None, None)
        apart = None if one.known is None else difference(one)
        rows.append(
            [
                f"{one.cell}, {one.init}",
                number(mean, "{:.3f}"),
                number(largest, "{:.3f}"),
                number(one.keeps, "{:+.2f}"),
                said(one.last),
                number(one.known, "{:.1f}"),
                number(apart, "{:+.1f}"),
            ]
        )
    return tables.Table(header, rows)


def number(value: float | None, form: str) -> str:
    """A number in a form; a dash if there is none."""
    return "-" if value is None else form.format(value)


def difference(one: Reach) -> float:
    """The mean over seeds minus what was known, to a tenth; a zero has no minus."""
    return round(one.mean - (one.known or 0.0), 1) + 0.0


def said(values: Float[np.ndarray, " seeds"]) -> str:
    """The mean over seeds and its deviation; "-inf" if the norm of a seed is zero."""
    if np.isneginf(values).any():
        return "-inf"
    return tables.mean_and_deviation(values, "{:.2f}")


def findings(found: Sequence[Reach]) -> list[str]:
    """What the schemes do, and whether that is what was measured before."""
    cells = dict.fromkeys(one.cell for one in found)
    said = [title([one for one in found if one.cell == cell]) for cell in cells]
    return [
        *said,
        *compare_with_one_seed([one for one in found if one.known is not None]),
    ]


def title(found: Sequence[Reach]) -> str:
    """The finding of one cell: from where to where its schemes lead."""
    steps, cell = found[0].times[-1], found[0].cell
    ours = sorted(found, key=lambda one: np.nan_to_num(one.mean, nan=-np.inf))
    low, high = ours[0], ours[-1]
    if len(ours) == 1:
        return (
            f"At the start {cell}'s Jacobian over {steps} steps has a norm of "
            f"{power(low.mean)}"
        )
    if not low.last.max() < high.last.min():
        return (
            f"The seed decides as much as the scheme how far {cell}'s gradient reaches "
            f"over {steps} steps"
        )
    return (
        f"At the start {cell}'s Jacobian over {steps} steps has a norm of "
        f"{power(low.mean)} from {low.init}, of {power(high.mean)} from {high.init}"
    )


def power(log10: float) -> str:
    """A number by its logarithm.

    Args:
        log10: Its log10.

    Returns:
        Such as "1e-18.6".

    Example:
        >>> power(-18.63)
        '1e-18.6'
    """
    return f"1e{log10:+.1f}" if np.isfinite(log10) else "0"


def compare_with_one_seed(known: Sequence[Reach]) -> list[str]:
    """Whether the order of the schemes is that of one seed, and how far each is off.

    Two schemes are in order if they are so for every pair of seeds.
    """
    if not known:
        return []
    ours = sorted(known, key=lambda one: -(one.known or 0.0))
    pairs = [(a, b) for i, a in enumerate(ours) for b in ours[i + 1 :]]
    wrong = [(a, b) for a, b in pairs if b.last.min() > a.last.max()]
    right = [(a, b) for a, b in pairs if a.last.min() > b.last.max()]
    between = [pair for pair in pairs if pair not in wrong and pair not in right]
    order = " > ".join(one.init for one in ours)
    sentences = []
    if pairs:
        agrees = "agrees, where the seeds can tell," if between else "agrees"
        agrees = "disagrees" if wrong else agrees
        text = f"The order of the schemes {agrees} with that of one seed, {order}"
        for what, which in (("turned round", wrong), ("open between seeds", between)):
            if which:
                names = ", ".join(f"{a.init} and {b.init}" for a, b in which)
                text += f"; {what}: {names}"
        sentences.append(text + ".")
    apart = ", ".join(f"{o.init} {difference(o):+.1f}" for o in ours)
    return [*sentences, f"Mean over seeds minus that seed, in log10: {apart}."]


def draw(found: Sequence[Reach], caption: str) -> Plot:
    """log10 norms against steps, a panel a cell, a line a scheme.

    Args:
        found: What was found.
        caption: What was done, so that the figure can stand alone.

    Returns:
        A `Plot`.
    """
    names = list(dict.fromkeys(one.cell for one in found))
    inits = list(dict.fromkeys(one.init for one in found))
    figure, axes = plotting.figure("", columns=len(names))
    figure.set_size_inches(8.5 if len(names) == 1 else 5.5 * len(names), 5.6)
    width = int(figure.get_figwidth() * 8)
    ours = [[one for one in found if one.cell == name] for name in names]
    lines = [textwrap.fill(title(one), width) for one in ours[:3]]  # as room allows
    finding = "\n".join(lines)
    figure.suptitle(finding, fontweight="bold", fontsize=12)
    for axis, name, some in zip(axes, names, ours, strict=True):
        panel(axis, some, inits)
        axis.set(title=name, xlabel="steps t")
    axes[0].set_ylabel(r"$\log_{10} \|\partial s_t/\partial s_0\|$")
    return plotting.captioned(figure, finding, caption)


def panel(axis: Axes, found: Sequence[Reach], inits: Sequence[str]) -> None:
    """The lines of one cell, in the legend in the order in which they end."""
    for one in sorted(found, key=lambda one: -np.nan_to_num(one.mean, nan=-np.inf)):
        place = inits.index(one.init)
        colour = plotting.COLOURS[place % len(plotting.COLOURS)]
        style = plotting.STYLES[place // len(plotting.COLOURS) % len(plotting.STYLES)]
        values = np.where(np.isfinite(one.log10_norms), one.log10_norms, np.nan)
        label = f"{one.init}: {said(one.last)}"
        axis.plot(one.times, values.mean(axis=0), style, color=colour, label=label)
        low, high = values.min(axis=0), values.max(axis=0)
        axis.fill_between(one.times, low, high, color=colour, alpha=0.2, linewidth=0)
        if one.known is not None:
            place = one.times[-1:], [one.known]
            axis.plot(*place, "o", color=colour, mfc="white", clip_on=False, zorder=3)
    if any(one.known is not None for one in found):
        axis.plot(
            [], [], "o", color="0.3", mfc="white", label="one seed, measured before"
        )
    axis.axhline(0, color="0.3", linewidth=0.8, zorder=0)
    axis.set_xlim(0, found[0].times[-1])
    axis.legend(loc="lower left", fontsize=9)
