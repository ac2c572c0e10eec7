"""Every experiment: resumed where it trains, and searched over its flags."""

import dataclasses
import importlib
import itertools
import json
import shutil
import sys
from functools import partial

import kept
import pytest
from commands import TINY, TOOLS, rows

import train
from experiments.course import experiment as course
from experiments.draw_digits import experiment as draw_digits
from experiments.harness import common_flags, process
from experiments.harness.runs import Run
from experiments.hyperparameters import experiment as hyperparameters
from experiments.hyperparameters import trials
from experiments.throughput.study import measure as throughput
from experiments.vanishing import experiment as vanishing
from experiments.vanishing.networks import all_nets

EXPERIMENTS = sorted(set(process.experiments()) - TOOLS)
# A flag of each experiment that has no learning rate. One value each, as trials are
# alike for all experiments; two where they are run at once.
GRIDS = {
    "atlas": "clip_norm=2",
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


def trains(name):
    module = importlib.import_module(f"experiments.{name}")
    return issubclass(module.Config, common_flags.TrainingConfig)


TRAINED = list(filter(trains, EXPERIMENTS))
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
    monkeypatch.setattr(vanishing, "all_nets", few_nets)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "toy.py").write_text(TOY)
    for name in ("mine.toy", "mine"):
        sys.modules.pop(name, None)
    return partial(launched, hyperparameters, "--results=out", resumable=True)


def few_nets(*sizes):
    """The nets of `vanishing`, one of each kind trained; test_own_data trains all."""
    few = "feed-forward tanh", "Elman tanh"
    return [
        net if net.name in few else net._replace(logits=None)
        for net in all_nets(*sizes)
    ]


def test_every_experiment_has_tiny_flags():
    assert sorted(TINY) == EXPERIMENTS
    assert sorted({*TRAINED, *GRIDS}) == EXPERIMENTS and not {*TRAINED} & {*GRIDS}


def stop(*_, **__):
    raise KeyboardInterrupt


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_no_experiment_trains_again_what_is_trained(
    name, run, launched, monkeypatch, tmp_path
):
    """A run that is stopped after its trainings is resumed without a training.

    Its parameters give the reported numbers, and a grid search reads its scores: all of
    one run, as each trains.
    """
    module = importlib.import_module(f"experiments.{name}")
    flags = [*TINY[name].split(";"), "seeds=0,1", "learning_rate=1e-3"]
    flags += ["evaluate_on=validation"] * (name not in TWICE)
    given = [f"--{flag}" for flag in flags] + ["--results=trained"]
    with monkeypatch.context() as patch:
        patch.setattr(Run, "_complete", stop)
        code, _, err = launched(module, *given)
        assert code == 130, err
    before = logged(tmp_path / "trained.unfinished")
    monkeypatch.setattr(train, "fit", stop)
    code, _, err = launched(module, *given, "--resume")
    assert code == 0, err
    after = logged(tmp_path / "trained")
    assert any(row["kind"] == "training" for row in after)
    # Texts with durations, which are measured again.
    timed = {"report", "claim"} if name == "lstm_vs_gru" else {"report"}
    for row, again in zip(before, after, strict=True):
        assert row["kind"] == again["kind"]
        assert row == again or row["kind"] in timed
    if name in kept.REPORTS:
        kept.assert_reproduced(tmp_path / "trained", name)
    if name not in TWICE:
        monkeypatch.setattr(trials, "_run", partial(reuse, tmp_path / "trained"))
        runs = search(
            run, tmp_path, name, "learning_rate=1e-3", TINY[name].split(";"), seeds=2
        )
        assert set(runs) == {"000"}


def logged(folder):
    return list(map(json.loads, (folder / "metrics.jsonl").read_text().splitlines()))


def reuse(trained, module, trial, folder):
    """A trial whose flags are those of a run that exists."""
    config = json.loads((trained / "config.json").read_text())["config"]
    assert config == json.loads(json.dumps(dataclasses.asdict(trial.config)))
    shutil.copytree(trained, folder)


def search(run, tmp_path, name, grid, flags, *, seeds, trials=1, note="is biased"):
    """Search an experiment; the config of each run, by the name of its folder."""
    if seeds == 2:
        flags = [*flags, "seeds=0,1"]
    if name in TRAINED and name not in TWICE:
        flags = [*flags, "evaluate_on=validation"]
    options = f"--grid={grid}", f"--set={';'.join(flags)}"
    code, out, err = run(f"--experiment={name}", *options)
    assert code == 0, err
    scores = [row["scores"] for row in rows(tmp_path / "out", "trial")]
    assert list(map(len, scores)) == [seeds] * trials, scores
    assert len(rows(tmp_path / "out", "chosen")) == seeds
    page = (tmp_path / "out" / "report.html").read_text()
    assert all(note in text for text in (page, out, report_of(tmp_path / "out")))
    folders = sorted((tmp_path / "out" / "runs").glob("*"))
    made = {f.name: json.loads((f / "config.json").read_text()) for f in folders}
    for config in made.values():
        assert config["command"].startswith(f"python -m experiments.{name} --")
    return made


@pytest.mark.slow
@pytest.mark.parametrize("name", GRIDS)
def test_an_experiment_without_training_can_be_searched(
    name, run, tmp_path, monkeypatch
):
    if name == "course":
        monkeypatch.setattr(course, "run_lesson", lesson)
    if name == "throughput":  # each contender is a process
        monkeypatch.setattr(throughput, "has_torch", lambda: False)
        monkeypatch.setattr(throughput, "cores", lambda: 1)
    grid, flags = GRIDS[name], TINY[name].split(";")
    config = importlib.import_module(f"experiments.{name}").Config()
    seeds = 2 if hasattr(config, "seeds") and "seeds" not in grid else 1
    count = 2 if name in TWO else 1
    runs = search(run, tmp_path, name, grid, flags, seeds=seeds, trials=count)
    assert set(runs) == {f"{i:03d}" for i in range(count)}


@pytest.mark.slow
@pytest.mark.parametrize("name", TWICE)
def test_the_best_is_tested_on_data_held_out(name, run, tmp_path):
    note = "on data held out of the training set"
    flags = TINY[name].split(";")
    runs = search(run, tmp_path, name, "learning_rate=1e-3", flags, seeds=2, note=note)
    if name == "image_classification":
        assert not runs  # all are one program
        return
    parts = [runs[run]["config"]["evaluate_on"] for run in ("000", "000_test")]
    assert len(runs) == 2 and parts == ["validation", "test"]


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
