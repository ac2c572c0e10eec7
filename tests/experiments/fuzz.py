"""Flags as a hostile user would give them, and what no command may answer.

By hand, thousands of them, in processes that may die:

    PYTHONPATH=. python tests/experiments/fuzz.py CASES [SEED] [runs]

prints each violation, and how many there are; with "runs", whole tiny runs in place of
what comes before training.
"""

import contextlib
import dataclasses
import importlib
import io
import itertools
import json
import os
import pathlib
import random
import resource
import subprocess
import sys
import tempfile
import time
import typing
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from experiments.harness import cli, process, training

EXPERIMENTS = sorted(process.experiments())
SLOW = {"course", "hyperparameters", "edges"}  # others are run in them; or no size

# Sizes with which a run takes a moment; of those flags that an experiment has.
TINY: dict[str, Any] = {
    "seeds": 0,
    "steps": 20,
    "epochs": 0,
    "features": 2,
    "inputs": 2,
    "batch_size": 2,
    "examples": 30,
    "held_out": 26,
    "embedding": 2,
    "beam": 1,
    "components": 2,
    "samples_per_label": 2,
    "temperatures": 1,
    "widths": 4,
    "trained_width": 4,
    "depth": 4,
    "latent": 2,
    "filters": 2,
    "hidden": 2,
    "length": 9,
    "sample_length": 3,
    "probe_every": 10,
    "warmup": 2,
    "gains": "0.5,2",
    "spectra": 1,
    "time": 4,
    "repeats": 1,
    "spectrum_features": 3,
    "spectrum_time": 4,
    "max_steps": 512,
    "timing_rounds": 1,
    "exponents": 1,
    "order": "rows",
    "cells": "gru",
    "cell": "gru",
    "inits": "keras",
    "probes": "none",
    "remedies": "clip",
}
OWN = {  # where a name means something else
    "vanishing": {
        "inits": "he",
        "trained_inits": "none",
        "trained_width": None,
    },
    "spectra": {"inits": "own"},
    "gates": {"biases": "-1,2"},
    "image_classification": {"filters": "2", "hidden": "2"},
    "autoencoder": {"filters": "2"},
    "lstm_vs_gru": {"tasks": "digits"},
    "classify_sequences": {"probe_every": 10},
}
INTEGERS = [-(2**63), -1, 0, 1, 2, 3, 7, 65, 1000, 10**5, 2**24, 2**31, 2**32, 2**63]
INTEGERS += [3 * 10**9, 10**20]
NUMBERS = ["nan", "inf", "-inf", -1, -1e300, 0, 1e-300, 1e-6, 0.5, 1, 7, 1e30, 1e300]
WORDS = [
    "",
    ",",
    "own",
    "lstm",
    "zzz",
    "a:b",
    "os:getcwd",
    "nets:lstm",
    "\x00",
    "é",
    "\n",
]
WORDS += ["$x$", "~", "~zzz/x", "/", ".", "/dev/null", "-1", "none", "chrono(1e300)"]
WORDS += [
    "\udcff",
    "x" * 300,
    ";;;",
    "a=b;c",
    "=",
    "--",
    "%s",
    "{}",
    "auto",
    "all",
    "🙂",
]


def flags(name: str, choose: Callable[[Sequence[Any]], Any]) -> list[str]:
    """Tiny flags of an experiment, one to three of them hostile."""
    config = importlib.import_module(f"experiments.{name}").Config
    kinds = typing.get_type_hints(config)
    fields = {field.name: field for field in dataclasses.fields(config)}
    given = {n: v for n, v in (TINY | OWN.get(name, {})).items() if n in fields}
    words = [f"--{n}={v}" for n, v in given.items() if v is not None]
    arguments = [n for n, field in fields.items() if "argument" in field.metadata]
    words += [choose(["/dev/null", ".", "zzz", "", "x" * 300]) for _ in arguments]
    fields = {n: field for n, field in fields.items() if n not in arguments}
    for _ in range(choose([1, 1, 1, 2, 3])):
        if choose(range(20)) == 0:
            words.append(
                choose(["--zzz=1", "zzz", "--results=", "-1", "--seeds", "--"])
            )
            continue
        if not fields:
            continue
        field = fields[choose(sorted(fields))]
        value = _value(kinds[field.name], field.metadata["choices"], choose)
        words = [w for w in words if not w.startswith(f"--{field.name}=")]
        words.append(f"--{field.name}={value}")
    return words


def _value(kind: Any, choices: Any, choose: Callable[[Sequence[Any]], Any]) -> str:
    if typing.get_origin(kind) is list:
        (item,) = typing.get_args(kind)
        count = choose([1, 1, 1, 2, 3])
        return ",".join(_value(item, choices, choose) for _ in range(count))
    if choose(range(15)) == 0:
        return str(choose(WORDS))
    if kind is bool:
        return choose(["true", "false", "1", "maybe"])
    if kind is int:
        return str(choose(INTEGERS))
    if kind is float:
        return str(choose(NUMBERS))
    return str(choose([*(choices or []), *WORDS]))


