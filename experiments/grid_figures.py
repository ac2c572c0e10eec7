"""The figure of a grid search: a line over one flag, heat maps over two and more."""

import itertools
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments import report
from experiments.verdicts import HOLDS, Interval, Judged, Verdict, judge

MOST_PANELS = 4


def draw(
    values: Sequence[dict[str, str]],
    scores: Sequence[np.ndarray],
    best: int | None,
    metric: str,
    goal: str,
    caption: str,
) -> Figure:
    """What every combination reached.

    Args:
        values: Each flag's value, of each combination.
        scores: [seeds] of each combination, nan where it diverged.
        best: Which is best, if one is.
        metric: What was measured.
        goal: "max" or "min", which of it is best.
        caption: What was done.

    Returns:
        The figure.
    """
    names = list(values[0])
    axes_values = {name: list(dict.fromkeys(v[name] for v in values)) for name in names}
    title = headline(values, scores, best, metric, goal)
    if len(names) == 1:
        figure, (axis,) = report.figure(title, columns=1)
        _line(axis, names[0], axes_values[names[0]], scores, metric)
    else:
        names.sort(key=lambda name: -len(axes_values[name]))  # the longest are the axes
        figure = _maps(names, axes_values, values, scores, best, metric, title)
    report.caption(figure, caption)
    return figure


def headline(
    values: Sequence[dict[str, str]],
    scores: Sequence[np.ndarray],
    best: int | None,
    metric: str,
    goal: str,
) -> str:
    """The finding: which is best, and than how many others it is better for sure."""
    if best is None:
        return "All combinations diverged"
    found, rest = against(scores, best, goal), ""
    if found:
        sure, others = found.parts.count(HOLDS), len(found.parts)
        rest = f";\nsurely better than {sure} of {others} others"
    flags = textwrap.fill(named(values[best]), 50)
    return f"Best: {flags}\n{metric} {said(scores[best])}{rest}"


def named(values: dict[str, str]) -> str:
    """A combination in words."""
    return ", ".join(f"{name} {value}" for name, value in values.items())


def against(scores: Sequence[np.ndarray], best: int | None, goal: str) -> Judged | None:
    """The best combination against each other, in turn.

    Args:
        scores: [seeds] of each combination, as many seeds in all but where it
            diverged, which is nan and worse than any number.
        best: Which is best, if one is.
        goal: "max" or "min".

    Returns:
        What is said of each of the others, and by how much the best is better; None if
        it has no others, or others of as many seeds.

    Example:
        >>> scores = [np.array([0.9, 0.91]), np.array([np.nan] * 2)]
        >>> against(scores, 0, "max").parts
        ['holds']
    """
    seeds = {len(one) for one in scores if finite(one)}
    if best is None or len(scores) < 2 or len(seeds) > 1:
        return None
    sign = 1 if goal == "max" else -1
    others = [one for i, one in enumerate(scores) if i != best]
    found = judge([sign * (scores[best] - one) for one in others if finite(one)])
    seen = iter(zip(found.parts, found.intervals, strict=True))
    diverged = HOLDS, Interval(np.inf, np.inf, np.inf)
    every = [next(seen) if finite(one) else diverged for one in others]
    return Judged([part for part, _ in every], [gain for _, gain in every])


def finite(scores: np.ndarray) -> bool:
    """Whether no seed has diverged."""
    return bool(np.isfinite(scores).all())


def verdicts(
    values: Sequence[dict[str, str]],
    scores: Sequence[np.ndarray],
    best: int | None,
    goal: str,
) -> list[Verdict]:
    """Whether the choice matters.

    Args:
        values: Each flag's value, of each combination.
        scores: [seeds] of each combination, nan where it diverged.
        best: Which is best, if one is.
        goal: "max" or "min".

    Returns:
        One verdict, on the best against each other, if they can be held against it.
    """
    found = against(scores, best, goal)
    if found is None or best is None:
        return []
    others = [one for i, one in enumerate(values) if i != best]
    nearest = int(np.argmin([gain.mean for gain in found.intervals]))
    least = found.intervals[nearest]
    why = (
        f"{named(values[best])} is best, next is {named(others[nearest])}; better by "
        f"{gained(least)} (all others are in the table)."
    )
    claim = (
        f"The choice of {' and '.join(values[best])} matters: the best combination is "
        "better than each of the others"
    )
    return [found.verdict(claim, why)]


