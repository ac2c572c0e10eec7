"""The figure, the table and the verdicts of drawings that a judge reads."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from experiments import pictures, report
from experiments.verdicts import Interval, Verdict, interval, positive
from train.data.digits import Digits

GOAL = 0.8  # of the drawings, set before any was judged
REAL, SHOWN = 4, 5  # of each label, in the figure


class Drawn(NamedTuple):
    """Drawings at one temperature.

    Attributes:
        temperature: How freely they are drawn.
        images: Of every seed.
        right: The share that its judge reads as the label asked for, [seeds].
        variety: Deviation of pixels within a label, over that of held-out digits.
        distance: To the nearest training digit of the label, a pixel, [seeds].
    """

    temperature: float
    images: Float[np.ndarray, "seeds examples 8 8"]
    right: Float[np.ndarray, " seeds"]
    variety: Float[np.ndarray, " seeds"]
    distance: Float[np.ndarray, " seeds"]

    @property
    def name(self) -> str:
        """Such as "drawn, temperature 0.5"."""
        return f"drawn, temperature {self.temperature:g}"


class Judged(NamedTuple):
    """What drawings are held against.

    Attributes:
        real: The share of held-out digits that each judge reads right, [seeds].
        untrained: Of drawings of generators that have learned nothing.
        shuffled: Of drawings whose rows stand in another order.
        distance: Of held-out digits to the nearest training digit, [1].
        train_nll: What a row costs the generator, in nats, of training digits, [seeds].
        test_nll: The same of held-out digits.
        usual_nll: What a row of these costs whoever knows no row before it.
    """

    real: Float[np.ndarray, " seeds"]
    untrained: Float[np.ndarray, " seeds"]
    shuffled: Float[np.ndarray, " seeds"]
    distance: Float[np.ndarray, " 1"]
    train_nll: Float[np.ndarray, " seeds"]
    test_nll: Float[np.ndarray, " seeds"]
    usual_nll: float


def table(drawn: Sequence[Drawn], judged: Judged) -> report.Table:
    """What the judges read, a line a kind of digit."""
    header = [
        "digits",
        "read as the label, %",
        "variety, held-out = 1",
        "distance to the nearest training digit",
    ]
    near = f"{judged.distance[0]:.3f}"
    rows = [["held out, as written", percent(judged.real), "1", near]]
    rows += [
        [
            one.name,
            percent(one.right),
            report.mean_and_deviation(one.variety, "{:.2f}"),
            report.mean_and_deviation(one.distance, "{:.3f}"),
        ]
        for one in drawn
    ]
    rows.append([f"{drawn[0].name}, rows shuffled", percent(judged.shuffled), "", ""])
    rows.append(["drawn untrained", percent(judged.untrained), "", ""])
    return report.Table(header, rows)


def percent(shares: Float[np.ndarray, " seeds"]) -> str:
    """Mean and deviation over seeds."""
    return report.mean_and_deviation(100 * shares, "{:.1f}")


def verdicts(drawn: Sequence[Drawn], judged: Judged) -> list[Verdict]:
    """On whether drawings are read, and whether they are more than copies."""
    likeliest = min(drawn, key=lambda one: one.temperature)
    freest = max(drawn, key=lambda one: one.temperature)
    said = [
        goal(one, judged) for one in ((freest, likeliest) if len(drawn) > 1 else drawn)
    ]
    further = interval(freest.distance - judged.distance[0])
    said.append(
        Verdict(
            "Drawings are no copies: they are as far from the nearest training digit "
            "as digits of other writers are",
            positive(further),
            f"Root mean square a pixel, temperature {freest.temperature:g}: "
            f"{interval(freest.distance).text('{:.3f}')}, of held-out digits "
            f"{judged.distance[0]:.3f}.",
        )
    )
    return said


def goal(one: Drawn, judged: Judged) -> Verdict:
    """Whether drawings at a temperature are read as the label asked for."""
    share = interval(100 * one.right)
    over = Interval(*(value - 100 * GOAL for value in share))
    return Verdict(
        f"From a label alone a recurrent net draws digits that a CNN reads as that "
        f"label, {GOAL:.0%} of them, at temperature {one.temperature:g}",
        positive(over),
        f"{share.text('{:.1f}')} %; of digits as people wrote them "
        f"{interval(100 * judged.real).text('{:.1f}')} %, with rows shuffled "
        f"{100 * judged.shuffled.mean():.1f} %, untrained "
        f"{100 * judged.untrained.mean():.1f} %.",
    )


def costs(judged: Judged) -> str:
    """What a row costs, in a sentence."""
    return (
        f"A held-out row costs {interval(judged.test_nll).text('{:.2f}')} nats, a "
        f"training row {judged.train_nll.mean():.2f}; by the label's mean and "
        f"deviation of each pixel alone a held-out row costs {judged.usual_nll:.2f}."
    )


def title(drawn: Sequence[Drawn], judged: Judged) -> str:
    """The finding: the share that is read, at each temperature."""
    shares = ", ".join(
        f"{100 * one.right.mean():.0f} % at temperature {one.temperature:g}"
        for one in drawn
    )
    return (
        f"A CNN reads drawn digits as the label asked for: {shares};\n"
        f"it reads {100 * judged.real.mean():.0f} % of digits as people wrote them"
    )


def draw(
    drawn: Sequence[Drawn],
    judged: Judged,
    labels: np.ndarray,
    test: Digits,
    caption: str,
) -> Figure:
    """A row a label: digits as written, then drawings at each temperature.

    Args:
        drawn: At each temperature.
        judged: What they are held against.
        labels: Of the drawings.
        test: Held-out digits.
        caption: What was done, so that the figure can stand alone.

    Returns:
        The figure.
    """
    blocks = [("as written", REAL, test.images, test.labels)]
    blocks += [(one.name, SHOWN, one.images[0], labels) for one in drawn]
    columns = sum(count for _, count, _, _ in blocks) + len(drawn)
    room = title(drawn, judged) + "\n"  # for the words above the columns
    figure, axes = pictures.panels(room, 10, columns, side=0.55)
    for label, row in enumerate(axes):
        pictures.row_label(row[0], str(label))
        place = 0
        for name, count, images, which in blocks:
            some = images[which == label][:count]
            for axis, image in zip(row[place:], some, strict=False):
                pictures.show(axis, 1 - image, limits=(0, 1))
            if label == 0:
                words = row[place].text(
                    0, 1.25, name, transform=row[place].transAxes, fontsize=9
                )
                words.set_in_layout(False)  # or it would make its column wide
            place += count + 1
    report.caption(figure, caption)
    return figure