class Enough(BaseException):
    """All checks are passed: now it would train."""


def call(name: str, words: Sequence[str], whole: bool) -> tuple[Any, str, str]:
    """Run a command in this process and the working folder: code, output, errors."""
    module = importlib.import_module(f"experiments.{name}")

    def enough(*_, **__):
        raise Enough

    def run(config, results):
        try:
            module.run(config, results)
        except Enough:
            results.log(kind="enough")

    def stub(config, results):
        results.log(kind="stub")

    if not whole and "start" in vars(training) and not _starts(module):
        run = stub
    experiment = SimpleNamespace(Config=module.Config, run=module.run if whole else run)
    argv, start = sys.argv, training.start
    out, err, code = io.StringIO(), io.StringIO(), 0
    try:
        sys.argv = [name, *words, "--results=out"]
        if not whole:
            training.start = enough
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            cli.main(experiment.Config, experiment.run)
    except SystemExit as stop:
        code = stop.code
    finally:
        sys.argv, training.start = argv, start
    return code, out.getvalue(), err.getvalue()


def _starts(module: Any) -> bool:
    """Whether its first slow step is `training.start`."""
    text = pathlib.Path(str(module.__file__)).with_name("experiment.py").read_text()
    return "training.start(" in text and module.__name__.rpartition(".")[2] not in SLOW


def violation(code: Any, err: str, folder: pathlib.Path) -> str | None:
    """A sentence about what a command did and must not do; None if it did nothing."""
    if code not in (0, 1, 2):
        return f"exit code {code}: {err.strip()[-300:]}"
    if "Traceback" in err:
        return f"a traceback: {err.strip()[-300:]}"
    lines = [line for line in err.splitlines() if line.strip()]
    if code and len(lines) != 1:
        return f"{len(lines)} lines for a sentence: {err[:300]!r}"
    if code and (folder / "out").exists():
        return "a folder that looks whole"
    return None


def work(first: int, last: int, seed: int, whole: bool) -> None:
    """Cases of a process that may die, a line of JSON each."""
    resource.setrlimit(resource.RLIMIT_AS, (14 * 10**9, 14 * 10**9))
    for number in range(first, last):
        chance = random.Random(f"{seed} {number}")
        name = chance.choice(sorted(set(EXPERIMENTS) - (SLOW if whole else {"course"})))
        words = flags(name, chance.choice)
        print(json.dumps([number, name, words]), flush=True)
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            try:
                code, _, err = call(name, words, whole)
                fault = violation(code, err, pathlib.Path(folder))
            except BaseException as error:
                code, fault = None, f"{type(error).__name__}: {str(error)[:300]}"
            os.chdir("/")
        print(json.dumps([number, code, fault, time.monotonic() - began]), flush=True)


def main(cases: int, seed: int, whole: bool) -> None:
    """Count violations over many cases."""
    at, bad, codes, slow = 0, 0, [], 0
    while at < cases:
        limits = "runs" if whole else "checks"
        command = [sys.executable, __file__, "work", str(at), str(cases), str(seed)]
        case: Any = None
        with subprocess.Popen(
            [*command, limits], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as child:
            assert child.stdout is not None
            for line in _lines(child, 150):
                row = json.loads(line)
                if len(row) == 3:
                    case = row
                    continue
                at, (_, code, fault, _) = row[0] + 1, row
                codes.append(code)
                if fault:
                    bad += 1
                    print("VIOLATION", case[1], *case[2], "|", fault, flush=True)
                case = None
            child.kill()
        if case is not None:
            at = case[0] + 1
            if child.returncode == -9:
                slow += 1
                print("SLOW", case[1], *case[2], flush=True)
            else:
                bad += 1
                print("DIED", child.returncode, case[1], *case[2], flush=True)
        elif at < cases and not codes:
            raise SystemExit("no case came back")
    counts = {code: codes.count(code) for code in dict.fromkeys(codes)}
    print(f"{cases} cases, {bad} violations, {slow} too slow; exit codes {counts}")


def _lines(child: Any, most: float):
    """The lines of a process, which is ended if it is silent for long."""
    import select

    os.set_blocking(child.stdout.fileno(), False)
    rest = b""
    while True:
        ready, _, _ = select.select([child.stdout], [], [], most)
        if not ready:
            child.kill()
            child.wait()
            return
        data = child.stdout.read()
        if not data:
            child.wait()
            return
        *lines, rest = (rest + data).split(b"\n")
        yield from itertools.filterfalse(lambda line: not line.strip(), lines)


if __name__ == "__main__":
    if sys.argv[1] == "work":
        numbers = map(int, sys.argv[2:5])
        work(*numbers, whole=sys.argv[5] == "runs")
    else:
        given = sys.argv[2:]
        main(
            int(sys.argv[1]),
            int(next((word for word in given if word.isdigit()), 0)),
            "runs" in given,
        )
