"""The figure of deviations in units of their tolerance."""

from collections.abc import Sequence

from experiments.harness import plotting
from experiments.harness.plotting import Plot
from experiments.published import claims
from experiments.published.records import RunRecord


def draw(records: Sequence[RunRecord]) -> Plot:
    """Draw the deviation of every number, divided by its tolerance.

    Args:
        records: The runs, at least one number of which has a tolerance.

    Returns:
        A `Plot`.
    """
    rows = [row for row in claims.judged(records) if row["tolerance"]]
    finding = claims.answer(records).rstrip(".")
    figure = plotting.titled(finding, (9.0, 1.8 + 0.22 * len(rows)))
    axis = figure.subplots()
    axis.axvspan(-1, 1, color="0.9", label="within the tolerance")
    axis.axvline(0, color="0.4", linewidth=1)
    for place, row in enumerate(rows):
        unit, middle = row["tolerance"], row["deviation"]
        error = None
        if row.get("low") is not None and row.get("high") is not None:
            ends = row["measured"] - row["low"], row["high"] - row["measured"]
            error = [[end / unit] for end in ends]
        color = plotting.line_style(0 if row["within"] else 1)["color"]
        axis.errorbar([middle / unit], [place], xerr=error, fmt="o", color=color)
    names = [f"{row['setting']} ({row['source']})" for row in rows]
    axis.set_yticks(range(len(rows)), names, fontsize=7)
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xscale("symlog", linthresh=2)  # a number far outside hides no other
    axis.set_xlabel("deviation from the published number, divided by the tolerance")
    axis.legend(fontsize=8)
    return plotting.captioned(
        figure,
        finding,
        "Mean over seeds and its 95 % interval, where there are several seeds.",
    )
