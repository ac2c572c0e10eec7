"""The figure of the times."""

from collections.abc import Sequence

from experiments.harness import plotting
from experiments.harness.plotting import Plot
from experiments.throughput.study.claims import answer, of_contender
from experiments.throughput.study.measure import CONTENDERS, STUDY, Times, best


def draw(times: Sequence[Times], caption: str) -> Plot:
    """Draw the time of a step against the number of models, one panel per cell.

    Args:
        times: All times.
        caption: Setting of the run.

    Returns:
        A `Plot`.
    """
    finding = answer(times).rstrip(".")
    studies = of_contender(times, STUDY)
    cells = list(dict.fromkeys(study.cell for study in studies))
    figure, axes = plotting.figure(finding, columns=len(cells))
    figure.set_size_inches(1.5 + 3.7 * len(cells), 5)
    for axis, cell in zip(axes, cells, strict=True):
        members = sorted({t.members for t in studies if t.cell == cell})
        for i, contender in enumerate(CONTENDERS):
            points = [
                (count, 1e3 * fastest.seconds.min())
                for count in members
                if (fastest := best(times, cell, count, contender))
            ]
            if points:
                x, y = zip(*points, strict=True)
                axis.plot(x, y, label=contender, marker="o", **plotting.line_style(i))
        axis.set(xscale="log", yscale="log", title=cell, xlabel="models in the study")
        axis.set_xticks(members, [str(count) for count in members])
        axis.minorticks_off()
    axes[0].set_ylabel("time of a step of all models (ms)")
    plotting.legend(figure, axes[0], len(CONTENDERS))
    return plotting.captioned(figure, finding, caption)
