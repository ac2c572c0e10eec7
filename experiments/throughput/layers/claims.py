"""The claims, their tables, and the answer."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from experiments.harness.claims import Case, Claim, claim_of_cases, positive
from experiments.harness.intervals import Interval, interval
from experiments.harness.tables import Table
from experiments.throughput.config import CELLS
from experiments.throughput.ratios import SAME, Group, by_job, ratio
from experiments.throughput.rows import Row, geometric_mean
from experiments.throughput.workers.contenders import (
    ALL_DEVICES,
    AS_HAIKU,
    ASSOCIATIVE,
    FLOOR,
    OURS,
    PLAIN,
)
from experiments.throughput.workers.jobs import TRAIN, Job

JAX_PEERS = "linen", "nnx", "haiku", "equinox", "keras", PLAIN, ASSOCIATIVE
BEST_JAX, BEST_TORCH = "best JAX library", "PyTorch at its best"
LARGE = "128x50x256x512"
OF_JAX, OF_TORCH, OF_LSTM = 1.4, 2.0, 0.9  # least ratios
OF_FLOOR, OF_COMPILATION = 1.3, 1.2  # largest ratios


class Matched(NamedTuple):
    """A peer of this library in one job, both timed.

    Attributes:
        job: The job.
        peer: The row of the peer.
        ours: The row of this library that it is compared with.
    """

    job: Job
    peer: Row
    ours: Row

    @property
    def ratio(self) -> float:
        """Ratio of the shortest times."""
        return self.peer.least / self.ours.least


def best(group: Group, kind: str) -> Matched | None:
    """The peer with the smallest ratio.

    Args:
        group: Rows of a job.
        kind: `BEST_JAX`, `BEST_TORCH`, or the name of a contender.

    Returns:
        The peer, next to this library; None if none was timed.
    """
    names = {
        BEST_JAX: [name for name in group if name in JAX_PEERS],
        BEST_TORCH: [name for name in group if name.startswith("torch")],
    }.get(kind, [kind])
    matched = [
        Matched(group[name].job, group[name], group[_same(group, name)])
        for name in names
        if ratio(group, name) is not None
    ]
    return min(matched, key=lambda m: m.ratio, default=None)


def _same(group: Group, name: str) -> str:
    """The contender of this library that a peer is compared with."""
    return SAME[name] if SAME.get(name) in group else OURS


def all_best(rows: Sequence[Row], kind: str, program: str = TRAIN) -> list[Matched]:
    """The best peer of every job of one cell of `CELLS`.

    Args:
        rows: All rows.
        kind: As in `best`.
        program: Program of the jobs.

    Returns:
        One entry per job in which a peer was timed.
    """
    found = [
        best(group, kind)
        for job, group in by_job(rows).items()
        if job.layer in CELLS and job.program == program
    ]
    return [matched for matched in found if matched is not None]


def evaluate_claims(rows: Sequence[Row]) -> list[Claim]:
    """Judge every claim whose contenders were timed.

    Args:
        rows: All rows.

    Returns:
        The claims, about the train steps of Elman, LSTM and GRU.
    """
    of_jax, of_torch = all_best(rows, BEST_JAX), all_best(rows, BEST_TORCH)
    lstm = [m for m in of_torch if m.job.layer == "lstm"]
    floor = [
        m for m in all_best(rows, FLOOR) if (m.job.layer, m.job.size) == ("lstm", LARGE)
    ]
    linen = [m for m in all_best(rows, "linen") if np.isfinite(m.ours.compile_seconds)]
    texts = {
        f"Layers train at least {OF_JAX} times as fast as the best JAX library": _mean(
            of_jax, OF_JAX
        ),
        "No layer trains slower than in any JAX library": [
            _case(f"{m.job.layer} {m.job.size}, {m.peer.contender}", [m], 1.0)
            for m in of_jax
        ],
        f"Layers train at least {OF_TORCH:g} times as fast as PyTorch at its best "
        "number of threads": _mean(of_torch, OF_TORCH),
        f"An LSTM trains at least {OF_LSTM} times as fast as PyTorch's": _mean(
            lstm, OF_LSTM
        ),
        f"An LSTM of size {LARGE} takes at most {OF_FLOOR} times as long as its matrix "
        "products": _mean(floor, 1 / OF_FLOOR),
        f"Compilation takes at most {OF_COMPILATION} times as long as Linen's": [
            _compilation(linen)
        ]
        if linen
        else [],
    }
    evidence = "Time of the contender divided by that of this library."
    return [claim_of_cases(t, evidence, cases) for t, cases in texts.items() if cases]


def _mean(matched: Sequence[Matched], least: float) -> list[Case]:
    """The case of the geometric mean; none without rows."""
    return [_case(f"mean of {len(matched)} rows", matched, least)] if matched else []


def _case(name: str, matched: Sequence[Matched], least: float) -> Case:
    """A geometric mean over rows, with its interval over the rounds."""
    rounds = min(len(m.ours.seconds) for m in matched)
    logs = [
        math.log(
            geometric_mean([m.peer.seconds[i] / m.ours.seconds[i] for m in matched])
        )
        for i in range(rounds)
    ]
    least_times = geometric_mean([m.ratio for m in matched])
    text = f"{_mean_ratio(logs)}, of least times {least_times:.2f}"
    return Case(name, text, positive(interval(np.array(logs)), np.log(least)))


def _mean_ratio(logs: Sequence[float]) -> str:
    """A geometric mean with its interval, from logs."""
    bounds = interval(np.array(logs))
    if not np.isfinite(bounds.low):
        return f"{np.exp(bounds.mean):.2f}"
    return Interval(*np.exp(bounds).tolist()).text()


def _compilation(linen: Sequence[Matched]) -> Case:
    """The case of the compilation, over rows."""
    logs = [math.log(m.peer.compile_seconds / m.ours.compile_seconds) for m in linen]
    outcome = positive(interval(np.array(logs)), -np.log(OF_COMPILATION))
    return Case(f"mean of {len(linen)} rows", _mean_ratio(logs), outcome)


def summary(rows: Sequence[Row]) -> Table:
    """Geometric means of ratios over sizes, one row per layer and program.

    Args:
        rows: All rows.

    Returns:
        A `Table`; the last column counts the sizes at which a JAX library is faster.
    """
    names = dict.fromkeys(row.contender for row in rows)
    kinds = [BEST_JAX, BEST_TORCH, *(n for n in names if n not in (OURS, AS_HAIKU))]
    groups: dict[tuple[str, str], list[Group]] = {}
    every: dict[tuple[str, str], list[Group]] = {}
    for job, group in by_job(rows).items():
        groups.setdefault((job.layer, job.program), []).append(group)
        if job.layer in CELLS:
            every.setdefault((", ".join(CELLS), job.program), []).append(group)
    groups |= every
    lines = []
    for (layer, program), some in groups.items():
        line = [f"{layer}, {program}"]
        for kind in kinds:
            values = [m.ratio for group in some if (m := best(group, kind))]
            line.append(f"{geometric_mean(values):.2f}" if values else "")
        slower = [m.ratio < 1 for group in some if (m := best(group, BEST_JAX))]
        lines.append([*line, f"{sum(slower)} of {len(slower)}" if slower else ""])
    used = [i for i in range(len(kinds) + 2) if any(line[i] for line in lines)]
    header = ["layer, program", *kinds, "rows under 1"]
    return Table([header[i] for i in used], [[line[i] for i in used] for line in lines])


def answer(rows: Sequence[Row]) -> str:
    """One sentence that answers the question.

    Args:
        rows: All rows.

    Returns:
        The sentence.
    """
    program = TRAIN if any(row.job.program == TRAIN for row in rows) else "forward"
    parts = []
    for kind, words in (
        (BEST_JAX, "the best other JAX library"),
        (BEST_TORCH, "PyTorch at its best number of threads"),
    ):
        found = all_best(rows, kind, program)
        if found:
            mean = geometric_mean([m.ratio for m in found])
            parts.append(f"{mean:.2f} times as fast as {words}")
    name = "A train step" if program == TRAIN else "A forward pass"
    if not parts:
        return f"{name} was not timed next to another library."
    return f"{name} of an Elman net, LSTM or GRU is {' and '.join(parts)}."


def devices(rows: Sequence[Row]) -> list[str]:
    """A sentence about the batch split over all devices.

    Args:
        rows: All rows.

    Returns:
        The sentence; none if it was not timed.
    """
    found = all_best(rows, ALL_DEVICES)
    if not found:
        return []
    gains = [1 / m.ratio for m in found]
    return [
        "With the batch split over all devices, a train step is "
        f"{geometric_mean(gains):.2f} times as fast as on one device (mean of "
        f"{len(found)} rows; {min(gains):.2f} to {max(gains):.2f})."
    ]
