"""A grid search over the flags of every experiment that the house has."""

import importlib
import itertools
import json
import sys
from functools import partial

import kept
import pytest
from commands import TINY, TOOLS, rows

from experiments.course import experiment as course
from experiments.draw_digits import experiment as draw_digits
from experiments.harness import common_flags, process
from experiments.hyperparameters import experiment as hyperparameters

EXPERIMENTS = sorted(set(process.experiments()) - TOOLS)
# A flag of each experiment that has no learning rate. One value each, as trials are
# alike for all experiments; two where they are run at once.
GRIDS = {
    "capacity": "inputs=1",
    "catalogue": "features=2",
    "course": "flags=--steps=2|--steps=3",
    "edge_of_chaos": "seeds=0",
    "hyperparameters": "objective=max,min",
    "initialization": "features=3",
    "instrument_cost": "features=2",
    "memory": "features=2",
    "spectra": "seeds=0",
    "throughput": "batch_size=2",
}
TWO = "course", "hyperparameters"
TWICE = "gradient_flow", "image_classification"  # the others only in validation
TOY = """
import dataclasses
from experiments.harness import cli

@dataclasses.dataclass(frozen=True)
class Config:
    steps: int = cli.flag(1, "Steps.")
    seeds: list[int] = cli.flag([0], "Seeds.")

def run(config, results):
    for seed in config.seeds:
        results.log(kind="accuracy", seed=seed, test_accuracy=float(seed))
"""


@pytest.fixture
def run(launched, small_data, tmp_path, monkeypatch):
    monkeypatch.setattr(draw_digits, "JUDGE_STEPS", 2)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "toy.py").write_text(TOY)
    for name in ("mine.toy", "mine"):
        sys.modules.pop(name, None)
    return partial(launched, hyperparameters, "--results=out", resumable=True)


def test_every_experiment_has_tiny_flags():
    assert sorted(TINY) == EXPERIMENTS


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_can_be_searched(name, run, tmp_path, monkeypatch):
    module = importlib.import_module(f"experiments.{name}")
    if name == "course":
        monkeypatch.setattr(course, "run_lesson", lesson)
    grid, flags = GRIDS.get(name, "learning_rate=1e-3"), [TINY[name]]
    if hasattr(module.Config(), "seeds") and "seeds" not in grid:
        flags.append("seeds=0,1")
    if issubclass(module.Config, common_flags.TrainingConfig) and name not in TWICE:
        flags.append("evaluate_on=validation")
    set_flags = ";".join(flags)
    code, out, err = run(f"--experiment={name}", f"--grid={grid}", f"--set={set_flags}")
    assert code == 0, err
    trials, seeds = rows(tmp_path / "out", "trial"), 1 + ("seeds=0,1" in set_flags)
    assert len(trials) == (2 if name in TWO else 1)
    assert all(len(row["scores"]) == seeds for row in trials), trials
    assert len(rows(tmp_path / "out", "chosen")) == seeds
    page = (tmp_path / "out" / "report.html").read_text()
    note = "on data held out of the training set" if name in TWICE else "is biased"
    assert all(note in text for text in (page, out, report_of(tmp_path / "out")))
    runs = {path.name: path for path in (tmp_path / "out" / "runs").glob("*")}
    if name == "image_classification":
        assert not runs  # all are one program
        return
    second = {"000_test"} if name in TWICE else {"001"} if name in TWO else set()
    assert set(runs) == {"000"} | second
    made = {
        name: json.loads((f / "config.json").read_text()) for name, f in runs.items()
    }
    if name in kept.REPORTS:
        kept.check(tmp_path / "out" / "runs" / "000", name)
    assert made["000"]["command"].startswith(f"python -m experiments.{name} --")
    if name in TWICE:
        parts = [made[run]["config"]["evaluate_on"] for run in ("000", "000_test")]
        assert parts == ["validation", "test"]


def report_of(folder):
    """Text of the findings and of the figures' captions and descriptions."""
    (report,) = rows(folder, "report")
    texts = report["findings"], report["figures"].values(), report["alt"].values()
    return "".join(itertools.chain(*texts))


def lesson(name, flags, results):
    """A lesson that is done at once."""
    folder = results.path / name
    folder.mkdir()
    (folder / "config.json").write_text('{"command": "none"}')
    report = {"kind": "report", "title": "Q", "answer": "A.", "findings": ["F"]}
    report |= {"figures": {}, "alt": {}}
    (folder / "metrics.jsonl").write_text(json.dumps(report) + "\n")
    results.log(kind="lesson", lesson=name, seconds=1.0)
    return 1.0
