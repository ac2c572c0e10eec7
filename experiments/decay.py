"""The table and the figure of how gradients decay over time."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from matplotlib.figure import Figure

from experiments import report
from nets import flow

NEVER = 1000  # times the sequence: what halves or doubles so slowly does neither


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
