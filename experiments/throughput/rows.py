"""Rows of times: contenders of one job, prepared, checked, and timed in turn."""

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from tqdm import tqdm

from experiments.throughput.processes import Worker
from experiments.throughput.workers.jobs import Job


class Entry(NamedTuple):
    """A contender of a worker.

    Attributes:
        name: Name in tables.
        worker: Key of the worker.
        program: Name that the worker knows.
    """

    name: str
    worker: str
    program: str


class Row(NamedTuple):
    """Times of one contender.

    Attributes:
        job: The job.
        contender: Name of the contender.
        seconds: Time of a step, [rounds]; empty if it was not timed.
        compile_seconds: Time of the compilation; nan if nothing is compiled.
        bytes: Memory of a step in addition to parameters and inputs; nan if not known.
        difference: Largest deviation from the numbers of this library, relative to the
            largest number; nan if it was not compared.
        error: Why it was not timed; empty if it was.
    """

    job: Job
    contender: str
    seconds: Float[np.ndarray, " rounds"]
    compile_seconds: float = math.nan
    bytes: float = math.nan
    difference: float = math.nan
    error: str = ""

    @property
    def least(self) -> float:
        """The shortest time, which is the least disturbed."""
        return float(self.seconds.min())

    def logged(self) -> dict[str, Any]:
        """The row of metrics.jsonl."""
        row = {**self.job._asdict(), **self._asdict()}
        return {name: value for name, value in row.items() if name != "job"}


class Measured(NamedTuple):
    """The times of all jobs.

    Attributes:
        rows: The rows.
        late: Jobs for which no time was left, or not enough.
    """

    rows: list[Row]
    late: list[Job]


class Workers:
    """Workers by name, some of which may have ended."""

    def __init__(self) -> None:
        self._there: dict[str, Worker] = {}
        self.lost: dict[str, str] = {}

    def start(self, name: str, module: str, argument: str, **options: Any) -> None:
        """Start a worker."""
        self._there[name] = Worker(name, module, argument, **options)

    def ask(
        self, requests: Mapping[str, Any], until: float, *, together: bool
    ) -> Iterator[tuple[str, Any]]:
        """Ask workers, one after another or together; yield their answers.

        Args:
            requests: Requests by the names of workers; a worker that has ended is left
                out.
            until: Time of `time.monotonic` at which a worker must have answered.
            together: Whether they work at once.

        Yields:
            Names and answers. Workers that end are in `lost` instead.
        """
        asked = [name for name in requests if name not in self.lost]
        for names in [asked] if together else [[name] for name in asked]:
            for name in names:
                self._there[name].send(json.dumps(requests[name]))
            for name in names:
                left = max(until - time.monotonic(), 0.0)
                try:
                    line = self._there[name].answer(None if left == math.inf else left)
                    yield name, json.loads(line)
                except ChildProcessError as error:
                    self.lost[name] = str(error)

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self._there.values():
            worker.end()


def measure(
    job: Job,
    entries: Sequence[Entry],
    workers: Workers,
    folder: str,
    *,
    rounds: int,
    seconds: float,
    tolerance: float,
    threads: int = 1,
    together: bool = False,
    warm_up: int = 0,
    until: float = math.inf,
) -> list[Row]:
    """Prepare, check and time contenders.

    Args:
        job: The job.
        entries: The contenders. The first worker's first contender of each equation is
            the reference of the remaining ones.
        workers: Their workers.
        folder: An empty folder for the references.
        rounds: Rounds in which each contender takes its turn.
        seconds: Time for which it runs in each round.
        tolerance: Largest deviation of the numbers of a contender that is timed.
        threads: Programs that a worker compiles at once.
        together: Whether workers compile at once.
        warm_up: Number of runs before a contender is checked.
        until: Time of `time.monotonic` at which all must be done.

    Returns:
        One row per contender.
    """
    state: dict[Entry, dict[str, Any]] = {entry: {} for entry in entries}
    of: dict[str, list[Entry]] = {}
    for entry in entries:
        of.setdefault(entry.worker, []).append(entry)
    prepare = {
        name: {
            "do": "prepare",
            "job": job._asdict(),
            "contenders": [entry.program for entry in some],
            "threads": threads,
        }
        for name, some in of.items()
    }
    for name, answer in workers.ask(prepare, until, together=together):
        for entry in of[name]:
            state[entry] |= answer[entry.program]
    asked = {"do": "check", "folder": folder, "warm_up": warm_up}
    check = dict.fromkeys(of, asked)
    for name, answer in workers.ask(check, until, together=False):
        for entry in of[name]:
            _judge(state[entry], answer.get(entry.program), tolerance)
    times: dict[Entry, list[float]] = {entry: [] for entry in entries}
    for turn in range(rounds):
        first = turn % len(entries)
        for entry in [*entries[first:], *entries[:first]]:
            if "error" in state[entry]:
                continue
            request = {"do": "time", "contender": entry.program, "seconds": seconds}
            for _, answer in workers.ask(
                {entry.worker: request}, until, together=False
            ):
                if isinstance(answer, str):
                    state[entry]["error"] = answer
                else:
                    times[entry].append(answer)
    return [_row(job, e, state[e], times[e], workers.lost) for e in entries]


def _judge(state: dict[str, Any], answer: Any, tolerance: float) -> None:
    """Note the deviation of a contender, and whether it is an error."""
    if isinstance(answer, str):
        state["error"] = answer
    elif answer is not None:
        state["difference"] = answer
        if not answer <= tolerance:
            state["error"] = (
                f"its numbers deviate by {answer:.1e} of the largest, expected at most "
                f"{tolerance:g}"
            )


def _row(
    job: Job,
    entry: Entry,
    state: Mapping[str, Any],
    times: Sequence[float],
    lost: Mapping[str, str],
) -> Row:
    """The row of a contender."""
    known = {
        name: math.nan if state.get(name) is None else state[name]
        for name in ("compile_seconds", "bytes", "difference")
    }
    error = state.get("error") or lost.get(entry.worker, "")
    seconds = np.array([] if error else times)
    return Row(job, entry.name, seconds, **known, error=error)


def measure_until(
    jobs: Sequence[Job],
    until: float,
    measured: Callable[[Job], list[Row]],
    log: Callable[[Row], None],
) -> Measured:
    """Time jobs until the time is over.

    Args:
        jobs: Jobs, the most important first.
        until: Time of `time.monotonic` after which no job is started.
        measured: The rows of a job.
        log: Receives each row as soon as it is measured.

    Returns:
        The rows, and the jobs that were not started or not completed.
    """
    rows, late = [], []
    for job in tqdm(jobs, desc="jobs", disable=None):
        if time.monotonic() > until:
            late.append(job)
            continue
        some = measured(job)
        if time.monotonic() > until:  # in the middle of the job
            late.append(job)
            some = timed(some)
        for row in some:
            log(row)
        rows += some
    return Measured(rows, late)


def timed(rows: Sequence[Row]) -> list[Row]:
    """The rows with times."""
    return [row for row in rows if len(row.seconds)]


def geometric_mean(values: Sequence[float]) -> float:
    """Geometric mean of positive numbers.

    Example:
        >>> round(geometric_mean([1.0, 4.0]), 6)
        2.0
    """
    return math.exp(sum(map(math.log, values)) / len(values))
