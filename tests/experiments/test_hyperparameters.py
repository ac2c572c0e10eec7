"""Grid search, over toy experiments that count how often they run."""

import sys

import numpy as np
import pytest
from commands import rows

from experiments import grid_figures, hyperparameters, launch
from experiments.verdicts import HOLDS, IN_PART, OPEN
from train import new_run

TOYS = """
import dataclasses, pathlib, types
import numpy as np
from experiments import launch
from train import NonFiniteError

CALLS = []

@dataclasses.dataclass(frozen=True)
class Config:
    rate: float = launch.flag(0.1, "A rate.")
    sizes: list[int] = launch.flag([4], "Sizes.", lower_bound=None)
    seeds: list[int] = launch.flag([0, 1], "Seeds.")
    steps: int = launch.flag(1, "Steps.", lower_bound=1)

def score(config, seed):
    return float(-abs(config.rate - 0.2) + sum(config.sizes) + 0.01 * seed)

def run(config, results):
    CALLS.append(config)
    if config.rate > 5:
        raise NonFiniteError(1, 0, "the loss")
    if config.steps == 13:
        raise KeyboardInterrupt
    for seed in config.seeds:
        results.log(kind="accuracy", seed=seed, test_accuracy=score(config, seed))
    print("a table")
"""
TOGETHER = (
    TOYS
    + """
TOGETHER = ("rate",)

def scores(configs):
    CALLS.append(configs)
    return [{"test_accuracy": [score(c, s) for s in c.seeds]} for c in configs]
"""
)


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Run the command in this process; its exit code (0 if it returns), and words."""
    (tmp_path / "toys.py").write_text(TOYS)
    (tmp_path / "together.py").write_text(TOGETHER)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "toy.py").write_text(TOYS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("mine.toy", "mine.together", "toys", "together", "mine"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "mine" / "together.py").write_text(TOGETHER)

    def call(*flags):
        monkeypatch.setattr(sys, "argv", ["hyperparameters", *flags])
        code = 0
        try:
            launch.main(hyperparameters.Config, hyperparameters.run, resumable=True)
        except SystemExit as stop:
            code = stop.code
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def trials(folder):
    return rows(folder, "trial")


GRID = ["--grid=rate=0.1,0.2,0.4;sizes=4|2,3", "--set=steps=2"]


def test_every_combination_is_run_in_turn(command, tmp_path):
    code, out, _ = command("--experiment=mine.toy", *GRID, "--results=out")
    assert code == 0
    calls = sys.modules["mine.toy"].CALLS
    assert [(c.rate, c.sizes, c.steps) for c in calls] == [
        (rate, sizes, 2) for rate in (0.1, 0.2, 0.4) for sizes in ([4], [2, 3])
    ]
    logged = trials(tmp_path / "out")
    assert [row["scores"] for row in logged][2] == pytest.approx([4.0, 4.01])
    best = out.split("--\n")[1].split()
    assert best[:2] == ["0.2", "2,3"] and best[2] == "5.0050"
    assert (tmp_path / "out" / "grid.png").read_bytes().startswith(b"\x89PNG")
    assert "a table" not in out
    assert (tmp_path / "out/runs/000/output.txt").read_text() == "a table\n"


def test_what_leaves_shapes_alone_is_one_program(command, tmp_path):
    code, _, _ = command("--experiment=mine.together", *GRID, "--results=out")
    calls = sys.modules["mine.together"].CALLS
    assert code == 0
    assert [[c.rate for c in group] for group in calls] == [[0.1, 0.2, 0.4]] * 2
    together = {row["trial"]: row["scores"] for row in trials(tmp_path / "out")}
    command("--experiment=mine.toy", *GRID, "--results=turns")
    assert together == {
        row["trial"]: row["scores"] for row in trials(tmp_path / "turns")
    }


def test_an_interrupted_search_goes_on(command, tmp_path):
    grid = "--grid=steps=1,2,13,3"
    flags = ["--experiment=mine.toy", grid, "--set=", "--results=out"]
    code, _, err = command(*flags)
    assert code == 130 and "out.unfinished" in err
    assert not (tmp_path / "out").exists()
    toy = sys.modules["mine.toy"]
    with (tmp_path / "out.unfinished" / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "trial", "tri')  # cut off
    source = (tmp_path / "mine" / "toy.py").read_text()
    exec(source.replace("config.steps == 13", "False"), toy.__dict__)
    assert command(*flags)[0] == 2  # not without being asked to
    code, out, _ = command(*flags, "--resume")
    assert code == 0, out
    assert [config.steps for config in toy.CALLS] == [13, 3]
    assert [row["steps"] for row in trials(tmp_path / "out")] == [
        "1",
        "2",
        "13",
        "3",
    ]


def test_other_flags_cannot_be_resumed(command, tmp_path):
    flags = ["--experiment=mine.toy", "--set=", "--results=out"]
    command(*flags, "--grid=steps=1,13")
    before = trials(tmp_path / "out.unfinished")
    code, _, err = command(*flags, "--grid=steps=1,2", "--resume")
    assert code == 2 and "is of a run with other flags" in err
    assert trials(tmp_path / "out.unfinished") == before


@pytest.mark.parametrize("file", ["config.json", "metrics.jsonl"])
def test_a_damaged_search_is_refused_and_kept(file, command, tmp_path):
    flags = ["--experiment=mine.toy", "--grid=steps=1,13", "--set=", "--results=out"]
    command(*flags)
    damaged = tmp_path / "out.unfinished" / file
    damaged.write_text("{" + "\n")
    code, _, err = command(*flags, "--resume")
    assert code == 2 and "is damaged" in err and err.count("\n") == 1
    assert damaged.read_text() == "{\n"


def test_a_score_is_one_number_a_seed():
    rows = [
        {"kind": "training", "seed": 0, "step": 1, "loss": 3.0},
        {"kind": "training", "seed": 0, "step": 2, "loss": 2.0},
        {"kind": "pca", "mse": 9.0},
        {"kind": "mse", "seed": 0, "mse": 1.0},
        {"kind": "accuracy", "cell": "lstm", "seed": 0, "accuracy": 1.0},
        {"kind": "accuracy", "cell": "gru", "seed": 0, "accuracy": 0.0},
    ]
    for name, scores in {"loss": [2.0], "mse": [1.0]}.items():
        assert hyperparameters._of_seeds(rows, name)[name] == scores
    with pytest.raises(launch.UsageError, match="several accuracy for seed 0"):
        hyperparameters._of_seeds(rows, "accuracy")


def test_a_combination_that_diverges_is_said_to(command):
    code, out, _ = command(
        "--experiment=mine.toy", "--grid=rate=0.1,9", "--set=", "--results=out"
    )
    assert code == 0
    table, verdict, _ = out.splitlines()[-3:]
    assert table.split()[:3] == ["9", "diverged", "1"]
    assert "The choice of rate matters" in verdict


@pytest.mark.parametrize("grid", ["rate=0.1,0.2", "rate=0.1;sizes=1,2;steps=1,2,3"])
def test_one_and_three_flags_are_drawn_too(grid, command, tmp_path):
    code, _, err = command(
        "--experiment=mine.toy", f"--grid={grid}", "--set=", "--results=out"
    )
    assert code == 0, err
    assert (tmp_path / "out" / "grid.png").stat().st_size > 5_000


def test_the_best_is_the_largest_or_the_smallest():
    scores = [np.array([1.0, 2.0]), np.array([np.nan, 9.0]), np.array([1.0, 1.0])]
    assert hyperparameters.best_of(scores, "max") == 0
    assert hyperparameters.best_of(scores, "min") == 2
    assert hyperparameters.best_of(scores[1:2], "min") is None


GRIDS = [
    ([[0.9, 0.91, 0.9], [0.8, 0.81, 0.801]], HOLDS, "1 of 1"),
    ([[0.9, 0.91, 0.9], [0.8, 0.92, 0.9]], OPEN, "0 of 1"),
    ([[0.9, 0.91, 0.9], [0.8, 0.81, 0.801], [0.8, 0.92, 0.9]], IN_PART, "1 of 2"),
    ([[0.9, 0.91, 0.9], [np.nan, 0.5, 0.5]], HOLDS, "1 of 1"),
]


@pytest.mark.parametrize(("scores", "said", "count"), GRIDS)
@pytest.mark.parametrize("goal", ["max", "min"])
def test_the_choice_matters_if_the_best_is_better(scores, said, count, goal):
    sign = 1 if goal == "max" else -1
    scores = [sign * np.array(one) for one in scores]
    values = [{"rate": str(i)} for i in range(len(scores))]
    (verdict,) = grid_figures.verdicts(values, scores, 0, goal)
    assert verdict.said == said and "rate 0 is best" in verdict.why
    title = grid_figures.headline(values, scores, 0, "accuracy", goal)
    assert f"surely better than {count} others" in title


def test_one_combination_is_no_choice():
    one, other = np.array([0.9, 0.8]), np.array([0.7])
    assert grid_figures.verdicts([{"rate": "1"}], [one], 0, "max") == []
    values = [{"seeds": "0,1"}, {"seeds": "0"}]
    assert grid_figures.verdicts(values, [one, other], 0, "max") == []
    assert grid_figures.verdicts(values, [one * np.nan] * 2, None, "max") == []


MISTAKES = [
    (["--experiment=nothing"], "flag --experiment: No module named"),
    (["--experiment=json.tool"], "expected a module with a Config and a run"),
    (["--grid=rate"], "expected NAME=VALUE;NAME=VALUE; got 'rate'"),
    (["--grid=speed=1"], "the experiment has no flag 'speed'; expected one of rate"),
    (["--grid=rate=1,1"], "expected different values of rate; got '1,1'"),
    (["--grid=rate=1,,2"], "expected different values of rate"),
    (["--grid=rate=1;rate=2"], "rate stands there twice"),
    (["--grid=rate=fast"], "flag --rate=fast: no number: 'fast'"),
    (["--set=rate=1"], "flag --set: rate is in the grid"),
    (["--set=steps=0"], "flag --steps=0"),
    (["--metric=loss"], "the experiment logs no number 'loss' for each seed; expected"),
    (["--metric=kind"], "the experiment logs no number 'kind'"),
    (["--experiment=.toy"], "flag --experiment: "),
    (["--goal=best"], "should be one of <max|min>"),
]


@pytest.mark.parametrize("flags, sentence", MISTAKES, ids=str)
def test_a_mistake_is_one_sentence(flags, sentence, command, tmp_path):
    usual = ["--experiment=mine.toy", "--grid=rate=0.1,0.2", "--set=", "--results=out"]
    code, _, err = command(*usual, *flags)
    assert code == 2
    assert sentence in err and err.count("\n") == 1
    left = [] if "--metric" not in flags[0] else [tmp_path / "out.unfinished"]
    assert list(tmp_path.glob("out*")) == left  # a run that is done is kept


def test_resume_needs_a_folder(command):
    code, _, err = command("--experiment=mine.toy", "--grid=rate=1", "--resume")
    assert code == 2 and "name by --results the run to go on with" in err


def test_a_run_reads_what_it_logged(tmp_path):
    with new_run(tmp_path / "out", {"config": 1}) as results:
        results.log(a=1)
        assert results.logged() == [{"a": 1}]
