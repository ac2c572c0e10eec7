"""The table and the figure of remedies, each held against its claim."""

import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.harness import plotting, tables
from experiments.harness.claims import PARTLY_SUPPORTED, REFUTED, SUPPORTED
from experiments.harness.plotting import Plot
from train.data.adding import BASELINE

BLUE, RED = plotting.COLOURS[:2]
COLUMNS = 4
WORTH = 0.1  # of the error: by how much it has to fall to be spoken of


class Outcome(NamedTuple):
    """What became of a remedy's claim, over seeds.

    Attributes:
        remedy: Its name.
        claim: What it claims.
        quantity: What was measured.
        without: That, without the remedy, [seeds].
        with_it: The same with it.
        held: Whether the claim did.
        error_without: Mean squared error after training without the remedy.
        error_with: The same with it.
        note: What else was seen.
    """

    remedy: str
    claim: str
    quantity: str
    without: Float[np.ndarray, " seeds"]
    with_it: Float[np.ndarray, " seeds"]
    held: Bool[np.ndarray, " seeds"]
    error_without: Float[np.ndarray, " seeds"]
    error_with: Float[np.ndarray, " seeds"]
    note: str

    def of_seed(self, seed: int) -> dict[str, Any]:
        """The row of one seed."""
        row = self._asdict()
        return {k: v[seed] if isinstance(v, np.ndarray) else v for k, v in row.items()}


def counted(outcome: Outcome) -> str:
    """Outcome of the claim, with the number of seeds that support it."""
    count, seeds = int(outcome.held.sum()), len(outcome.held)
    word = SUPPORTED if count == seeds else REFUTED if count == 0 else PARTLY_SUPPORTED
    return f"{word}, {count} of {seeds} seeds"


def sentence(outcome: Outcome) -> str:
    """A sentence on one remedy."""
    return (
        f"{outcome.remedy} claims that {outcome.claim}: {counted(outcome)} "
        f"({outcome.quantity} {outcome.without.mean():.3g} -> "
        f"{outcome.with_it.mean():.3g}; {outcome.note}); test error "
        f"{outcome.error_without.mean():.4f} -> {outcome.error_with.mean():.4f}."
    )


def answer(outcomes: Sequence[Outcome]) -> str:
    """The number of remedies that change what they claim to change."""
    count = sum(bool(outcome.held.all()) for outcome in outcomes)
    return (
        f"{count} of {len(outcomes)} remedies change what they claim to change, in "
        "every seed."
    )


def title(outcomes: Sequence[Outcome]) -> str:
    """The finding: how many claims held, and whose error fell."""
    held = sum(bool(outcome.held.all()) for outcome in outcomes)
    better = [
        outcome.remedy
        for outcome in outcomes
        if (outcome.error_with < (1 - WORTH) * outcome.error_without).all()
    ]
    return (
        f"{held} of {len(outcomes)} remedies change what they claim to, in all seeds;\n"
        f"the error on the task falls by {100 * WORTH:.0f} % or more, in all seeds, "
        f"with {', '.join(better) or 'none of them'}"
    )


def table(outcomes: Sequence[Outcome]) -> tables.Table:
    """What was found, a line a remedy."""
    header = [
        "remedy",
        "measured",
        "without",
        "with",
        "claim",
        "test MSE without",
        "test MSE with",
    ]
    rows = [
        [
            o.remedy,
            o.quantity,
            tables.mean_and_deviation(o.without, "{:.4f}"),
            tables.mean_and_deviation(o.with_it, "{:.4f}"),
            counted(o),
            tables.mean_and_deviation(o.error_without, "{:.4f}"),
            tables.mean_and_deviation(o.error_with, "{:.4f}"),
        ]
        for o in outcomes
    ]
    return tables.Table(header, rows)


def draw(outcomes: Sequence[Outcome], caption: str) -> Plot:
    """A panel a remedy, and one of the errors."""
    panels = len(outcomes) + 1
    columns = min(COLUMNS, panels)
    lines = -(-panels // columns)
    size = (max(3.2 * columns, 7.5), 3.6 * lines + 1.2)
    with matplotlib.rc_context({"font.size": 9}):
        figure = Figure(figsize=size, dpi=110, layout="constrained")
        axes = figure.subplots(lines, columns, squeeze=False).ravel()
    finding = title(outcomes)
    figure.suptitle(finding, fontweight="bold", fontsize=12)
    for axis, outcome in zip(axes, outcomes, strict=False):
        draw_claim(axis, outcome)
    draw_errors(axes[len(outcomes)], outcomes)
    for axis in axes[panels:]:
        axis.axis("off")
    return plotting.captioned(
        figure,
        finding,
        caption,
        "The quantity that each remedy claims to change, without and with the remedy, "
        "one line per seed; and the error on the adding problem after training.",
    )


def draw_claim(axis: Axes, outcome: Outcome) -> None:
    """The claimed quantity, without and with: a line a seed, a bar the mean."""
    pairs = np.stack([outcome.without, outcome.with_it])
    axis.plot([0, 1], pairs, "-", color="0.6", linewidth=1)
    for x, (values, shade) in enumerate(zip(pairs, (RED, BLUE), strict=True)):
        axis.plot(np.full(len(values), x), values, "o", color=shade, markersize=6)
        axis.plot([x - 0.15, x + 0.15], [values.mean()] * 2, color="k", linewidth=2)
    axis.set(xlim=(-0.5, 1.5), xticks=[0, 1], xticklabels=["without", "with"])
    axis.set_ylim(bottom=0)
    axis.set_ylabel(outcome.quantity)
    axis.grid(axis="y", alpha=0.3)
    claim = textwrap.fill(f"{outcome.remedy}: {outcome.claim}", 36)
    axis.set_title(f"{claim}\n{counted(outcome)}", fontsize=9)


def draw_errors(axis: Axes, outcomes: Sequence[Outcome]) -> None:
    """The test error of every remedy, without and with, a mark a seed."""
    y = np.arange(len(outcomes))[:, None]
    kinds = (
        ("without", "error_without", RED, -0.15),
        ("with", "error_with", BLUE, 0.15),
    )
    for label, name, shade, shift in kinds:
        errors = np.stack([getattr(outcome, name) for outcome in outcomes])
        places = np.broadcast_to(y + shift, errors.shape)
        mark = "o" if name == "error_with" else "s"
        axis.plot(
            errors.ravel(), places.ravel(), mark, color=shade, markersize=5, label=label
        )
    axis.axvline(BASELINE, color="0.3", linestyle=":", label="saying 1: 1/6")
    axis.set_yticks(y[:, 0], [outcome.remedy for outcome in outcomes])
    axis.invert_yaxis()
    axis.set_xlim(left=0)
    axis.set(title="error on the adding problem", xlabel="test MSE after training")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=7, loc="best")
