"""Ratios of times: those of contenders divided by that of this library."""

from collections.abc import Mapping, Sequence

from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from experiments.harness import plotting
from experiments.harness.plotting import Plot
from experiments.harness.tables import Table
from experiments.throughput.rows import Row
from experiments.throughput.workers.contenders import (
    AS_HAIKU,
    ASSOCIATIVE,
    OURS,
    PARALLEL,
)
from experiments.throughput.workers.jobs import DEFAULT, FORWARD, TRAIN, Job

Group = dict[str, Row]
# A color of each of up to ten contenders: wine, olive and gray of Paul Tol's palettes.
COLORS = *plotting.COLORS, "#882255", "#999933", "#999999"
WORDS = {FORWARD: "forward pass", TRAIN: "train step"}
SAME = {"haiku": AS_HAIKU, ASSOCIATIVE: PARALLEL}  # equations, and parallel scans


def by_job(rows: Sequence[Row]) -> dict[Job, Group]:
    """Rows by job, and by the name of the contender.

    Args:
        rows: All rows.

    Returns:
        Groups of rows that can be compared.
    """
    groups: dict[Job, Group] = {}
    for row in rows:
        groups.setdefault(row.job, {})[row.contender] = row
    return groups


def ratio(group: Group, contender: str) -> float | None:
    """Shortest time of a contender, divided by that of this library.

    Args:
        group: Rows of a job.
        contender: Name of the contender; `SAME` has what it is compared with if that
            was timed too.

    Returns:
        A number above 1 if this library is faster; None if one was not timed.
    """
    ours = SAME[contender] if SAME.get(contender) in group else OURS
    there = [group.get(name) for name in (contender, ours)]
    if any(row is None or not len(row.seconds) for row in there):
        return None
    slow, fast = (row.least for row in there if row is not None)
    return slow / fast


def ratios(
    groups: dict[Job, Group], contender: str, program: str = TRAIN
) -> dict[Job, float]:
    """The ratios of a contender, by job.

    Args:
        groups: Rows by job.
        contender: Name of the contender.
        program: Program of the jobs.

    Returns:
        Ratios of the jobs in which it was timed.
    """
    found = {
        job: ratio(group, contender)
        for job, group in groups.items()
        if job.program == program
    }
    return {job: value for job, value in found.items() if value is not None}


def contenders(rows: Sequence[Row]) -> list[str]:
    """Names of the contenders that were timed at least once, in order."""
    return list(dict.fromkeys(row.contender for row in rows if len(row.seconds)))


