"""A process that prepares, checks and times contenders, as its parent asks."""

import json
import math
import os
import pathlib
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.harness import allocator
from experiments.throughput.workers.jobs import Job, Refused, difference


class Prepared(NamedTuple):
    """A compiled contender.

    Attributes:
        run: Start one step, and return its results.
        wait: Wait for results.
        numbers: Results of one step as arrays by name, as this library names them;
            None if there is nothing to compare.
        equation: Name of the equation that the contender computes.
        compile_seconds: Time of the compilation; nan if nothing is compiled.
        bytes: Memory of a step in addition to parameters and inputs; None if it is
            not known.
        solve: The `nets.Solve` of one step; None if the contender does not iterate.
    """

    run: Callable[[], Any]
    wait: Callable[[Any], Any]
    numbers: Callable[[], dict[str, np.ndarray]] | None
    equation: str
    compile_seconds: float
    bytes: int | None
    solve: Callable[[], Any] | None = None


Prepare = Callable[[Job, Sequence[str], int], dict[str, "Prepared | str"]]


def main(prepare: Prepare, describe: Callable[[Job], Any] | None = None) -> None:
    """Answer each line of standard input, a request in JSON, with a line of JSON.

    A request to "prepare" has a job, the names of contenders, and a number of threads
    that compile. One to "check" has a folder of references, and a number of runs before
    all that are prepared are compared. One to "time" has a contender, and the least
    number of seconds. One to "describe" has a job; the answer is what `describe`
    returns, and the iterations of all that are prepared and iterate.

    Args:
        prepare: Prepares contenders: each a `Prepared`, or why it is refused.
        describe: Describes a job in JSON.
    """
    allocator.keep_memory()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries may print
    there: dict[str, Prepared] = {}
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "prepare":
            there.clear()
            made = prepare(
                Job(**request["job"]), request["contenders"], request["threads"]
            )
            there |= {k: v for k, v in made.items() if isinstance(v, Prepared)}
            answer = {
                name: {"error": value}
                if isinstance(value, str)
                else {"compile_seconds": value.compile_seconds, "bytes": value.bytes}
                for name, value in made.items()
            }
        elif request["do"] == "check":
            answer = {
                name: check(
                    prepared, pathlib.Path(request["folder"]), request["warm_up"]
                )
                for name, prepared in there.items()
            }
        elif request["do"] == "describe" and describe is not None:
            answer = (
                describe(Job(**request["job"])),
                {
                    name: int(prepared.solve().iterations)
                    for name, prepared in there.items()
                    if prepared.solve is not None
                },
            )
        else:
            prepared = there[request["contender"]]
            answer = timed(prepared, request["seconds"])
        print(json.dumps(answer), file=answers, flush=True)


def check(prepared: Prepared, folder: pathlib.Path, warm_up: int) -> float | str | None:
    """Compare results with the reference of their equation, and keep the first.

    Args:
        prepared: A contender.
        folder: Folder of the references, one file per equation.
        warm_up: Number of runs before.

    Returns:
        The deviation, as from `jobs.difference`; None if there is nothing to compare;
        a sentence if the step fails.
    """
    try:
        for _ in range(warm_up):
            prepared.wait(prepared.run())
        if prepared.numbers is None:
            prepared.wait(prepared.run())
            return None
        numbers = prepared.numbers()
        file = folder / f"{prepared.equation}.npz"
        if not file.exists():
            np.savez(file, **numbers)  # type: ignore[arg-type]
        with np.load(file) as reference:
            return difference(numbers, dict(reference))
    except Refused as error:
        return str(error)
    except Exception as error:  # of a library, of any type
        return one_line(error)


def timed(prepared: Prepared, seconds: float) -> float | str:
    """Seconds of one step, repeated for some time.

    Args:
        prepared: A contender.
        seconds: Time for which steps are repeated, after a first one that warms the
            caches; a step that takes longer is timed once.

    Returns:
        Mean time of a step; a sentence if a step fails.
    """
    try:
        first = _duration(prepared, 1)
        if first >= seconds:
            return first
        count = math.ceil(seconds / first)
        return _duration(prepared, count) / count
    except Exception as error:  # of a library, of any type
        return one_line(error)


def _duration(prepared: Prepared, count: int) -> float:
    """Duration of some steps in seconds."""
    began = time.perf_counter()
    results = None
    for _ in range(count):
        results = prepared.run()
    prepared.wait(results)
    return time.perf_counter() - began


def one_line(error: Exception) -> str:
    """An error in one line."""
    text = str(error).strip() or "no message"
    return f"{type(error).__name__}: {text.splitlines()[0][:200]}"
