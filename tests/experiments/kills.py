"""Kill a command at some moment, and compare what its resumed run leaves.

python tests/experiments/kills.py FOLDER 20
"""

import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time
from typing import Any

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Trainings with probes, and a checkpoint after nearly every call of the program.
FLAGS = {
    **{"order": "rows", "features": "3", "cells": "elman,gru", "seeds": "0,1"},
    **{"batch_size": "4", "probe_every": "50", "checkpoint_every": "20"},
    "probes": "state_gradients",  # alone, as the programs of the others are large
}
COMMAND = "experiments.gradient_flow"
INSIDE = "inside a write"


def flags(**others: str) -> list[str]:
    return [f"--{name}={value}" for name, value in {**FLAGS, **others}.items()]


def start(folder: pathlib.Path, *more: str, **others: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", COMMAND, *flags(**others), *more, "--results=out"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(child: subprocess.Popen) -> str:
    """Wait for the command to end; its standard error."""
    _, err = child.communicate(timeout=600)
    assert child.returncode == 0, err
    return err


def kill(child: subprocess.Popen, folder: pathlib.Path, moment: float | str) -> bool:
    """Kill a command some seconds after it begins to log, or inside a write."""
    run = folder / "out.unfinished"
    began = None
    while child.poll() is None:
        logs = (run / "metrics.jsonl").exists() and (run / "config.json").exists()
        began = began or (time.monotonic() if logs else None)
        if moment == INSIDE:
            due = began and any(run.glob("checkpoints/*/*.orbax-checkpoint-tmp*"))
        else:
            due = began and time.monotonic() - began >= float(moment)
        if due:
            child.kill()
            break
        time.sleep(0.001)
    child.communicate()
    return child.returncode == -signal.SIGKILL


def left(run: pathlib.Path) -> dict[str, Any]:
    """Results of a run without times: rows, data of figures, parameters."""
    from experiments.harness.saved import open_run

    saved = open_run(run)
    files = [path for path in sorted(run.rglob("*")) if path.is_file()]
    names = [path.relative_to(run).as_posix() for path in files]
    return {
        "rows": (run / "metrics.jsonl").read_text().splitlines(),
        "figures": {p.name: p.read_text() for p in files if p.suffix == ".csv"},
        # Names that orbax draws at random, or TensorBoard makes of the time, apart.
        "files": [n for n in names if "/d/" not in n and "tfevents" not in n],
        "params": {
            f"{name} {step} {path}": leaf
            for name in saved.names
            for step in saved.steps(name)
            for path, leaf in leaves(saved.params(name, step=step))
        },
    }


def leaves(tree) -> list[tuple[str, np.ndarray]]:
    import jax

    pairs = jax.tree_util.tree_leaves_with_path(tree)
    return [(jax.tree_util.keystr(path), np.asarray(leaf)) for path, leaf in pairs]


def assert_same(run: pathlib.Path, other: pathlib.Path) -> None:
    """Assert that both runs left the same, bit for bit."""
    first, second = left(run), left(other)
    assert [json.loads(row) for row in first["rows"]]  # no row is cut off
    for what in ("rows", "figures", "files"):
        assert first[what] == second[what], what
    assert first["params"].keys() == second["params"].keys()
    for name, array in first["params"].items():
        assert array.dtype == second["params"][name].dtype
        assert array.tobytes() == second["params"][name].tobytes(), name


def kill_and_resume(folder: pathlib.Path, moments, *more: str) -> int:
    """Kill a run at each of the moments, resume it, and let it come to its end."""
    count = 0
    for moment in moments:
        count += kill(start(folder, *more, "--resume"), folder, moment)
        if (folder / "out").exists():
            break
    if not (folder / "out").exists():
        finish(start(folder, *more, "--resume"))
    return count


def main(folder: str, kills: int) -> None:
    """Kill runs until there were so many kills; two are inside a write."""
    place, draw, count = pathlib.Path(folder), random.Random(0), 0
    steps = "--steps=1000"
    (place / "whole").mkdir(parents=True)
    began = time.monotonic()
    finish(start(place / "whole", steps))
    print(f"a run that is not killed: {time.monotonic() - began:.1f} s", flush=True)
    while count < kills:
        moments = [INSIDE, *(draw.uniform(0.0, 6.0) for _ in range(6))]
        killed = place / "killed"
        shutil.rmtree(killed, ignore_errors=True)
        killed.mkdir()
        count += kill_and_resume(killed, moments, steps)
        assert_same(place / "whole" / "out", killed / "out")
        print(f"{count} kills, at {moments}: the same", flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main(sys.argv[1], int(sys.argv[2]))