def table(rows: Sequence[Row]) -> Table:
    """Milliseconds of a step, least and median, and the ratio to this library.

    Args:
        rows: All rows.

    Returns:
        A `Table`, one row per job, one column per contender.
    """
    names = contenders(rows)
    lines = []
    for job, group in by_job(rows).items():
        line = [" ".join(part for part in _words(job) if part)]
        for name in names:
            row, times = group.get(name), ""
            if row is not None and len(row.seconds):
                median = sorted(row.seconds)[len(row.seconds) // 2]
                times = f"{1e3 * row.least:.3g}, {1e3 * median:.3g}"
                value = ratio(group, name)
                if name != OURS and value is not None:
                    times += f" ({value:.2f})"
            line.append(times)
        lines.append(line)
    return Table(["layer, size, program", *names], lines)


def costs(rows: Sequence[Row]) -> Table:
    """Compilation in seconds and memory in MB, in the manner of `table`.

    Args:
        rows: All rows.

    Returns:
        A `Table`.
    """
    names = contenders(rows)
    lines = []
    for job, group in by_job(rows).items():
        line = [" ".join(part for part in _words(job) if part)]
        for name in names:
            row = group.get(name)
            known = row is not None and len(row.seconds) > 0
            cost = (row.compile_seconds, row.bytes / 1e6) if known and row else ()
            line.append(", ".join("" if c != c else f"{c:.3g}" for c in cost))
        lines.append(line)
    return Table(["layer, size, program", *names], lines)


def _words(job: Job) -> list[str]:
    """The name of a job, in words."""
    precision = "" if job.precision == DEFAULT else job.precision
    return [job.layer, job.size, job.program, precision]


def refusals(rows: Sequence[Row]) -> list[str]:
    """Sentences about the contenders that were not timed.

    Args:
        rows: All rows.

    Returns:
        One sentence per contender and reason, with the number of its rows.
    """
    reasons: dict[tuple[str, str], list[Job]] = {}
    for row in rows:
        if row.error:
            reasons.setdefault((row.contender, row.error), []).append(row.job)
    return [
        f"{name} was not timed ({jobs[0].layer} {jobs[0].size} {jobs[0].program}"
        + (f" and {len(jobs) - 1} more" if len(jobs) > 1 else "")
        + f"): {reason.rstrip('.')}."
        for (name, reason), jobs in reasons.items()
    ]


def late(jobs: Sequence[Job], minutes: float) -> list[str]:
    """A sentence about the jobs that were not run.

    Args:
        jobs: The jobs.
        minutes: Time after which no job was started.

    Returns:
        One sentence; none if all were run.
    """
    if not jobs:
        return []
    names = (f"{j.layer} {j.size} {j.program} {j.precision}" for j in jobs)
    return [f"Not run within {minutes:g} minutes: {', '.join(names)}."]


def crossover(times: Mapping[int, Mapping[str, float]], contender: str) -> int | None:
    """Fewest steps from which a contender stays faster than the loop.

    Args:
        times: Times by number of steps and by the name of the contender.
        contender: Name of the contender.

    Returns:
        A number of steps that was measured; None if the loop is faster at the most.

    Example:
        >>> times = {10: {"ours": 1.0, "x": 2.0}, 100: {"ours": 3.0, "x": 2.5}}
        >>> crossover(times, "x")
        100
    """
    first = None
    for steps, some in sorted(times.items()):
        if contender not in some or OURS not in some or some[contender] >= some[OURS]:
            first = None
        elif first is None:
            first = steps
    return first


def draw(rows: Sequence[Row], shown: Sequence[str], finding: str, caption: str) -> Plot:
    """Draw ratios against sizes on a log axis, one panel per layer.

    Args:
        rows: All rows; the train steps at default precision are drawn, or the forward
            passes if there are none.
        shown: Names of the contenders to draw.
        finding: Title.
        caption: Setting of the run.

    Returns:
        A `Plot`.
    """
    groups = {j: g for j, g in by_job(rows).items() if j.precision == DEFAULT}
    programs = {job.program for job in groups}
    program = TRAIN if TRAIN in programs else min(programs)
    layers = list(dict.fromkeys(job.layer for job in groups if job.program == program))
    figure = plotting.titled(finding, (3.0 + 2.8 * len(layers), 5.5))
    panels = figure.subplots(1, len(layers), sharey=True, squeeze=False)[0]
    lines = {}
    for panel, layer in zip(panels, layers, strict=True):
        some = [j for j in groups if (j.layer, j.program) == (layer, program)]
        for i, name in enumerate(shown):
            values = [ratio(groups[job], name) for job in some]
            points = [(x, y) for x, y in enumerate(values) if y is not None]
            if points:
                x, y = zip(*points, strict=True)
                color = COLORS[i % len(COLORS)]
                (lines[name],) = panel.plot(x, y, "o-", label=name, color=color)
        panel.axhline(1.0, color="0.3", linewidth=1)
        panel.set(yscale="log", title=plotting.written(layer))
        panel.grid(alpha=0.3)
        sizes = [job.size for job in some]
        panel.set_xticks(range(len(some)), sizes, rotation=60, ha="right", fontsize=7)
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        panel.yaxis.set_minor_locator(NullLocator())
    panels[0].set_ylabel(f"time of a {WORDS[program]} divided by ours")
    panels[0].set_xlabel("batch x time x inputs x features")
    names = [name for name in shown if name in lines]
    figure.legend([lines[name] for name in names], names, loc="outside right center")
    return plotting.captioned(figure, finding, caption)
