"""The figure, the table and the claims of drawings that a judge reads."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from experiments.harness import plotting, tables
from experiments.harness.claims import (
    INCONCLUSIVE,
    PARTLY_SUPPORTED,
    REFUTED,
    SUPPORTED,
    Claim,
    judge,
    positive,
)
from experiments.harness.intervals import interval
from experiments.harness.plotting import Plot
from train.data.digits import Digits

GOAL = 0.8  # of the drawings
WRITTEN, SHOWN = 4, 5  # of each label, in the figure
REAL, BLIND, MIXED, SHUFFLED, UNTRAINED = (
    "real",
    "blind",
    "mixed",
    "shuffled",
    "untrained",
)


class Drawn(NamedTuple):
    """Digits of one kind.

    Attributes:
        name: Of the kind.
        temperature: How freely they are drawn; None for controls.
        images: Of every seed.
        right: The share that its judge reads as the label, [seeds].
        variety: Deviation of pixels within a label, over that of held-out digits.
        distance: To the nearest training digit of the label, a pixel, [seeds].
        test_nll: What a held-out row costs the generator, in nats, or None.
    """

    name: str
    temperature: float | None
    images: Float[np.ndarray, "seeds examples 8 8"]
    right: Float[np.ndarray, " seeds"]
    variety: Float[np.ndarray, " seeds"]
    distance: Float[np.ndarray, " seeds"]
    test_nll: Float[np.ndarray, " seeds"] | None


def table(found: Sequence[Drawn]) -> tables.Table:
    """What the judges read, a line a kind of digit."""
    header = [
        "digits",
        "read as the label, %",
        "variety, held-out = 1",
        "distance to the nearest training digit",
        "a held-out row, nats",
    ]
    rows = [
        [
            one.name,
            tables.mean_and_deviation(100 * one.right, "{:.1f}"),
            tables.mean_and_deviation(one.variety, "{:.2f}"),
            tables.mean_and_deviation(one.distance, "{:.3f}"),
            "-"
            if one.test_nll is None
            else tables.mean_and_deviation(one.test_nll, "{:.2f}"),
        ]
        for one in found
    ]
    return tables.Table(header, rows)


ANSWERS = {  # by the outcome of `goal`
    SUPPORTED: "Yes: a CNN reads most drawn digits as the label that was asked for.",
    PARTLY_SUPPORTED: "At some temperatures: there a CNN reads most drawn digits as "
    "the label that was asked for.",
    INCONCLUSIVE: "The seeds do not decide whether a CNN reads enough of the drawn "
    "digits as the label that was asked for.",
    REFUTED: "No: a CNN reads too few drawn digits as the label that was asked for.",
}


def evaluate_claims(
    drawn: Sequence[Drawn], controls: Mapping[str, Drawn]
) -> list[Claim]:
    """On whether drawings are read, what sight of the rows adds, and on copies."""
    return [
        goal(drawn, controls),
        sight(drawn[0], controls[BLIND]),
        copies(drawn, controls[REAL]),
    ]


def goal(drawn: Sequence[Drawn], controls: Mapping[str, Drawn]) -> Claim:
    """Whether drawings at every temperature are read as the label asked for."""
    found = judge(
        [100 * one.right for one in drawn], partial(positive, threshold=100 * GOAL)
    )
    shares = ", ".join(
        f"{one.name} {share.text('{:.1f}')} % (their variety {one.variety.mean():.2f} "
        "of held-out digits')"
        for one, share in zip(drawn, found.intervals, strict=True)
    )
    others = ", ".join(
        f"{other.name} {100 * other.right.mean():.1f} %" for other in controls.values()
    )
    return found.claim(
        "From a label alone a recurrent net draws digits that a CNN reads as that "
        f"label, {GOAL:.0%} of them, at every temperature",
        f"{shares}; {others}. The CNN reads digits whose rows do not fit as well "
        "as digits whose rows do, so this says nothing of how well they are drawn.",
    )


def sight(seeing: Drawn, blind: Drawn) -> Claim:
    """Whether a net does better for seeing the rows before."""
    assert seeing.test_nll is not None and blind.test_nll is not None
    found = judge(
        [blind.test_nll - seeing.test_nll, 100 * (seeing.right - blind.right)]
    )
    nats, points = found.intervals
    return found.claim(
        "Each row is drawn to fit the rows before: a net that sees them finds rows "
        "that people wrote likelier, and its drawings are read more often",
        f"Seeing minus blind, seed by seed: {nats.text('{:+.2f}')} nats a held-out "
        f"row; at temperature {seeing.temperature:g}, {points.text('{:+.1f}')} points "
        f"read; they lie at {seeing.distance.mean():.3f} a pixel from the nearest "
        f"training digit, the blind one's at {blind.distance.mean():.3f}.",
    )


def copies(drawn: Sequence[Drawn], real: Drawn) -> Claim:
    """Whether drawings are as far from what was learned as digits of others."""
    numbers = ", ".join(
        f"{one.name} {interval(one.distance).text('{:.3f}')}" for one in drawn
    )
    return judge([one.distance - real.distance for one in drawn]).claim(
        "Drawings are no copies: they are as far from the nearest training digit as "
        "digits of other writers are, at every temperature",
        f"Root mean square a pixel: {numbers}; as written {real.distance[0]:.3f}.",
    )


def title(drawn: Sequence[Drawn], real: Drawn) -> str:
    """The finding: the share that is read, at each temperature."""
    shares = ", ".join(
        f"{100 * one.right.mean():.0f} % at temperature {one.temperature:g}"
        for one in drawn
    )
    return (
        f"A CNN reads drawn digits as the label asked for: {shares};\n"
        f"it reads {100 * real.right.mean():.0f} % of digits as people wrote them"
    )


def draw(
    drawn: Sequence[Drawn],
    controls: Mapping[str, Drawn],
    labels: np.ndarray,
    test: Digits,
    caption: str,
) -> Plot:
    """A row a label: digits as written, then drawings at each temperature.

    Args:
        drawn: At each temperature.
        controls: What they are held against.
        labels: Of the drawings.
        test: Held-out digits.
        caption: What was done, so that the figure can stand alone.

    Returns:
        A `Plot`.
    """
    blocks = [("as written", WRITTEN, test.images, test.labels)]
    blocks += [(one.name, SHOWN, one.images[0], labels) for one in drawn]
    columns = sum(count for _, count, _, _ in blocks) + len(drawn)
    finding = title(drawn, controls[REAL])
    room = finding + "\n"  # for the words above the columns
    figure, axes = plotting.panels(room, 10, columns, side=0.55)
    for label, row in enumerate(axes):
        plotting.row_label(row[0], str(label))
        place = 0
        for name, count, images, which in blocks:
            some = images[which == label][:count]
            for axis, image in zip(row[place:], some, strict=False):
                plotting.show(axis, 1 - image, limits=(0, 1))
            if label == 0:
                words = row[place].text(
                    0, 1.25, name, transform=row[place].transAxes, fontsize=9
                )
                words.set_in_layout(False)  # or it would make its column wide
            place += count + 1
    return plotting.captioned(figure, finding, caption)
