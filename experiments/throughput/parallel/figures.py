"""The figure, the table and the answer of layers in parallel over time."""

from collections.abc import Mapping, Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.harness import plotting
from experiments.harness.plotting import Plot
from experiments.harness.tables import Table
from experiments.throughput import ratios
from experiments.throughput.parallel.measure import (
    BATCH,
    PUBLISHED,
    Description,
)
from experiments.throughput.rows import Row, timed
from experiments.throughput.workers.contenders import NEWTON, OURS
from experiments.throughput.workers.jobs import FORWARD, TRAIN, Job

Setting = tuple[str, int, int, int]  # layer, batch, inputs, units


def setting(job: Job) -> Setting:
    """All of a job but its steps and program."""
    return job.layer, job.batch, job.inputs, job.features


def words(key: Setting) -> str:
    """A setting in words.

    Example:
        >>> words(("gru", 16, 1, 1))
        'gru, 1 unit, 16 sequences'
    """
    layer, batch, _, features = key
    counts = [
        f"{number} {noun}{'s' * (number > 1)}"
        for number, noun in ((features, "unit"), (batch, "sequence"))
    ]
    return ", ".join([layer, *counts])


def times(rows: Sequence[Row]) -> dict[tuple[Setting, str], dict[int, dict]]:
    """Shortest times by setting and program, then by steps and contender.

    Args:
        rows: All rows.

    Returns:
        Seconds.
    """
    found: dict[tuple[Setting, str], dict[int, dict]] = {}
    for row in timed(rows):
        by_steps = found.setdefault((setting(row.job), row.job.program), {})
        by_steps.setdefault(row.job.time, {})[row.contender] = row.least
    return found


def crossovers(rows: Sequence[Row]) -> Table:
    """Fewest steps from which each contender stays faster than the loop.

    Args:
        rows: All rows.

    Returns:
        A `Table`, one row per setting and program.
    """
    names = [name for name in ratios.contenders(rows) if name != OURS]
    lines = []
    for (key, program), by_steps in times(rows).items():
        line = [f"{words(key)}, {program}"]
        for name in names:
            if not any(name in some for some in by_steps.values()):
                line.append("")
                continue
            steps = ratios.crossover(by_steps, name)
            line.append(f"over {max(by_steps):,}" if steps is None else f"{steps:,}")
        lines.append(line)
    return Table(["layer, size, program", *names], lines)


def descriptions(rows: Sequence[Row], described: Mapping[Job, Description]) -> Table:
    """State, exponent and iterations of each job.

    Args:
        rows: All rows.
        described: Descriptions by job.

    Returns:
        A `Table`, one row per job.
    """
    names = [*dict.fromkeys(n for d in described.values() for n in d.iterations)]
    lines = []
    for job in dict.fromkeys(row.job for row in rows if row.job in described):
        known = described[job]
        iterations = [str(known.iterations.get(name, "")) for name in names]
        line = [f"{job.layer} {job.size} {job.program}", str(known.state)]
        lines.append([*line, f"{known.exponent:+.3f}", *iterations])
    header = ["layer, size, program", "state n", "exponent, nats/step"]
    return Table([*header, *(f"iterations of {name}" for name in names)], lines)


def answer(rows: Sequence[Row]) -> str:
    """The largest ratio of each contender, in one sentence.

    Args:
        rows: All rows.

    Returns:
        The sentence.
    """
    parts = []
    for name in (name for name in ratios.contenders(rows) if name != OURS):
        best = max(
            (
                (some[OURS] / some[name], steps, key, program)
                for (key, program), by_steps in times(rows).items()
                for steps, some in by_steps.items()
                if OURS in some and name in some
            ),
            default=None,
        )
        if best is not None:
            ratio, steps, key, program = best
            parts.append(
                f"{name.removeprefix('ours, ')} {ratio:.3g} times as fast ({program}, "
                f"{words(key)}, T = {steps:,})"
            )
    if not parts:
        return "No job was timed in parallel over time and in a loop."
    return f"Compared with the loop, at best: {'; '.join(parts)}."


def draw(rows: Sequence[Row], caption: str) -> Plot:
    """Draw how much faster than the loop each contender is, against the steps.

    Args:
        rows: All rows.
        caption: Setting of the run.

    Returns:
        A `Plot`, one column per setting, one row per program.
    """
    all_times = times(rows)
    settings = list(dict.fromkeys(key for key, _ in all_times))
    programs = [p for p in (FORWARD, TRAIN) if any(q == p for _, q in all_times)]
    names = [name for name in ratios.contenders(rows) if name != OURS]
    finding = answer(rows)
    size = 1.5 + 2.6 * len(settings), 1.5 + 2.8 * len(programs)
    figure: Figure = plotting.titled(finding, (max(size[0], 7.0), size[1]))
    with matplotlib.rc_context({"font.size": 8}):
        panels = figure.subplots(
            len(programs), len(settings), squeeze=False, sharex=True, sharey=True
        )
    for line, program in zip(panels, programs, strict=True):
        for panel, key in zip(line, settings, strict=True):
            _draw_panel(panel, all_times.get((key, program), {}), names)
            layer, batch, _, features = key
            if (layer, batch, features) == ("gru", BATCH, 1):
                known = PUBLISHED[program]
                style = {"color": "k", "mfc": "none", "label": "published, V100"}
                panel.plot(list(known), list(known.values()), "s:", **style)
            panel.set_title(f"{words(key)}\n{ratios.WORDS[program]}", fontsize=8)
        line[0].set_ylabel("time of the loop / time")
    handles = {}
    for panel in panels.ravel():
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.legend(
        list(handles.values()), list(handles), loc="outside right upper", fontsize=8
    )
    for panel in panels[-1]:
        panel.set_xlabel("steps T")
    return plotting.captioned(figure, finding, caption)


def _draw_panel(
    panel: Axes, by_steps: Mapping[int, Mapping[str, float]], names: Sequence[str]
) -> None:
    """Draw the ratios of one setting and program."""
    for i, name in enumerate(names):
        steps = [t for t, some in sorted(by_steps.items()) if {OURS, name} <= {*some}]
        ratio = [by_steps[t][OURS] / by_steps[t][name] for t in steps]
        if steps:
            style = plotting.line_style(i)
            panel.plot(steps, ratio, "o", ms=4, label=name, **style)
    panel.axhline(1, color="0.3", linewidth=0.8)
    panel.set(xscale="log", yscale="log")
    panel.grid(alpha=0.3)


def published(rows: Sequence[Row]) -> list[str]:
    """A sentence that compares the GRU of one unit with the published ratios.

    Args:
        rows: All rows.

    Returns:
        One sentence; none if no such size was timed.
    """
    parts = []
    for (key, program), by_steps in times(rows).items():
        layer, batch, _, features = key
        for steps, some in sorted(by_steps.items()):
            known = PUBLISHED[program].get(steps)
            if (layer, batch, features) != ("gru", BATCH, 1) or known is None:
                continue
            if OURS in some and NEWTON in some:
                here = some[OURS] / some[NEWTON]
                parts.append(f"T = {steps:,} {program} {here:.3g} ({known})")
    if not parts:
        return []
    return [
        "The loop over Newton's method, a GRU of one unit, 16 sequences, here "
        f"(published, on a V100): {', '.join(parts)}."
    ]
