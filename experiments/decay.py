"""The table and the figure of how gradients decay over time."""

import itertools
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from matplotlib.figure import Figure

from experiments import report
from experiments.verdicts import FAILS, HOLDS, OPEN, Interval, Verdict, judge, within
from nets import flow

NEVER = 1000  # times the sequence: what halves or doubles so slowly does neither
SAME = np.log(2)  # nats, over a whole sequence, by which decays may differ and be alike


class Study(NamedTuple):
    """What was found of one cell in one direction, over seeds.

    Attributes:
        label: The cell, and the direction if there are two.
        parameters: Of the whole model.
        accuracy: Test accuracy after training, from 0 to 1, [seeds].
        before: ln |dL/ds_t| by reading step, at initialisation, [seeds, time].
        after: The same after training.
        seconds_per_step: Of a training step of all seeds together.
    """

    label: str
    parameters: int
    accuracy: Float[np.ndarray, " seeds"]
    before: Float[np.ndarray, "seeds time"]
    after: Float[np.ndarray, "seeds time"]
    seconds_per_step: float


def rate(log_norms: Array | np.ndarray) -> np.ndarray:
    """Nats a step, of every seed, from [seeds, time]."""
    return np.asarray(flow.decay_rate(jnp.asarray(log_norms).T))


def table(studies: list[Study]) -> report.Table:
    """What was found, a line a study."""
    header = [
        "cell",
        "parameters",
        "test accuracy, %",
        "decay before, nats/step",
        "decay after, nats/step",
        "half-life before, steps",
        "half-life after, steps",
        "reach before, steps",
        "reach after, steps",
        "ms/step, all seeds",
    ]
    rows = [
        [
            study.label,
            f"{study.parameters:,}",
            report.mean_and_deviation(100 * study.accuracy, "{:.1f}"),
            report.mean_and_deviation(rate(study.before), "{:+.3f}"),
            report.mean_and_deviation(rate(study.after), "{:+.3f}"),
            halving(study.before),
            halving(study.after),
            reach(study.before),
            reach(study.after),
            f"{1e3 * study.seconds_per_step:.1f}",
        ]
        for study in studies
    ]
    return report.Table(header, rows)


def reach(log_norms: np.ndarray) -> str:
    """Steps until the gradient has fallen to 1e-3, the median over seeds, as words."""
    steps = np.median(flow.reach(jnp.asarray(log_norms).T))
    return f"{steps:.0f}" if np.isfinite(steps) else f"over {log_norms.shape[-1] - 1}"


def halving(log_norms: np.ndarray) -> str:
    """The half-life at the mean decay rate, as words."""
    mean = rate(log_norms).mean()
    steps = float(flow.half_life(jnp.asarray(mean)))
    if not steps < NEVER * log_norms.shape[-1]:
        return "none"
    return f"{steps:.1f}" if mean > 0 else f"{steps:.1f} (grows)"


def verdicts(studies: list[Study], directions: int = 1) -> list[Verdict]:
    """Whether every two cells differ in how fast their gradients decay.

    Args:
        studies: What was found, the directions of a cell in turn.
        directions: How many a cell has; a cell is held against others in the same.

    Returns:
        Two verdicts on all pairs, before and after training; none if there is no pair.
    """
    pairs = [
        pair
        for i in range(directions)
        for pair in itertools.combinations(studies[i::directions], 2)
    ]
    if not pairs:
        return []
    return [differ(pairs, when) for when in ("before", "after")]


def differ(pairs: list[tuple[Study, Study]], when: str) -> Verdict:
    """Whether the cells of each pair differ, before or after training."""
    tolerance = float(SAME / (pairs[0][0].before.shape[-1] - 1))
    cases = [rate(getattr(a, when)) - rate(getattr(b, when)) for a, b in pairs]
    found = judge(cases, lambda apart: unlike(apart, tolerance))
    names = (f"{one.label} - {other.label}" for one, other in pairs)
    numbers = found.text(names, "{:+.3f}")
    return found.verdict(
        f"{when.capitalize()} training, every two cells differ in how far back their "
        "gradient reaches, by more than a factor of two over the sequence",
        f"Rates of decay, one minus the other's, in nats a step (a factor of two is "
        f"{tolerance:.3f}): {numbers}.",
    )


def unlike(difference: Interval, tolerance: float) -> str:
    """Whether a difference of either sign is more than a tolerance.

    Example:
        >>> unlike(Interval(-1, -1.1, -0.9), 0.2), unlike(Interval(0, -0.1, 0.1), 0.2)
        ('holds', 'does not hold')
    """
    alike = within(difference, tolerance)
    return {HOLDS: FAILS, FAILS: HOLDS}.get(alike, OPEN)


def draw(
    studies: list[Study], order: str, caption: str, bidirectional: bool = False
) -> Figure:
    """|dL/ds_t| against the reading step, before and after training.

    Args:
        studies: What was found; of a bidirectional layer two in turn, forward first.
        order: What a step reads, in a word.
        caption: What was done, so that the figure can stand alone.
        bidirectional: Whether there are two a cell.

    Returns:
        The figure.
    """
    panels = {"before": "before training", "after": "after training"}
    figure, axes = report.figure(title(studies), columns=len(panels))
    for axis, (when, name) in zip(axes, panels.items(), strict=True):
        for i, study in enumerate(studies):
            log_norms = getattr(study, when)
            label = f"{study.label}: half-life {halving(log_norms)}"
            cell, direction = divmod(i, 2) if bidirectional else (i, 0)
            report.band(axis, np.exp(log_norms), label, cell, dashed=direction == 1)
        positive = any((getattr(s, when) > -np.inf).any() for s in studies)
        axis.set(title=name, yscale="log" if positive else "linear")
        axis.set_xlabel(f"step t, reading {order} (the loss is at the right end)")
        if len(studies) <= len(report.COLOURS):
            axis.legend()
        else:  # it would cover the lines: put it below them
            axis.legend(
                loc="upper center",
                bbox_to_anchor=(0.5, -0.12),
                ncols=2,
                fontsize=8,
                handlelength=3,
            )
            figure.set_figheight(5 + 0.1 * len(studies))
    axes[0].set_ylabel(r"norm of the state's gradient, $\|\partial L/\partial s_t\|$")
    report.caption(figure, caption)
    return figure


def title(studies: list[Study]) -> str:
    """The finding: whose gradient decays slowest, if that does not hang on the seed."""
    before, after = slowest(studies, "before"), slowest(studies, "after")
    return f"Before training, {before};\nafter training, {after}"


def slowest(studies: list[Study], when: str) -> str:
    """Whose gradient decays slowest, or grows fastest, before or after training."""
    rates = [np.nan_to_num(rate(getattr(s, when)), nan=np.inf) for s in studies]
    best = int(np.argmin([one.mean() for one in rates]))
    others = np.concatenate([[np.inf], *rates[:best], *rates[best + 1 :]])
    label, log_norms = studies[best].label, getattr(studies[best], when)
    if len(studies) == 1:
        return f"{label}'s gradient has a half-life of {halving(log_norms)} steps"
    one = " in the one seed" if len(log_norms) == 1 else ""
    if rates[best].max() < others.min():
        steps = halving(log_norms).split()[0]
        if rates[best].mean() < 0:
            return (
                f"{label}'s gradient grows fastest (doubling every {steps} steps{one})"
            )
        return f"{label}'s gradient decays slowest (half-life {steps} steps{one})"
    return "the gradients' rates of decay overlap over the seeds"
