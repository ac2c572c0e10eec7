"""The figure of drawn digits."""

from collections.abc import Mapping, Sequence

import numpy as np

from experiments.draw_digits.claims import title
from experiments.draw_digits.controls import REAL
from experiments.draw_digits.measure import DigitsResult
from experiments.harness import plotting
from experiments.harness.plotting import Plot
from train.data.digits import Digits

WRITTEN, SHOWN = 4, 5  # held-out and drawn digits per label in the figure


def draw(
    drawn: Sequence[DigitsResult],
    controls: Mapping[str, DigitsResult],
    labels: np.ndarray,
    test: Digits,
    caption: str,
) -> Plot:
    """Draw one row per label: held-out digits, then drawings at each temperature.

    Args:
        drawn: Drawings, one result per temperature.
        controls: Digits that the drawings are compared with.
        labels: Labels of the drawings.
        test: Held-out digits.
        caption: Description of the experiment.

    Returns:
        A `Plot`.
    """
    blocks = [("handwritten", WRITTEN, test.images, test.labels)]
    blocks += [(result.name, SHOWN, result.images[0], labels) for result in drawn]
    columns = sum(count for _, count, _, _ in blocks) + len(drawn)
    finding = title(drawn, controls[REAL])
    heading = finding + "\n"  # room for the headings of the columns
    figure, axes = plotting.panels(heading, 10, columns, side=0.55)
    for label, row in enumerate(axes):
        plotting.row_label(row[0], str(label))
        place = 0
        for name, count, images, all_labels in blocks:
            shown = images[all_labels == label][:count]
            for axis, image in zip(row[place:], shown, strict=False):
                plotting.show(axis, 1 - image, limits=(0, 1))
            if label == 0:
                words = row[place].text(
                    0, 1.25, name, transform=row[place].transAxes, fontsize=9
                )
                words.set_in_layout(False)  # else the text would widen its column
            place += count + 1
    return plotting.captioned(figure, finding, caption)