def gained(gain: Interval) -> str:
    """By how much the best is better, in words."""
    return gain.text("{:+.4g}") if np.isfinite(gain.mean) else "all, as it diverged"


def said(scores: np.ndarray) -> str:
    """The mean over seeds, to as many digits as the deviation leaves.

    Args:
        scores: [seeds].

    Returns:
        "mean ± deviation"; "diverged" if a seed has.

    Example:
        >>> said(np.array([0.9368, 0.9572])), said(np.array([np.nan, 1.0]))
        ('0.947 ± 0.014', 'diverged')
    """
    if not np.isfinite(scores).all():
        return "diverged"
    spread = scores.std(ddof=1) if len(scores) > 1 else 0.0
    size = spread or abs(scores.mean()) / 100 or 1.0
    decimals = int(np.clip(1 - np.floor(np.log10(size)), 0, 9))
    return report.mean_and_deviation(scores, f"{{:.{decimals}f}}")


def _line(axis: Axes, name, choices, scores, metric) -> None:
    """The mean over one flag's values, and the range over seeds."""
    x = np.arange(len(choices))
    mean = np.array([one.mean() for one in scores])
    spread = [
        mean - [one.min() for one in scores],
        [one.max() for one in scores] - mean,
    ]
    axis.errorbar(x, mean, spread, fmt="o-", color=report.COLOURS[0], capsize=4)
    axis.set_xticks(x, choices)
    axis.set(xlabel=name, ylabel=f"{metric} (bars: range over seeds)")
    for place in x[~np.isfinite(mean)]:
        axis.annotate("diverged", (place, 0.02), xycoords=("data", "axes fraction"))


def _maps(names, choices, values, scores, best, metric, title) -> Figure:
    """A heat map over the first two flags, for each combination of the others."""
    across, down, *rest = names
    panels = list(itertools.product(*(choices[name] for name in rest)))
    shown = panels[:MOST_PANELS]
    figure, axes = report.figure(title, columns=len(shown))
    finite = [one.mean() for one in scores if np.isfinite(one).all()] or [0.0]
    limits = {"vmin": min(finite), "vmax": max(finite), "cmap": "cividis"}
    for axis, panel in zip(axes, shown, strict=True):
        grid = np.full((len(choices[down]), len(choices[across])), np.nan)
        axis.grid(False)
        for i, (value, one) in enumerate(zip(values, scores, strict=True)):
            if tuple(value[name] for name in rest) != panel:
                continue
            row = choices[down].index(value[down])
            column = choices[across].index(value[across])
            done = np.isfinite(one).all()
            grid[row, column] = one.mean() if done else np.nan
            dark = done and one.mean() < (limits["vmin"] + limits["vmax"]) / 2
            axis.text(
                column,
                row,
                said(one).replace(" ± ", "\n± "),
                ha="center",
                va="center",
                fontsize=9,
                fontweight="bold" if i == best else "normal",
                color="white" if dark else "black",
            )
        axis.imshow(grid, aspect="auto", **limits)
        axis.set_xticks(range(len(choices[across])), choices[across])
        axis.set_yticks(range(len(choices[down])), choices[down])
        axis.set(xlabel=across)
        axis.set_title(", ".join(f"{n} {v}" for n, v in zip(rest, panel, strict=True)))
    axes[0].set_ylabel(down)
    figure.colorbar(axes[0].images[0], ax=list(axes), label=metric)
    if len(shown) < len(panels):
        axes[-1].annotate(
            f"{len(panels) - len(shown)} more combinations of {', '.join(rest)} are in "
            "the table",
            (0, -0.2),
            xycoords="axes fraction",
            fontsize=8,
        )
    return figure
