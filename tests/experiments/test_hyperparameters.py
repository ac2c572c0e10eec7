"""Grid search, over toy experiments that count how often they run."""

import re
import sys

import numpy as np
import pytest
from commands import rows

from experiments.harness import cli
from experiments.harness.claims import INCONCLUSIVE, PARTLY_SUPPORTED, SUPPORTED
from experiments.harness.runs import new_run
from experiments.hyperparameters import claims, scores
from experiments.hyperparameters import experiment as hyperparameters
from experiments.hyperparameters.grid import GridResult
from experiments.hyperparameters.scores import Search

TOYS = """
import dataclasses, pathlib, types
import numpy as np
from experiments.harness import cli
from train import NonFiniteError

CALLS = []

@dataclasses.dataclass(frozen=True)
class Config:
    rate: float = cli.flag(0.1, "A rate.")
    sizes: list[int] = cli.flag([4], "Sizes.", lower_bound=None)
    seeds: list[int] = cli.flag([0, 1], "Seeds.")
    steps: int = cli.flag(1, "Steps.", lower_bound=1)

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

BROKEN = {
    "syntax": "def run(:",
    "name": "Config = nothing",
    "exits": "raise SystemExit(0)",
    "odd": "raise GeneratorExit",
    "missing": "import no_such_module",
    "half": "class Config: pass\ndef run(config, results): pass",
}


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Run the command in this process; its exit code (0 if it returns), and words."""
    (tmp_path / "toys.py").write_text(TOYS)
    (tmp_path / "together.py").write_text(TOGETHER)
    (tmp_path / "mine").mkdir()
    for name, text in {"toy": TOYS, **BROKEN}.items():
        (tmp_path / "mine" / f"{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("mine.toy", "mine.together", "toys", "together", "mine"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "mine" / "together.py").write_text(TOGETHER)

    def call(*flags):
        monkeypatch.setattr(sys, "argv", ["hyperparameters", *flags])
        code = 0
        try:
            cli.main(hyperparameters.Config, hyperparameters.run, resumable=True)
        except SystemExit as stop:
            code = stop.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

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


@pytest.mark.usefixtures("undrawn")
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


@pytest.mark.usefixtures("undrawn")
def test_an_interrupted_search_is_resumed(command, tmp_path):
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


@pytest.mark.usefixtures("undrawn")
def test_other_flags_cannot_be_resumed(command, tmp_path):
    flags = ["--experiment=mine.toy", "--set=", "--results=out"]
    command(*flags, "--grid=steps=1,13")
    before = trials(tmp_path / "out.unfinished")
    code, _, err = command(*flags, "--grid=steps=1,2", "--resume")
    assert code == 2 and "belongs to a run with other flags" in err
    assert trials(tmp_path / "out.unfinished") == before


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("file", ["config.json", "metrics.jsonl"])
def test_a_damaged_search_is_refused_and_kept(file, command, tmp_path):
    flags = ["--experiment=mine.toy", "--grid=steps=1,13", "--set=", "--results=out"]
    command(*flags)
    damaged = tmp_path / "out.unfinished" / file
    damaged.write_text("{" + "\n")
    code, _, err = command(*flags, "--resume")
    assert code == 2 and "is damaged" in err and err.count("\n") == 1
    assert damaged.read_text() == "{\n"


ROWS = [
    {"kind": "training", "cell": "lstm", "seed": 0, "step": 1, "loss": 3.0},
    {"kind": "training", "cell": "lstm", "seed": 0, "step": 2, "loss": 2.0},
    {"kind": "training", "cell": "gru", "seed": 0, "step": 1, "loss": 6.0},
    {"kind": "training", "cell": "gru", "seed": 0, "step": 2, "loss": 4.0},
    {"kind": "pca", "mse": 9.0},
    {"kind": "mse", "seed": 0, "latent": 4, "mse": 1.0},
    {"kind": "mse", "seed": 0, "latent": 8, "mse": 2.0},
    {"kind": "gain", "when": "before", "seed": 0, "gain": 9.0},
    {"kind": "gain", "when": "after", "seed": 0, "gain": None},
    {"kind": "norm", "seed": 0, "norms": [1.0, 7.0], "gates": {"keep": 0.5}},
]
SCORES = [
    ("loss", {}, [3.0], "cell lstm, gru"),  # the last of each training, their mean
    ("loss", {"cell": "gru"}, [4.0], ""),
    ("mse", {}, [1.5], ""),  # only of seeds, if there are any
    ("mse", {"latent": "8"}, [2.0], ""),
    ("gain", {"when": "before"}, [9.0], ""),
    ("norms.-1", {}, [7.0], ""),
    ("gates.keep", {}, [0.5], ""),
]


@pytest.mark.parametrize(("metric", "where", "expected", "means"), SCORES)
def test_a_score_is_one_number_per_seed(metric, where, expected, means):
    read = scores.read(ROWS, Search(metric, "max", where, False))
    assert (read.scores, read.means) == (expected, means)


def test_what_is_null_diverged_and_a_run_without_seeds_has_one_score():
    assert np.isnan(scores.read(ROWS, Search("gain", "max", {}, False)).scores).all()
    rows = [{"size": 2}, {"size": 4}]
    assert scores.read(rows, Search("size", "max", {}, False)).scores == [3.0]
    for search, message in (
        (Search("speed", "max", {}, False), "expected one of latent, loss, mse"),
        (Search("loss", "max", {"cell": "elman"}, False), "logs no row of cell=elman"),
    ):
        with pytest.raises(cli.UsageError, match=message):
            scores.read(ROWS, search)


VALIDATED = TOYS.replace(
    "test_accuracy=score(config, seed)",
    "validation_accuracy=score(config, seed), test_accuracy=-config.rate",
)
SPLIT = TOYS.replace(
    "    steps: int",
    """    evaluate_on: str = cli.flag("test", "On.", choices=("test", "validation"))
    steps: int""",
).replace(
    "test_accuracy=score(config, seed)",
    "test_accuracy=score(config, seed) if config.evaluate_on == 'validation' else 0.5",
)


@pytest.mark.usefixtures("undrawn")
def test_the_best_in_validation_is_run_again_on_the_test_set(command, tmp_path):
    (tmp_path / "mine" / "split.py").write_text(SPLIT)
    sys.modules.pop("mine.split", None)
    grid = "--experiment=mine.split", "--grid=rate=0.1,0.2,0.4", "--set=sizes=1"
    code, out, err = command(*grid, "--results=out")
    assert code == 0, err
    runs = [(c.rate, c.evaluate_on) for c in sys.modules["mine.split"].CALLS]
    assert runs == [(rate, "validation") for rate in (0.1, 0.2, 0.4)] + [(0.2, "test")]
    chosen = rows(tmp_path / "out", "chosen")
    assert [(row["trial"], row["score"]) for row in chosen] == [("rate=0.2", 0.5)] * 2
    (report,) = rows(tmp_path / "out", "report")
    figure = report["figures"]["grid.png"]
    alt = report["alt"]["grid.png"]
    for text in (out, figure, " ".join(report["findings"])):
        assert (
            "Selected by validation_accuracy on data held out of the training" in text
        )
        assert "test_accuracy of the selected combination 0.5000 ± 0.0000" in text
    assert "is biased" not in out
    assert "validation_accuracy 1.0050 ± 0.0071, test_accuracy 0.5" in alt
    # Flags that set the data to measure on are kept, and the best value is biased.
    code, out, _ = command(*grid[:2], "--set=evaluate_on=test", "--results=other")
    assert code == 0 and "best of 3 values is biased" in out
    assert {c.evaluate_on for c in sys.modules["mine.split"].CALLS[4:]} == {"test"}


@pytest.mark.usefixtures("undrawn")
def test_an_experiment_that_logs_both_is_selected_by_the_one_that_is_asked(
    command, tmp_path
):
    (tmp_path / "mine" / "both.py").write_text(VALIDATED)
    sys.modules.pop("mine.both", None)
    flags = "--experiment=mine.both", "--grid=rate=0.1,0.2", "--set=sizes=1"
    code, out, err = command(*flags, "--metric=validation_accuracy", "--results=out")
    assert code == 0, err
    assert "test_accuracy of the selected combination -0.2" in out
    assert [row["score"] for row in rows(tmp_path / "out", "chosen")] == [-0.2, -0.2]
    _, out, _ = command(*flags, "--metric=test_accuracy", "--results=flattered")
    assert "Selected by test_accuracy; the best of 2 values is biased" in out


BAD_ROWS = [
    '{"trial": "rate=0.1", "scores": [1.0]}',
    '{"kind": "trial", "scores": [1.0]}',
    '{"kind": "trial", "trial": "rate=0.1"}',
    '{"kind": "trial", "trial": "rate=0.1", "scores": 3}',
    '{"kind": "trial", "trial": "rate=0.1", "scores": ["a"]}',
    '{"kind": "trial", "trial": ["rate"], "scores": [1.0]}',
]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("row", BAD_ROWS)
def test_a_damaged_row_is_one_sentence(row, command, tmp_path):
    flags = ["--experiment=mine.toy", "--grid=steps=1,13", "--set=", "--results=out"]
    command(*flags)
    (tmp_path / "out.unfinished" / "metrics.jsonl").write_text(row + "\n")
    code, _, err = command(*flags, "--resume")
    assert code == 2 and "damaged" in err and err.count("\n") == 1


def test_a_combination_that_diverges_is_reported(command):
    code, out, _ = command(
        "--experiment=mine.toy", "--grid=rate=0.1,9", "--set=", "--results=out"
    )
    assert code == 0
    assert re.search(r"\n9 +diverged +1 ", out)
    assert "\n\nThe choice of rate matters" in out


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
    ([[0.9, 0.91, 0.9], [0.8, 0.81, 0.801]], SUPPORTED, "1 of 1"),
    ([[0.9, 0.91, 0.9], [0.8, 0.92, 0.9]], INCONCLUSIVE, "0 of 1"),
    (
        [[0.9, 0.91, 0.9], [0.8, 0.81, 0.801], [0.8, 0.92, 0.9]],
        PARTLY_SUPPORTED,
        "1 of 2",
    ),
    ([[0.9, 0.91, 0.9], [np.nan, 0.5, 0.5]], SUPPORTED, "1 of 1"),
]


@pytest.mark.parametrize(("scores", "outcome", "count"), GRIDS)
@pytest.mark.parametrize("objective", ["max", "min"])
def test_the_choice_matters_if_the_best_is_better(scores, outcome, count, objective):
    sign = 1 if objective == "max" else -1
    scores = [sign * np.array(values) for values in scores]
    values = [{"rate": str(i)} for i in range(len(scores))]
    grid = GridResult(values, scores, 0, objective, "accuracy")
    (claim,) = claims.evaluate_claims(grid)
    assert claim.outcome == outcome and "best combination, rate 0." in claim.evidence
    title = claims.headline(grid)
    assert f"reliably better than {count} others" in title


def test_one_combination_is_no_choice():
    def judged(values, scores, best):
        return claims.evaluate_claims(
            GridResult(values, scores, best, "max", "accuracy")
        )

    one, other = np.array([0.9, 0.8]), np.array([0.7])
    assert judged([{"rate": "1"}], [one], 0) == []
    values = [{"seeds": "0,1"}, {"seeds": "0"}]
    assert judged(values, [one, other], 0) == []
    assert judged(values, [one * np.nan] * 2, None) == []


MISTAKES = [
    (["--experiment=nothing"], "flag --experiment: No module named"),
    (["--experiment=json.tool"], "expected a module with a Config and a run"),
    (["--grid=rate"], "expected NAME=VALUE;NAME=VALUE; got 'rate'"),
    (["--grid=speed=1"], "the experiment has no flag 'speed'; expected one of rate"),
    (["--grid=rate=1,1"], "expected different values of rate; got '1,1'"),
    (["--grid=rate=1,,2"], "expected different values of rate"),
    (["--grid=rate=1;rate=2"], "rate is given twice"),
    (["--grid=rate=fast"], "flag --rate=fast: no number: 'fast'"),
    (["--set=rate=1"], "flag --set: rate is in the grid"),
    (["--set=steps=0"], "flag --steps=0"),
    (["--metric=loss"], "the experiment logs no number 'loss' for each seed; expected"),
    (["--metric=kind"], "the experiment logs no number 'kind'"),
    (["--experiment=.toy"], "flag --experiment: "),
    (["--experiment=mine.syntax"], "cannot be imported: SyntaxError: "),
    (["--experiment=mine.name"], "cannot be imported: NameError: "),
    (["--experiment=mine.exits"], "cannot be imported: SystemExit: 0"),
    (["--experiment=mine.odd"], "cannot be imported: GeneratorExit"),
    (["--experiment=mine.missing"], "No module named 'no_such_module'"),
    (["--experiment=mine.half"], "expected a Config of mine.half that is a dataclass"),
    (["--where=rate"], "flag --where: expected NAME=VALUE;NAME=VALUE; got 'rate'"),
    (["--where=cell=lstm"], "flag --where: the experiment logs no row of cell=lstm"),
    (["--objective=best"], "expected one of max, min"),
]


@pytest.mark.parametrize("flags, sentence", MISTAKES, ids=str)
def test_a_mistake_is_one_sentence(flags, sentence, command, tmp_path):
    usual = ["--experiment=mine.toy", "--grid=rate=0.1,0.2", "--set=", "--results=out"]
    code, _, err = command(*usual, *flags)
    assert code == 2
    assert sentence in err and err.count("\n") == 1
    late = flags[0].startswith(("--metric", "--where=cell"))
    left = [tmp_path / "out.unfinished"] if late else []
    assert list(tmp_path.glob("out*")) == left  # a run that is done is kept


@pytest.mark.usefixtures("undrawn")
def test_of_the_default_settings_those_count_that_the_experiment_has(command, tmp_path):
    (tmp_path / "mine" / "bare.py").write_text(
        TOYS.replace("    steps: int", "    other: int").replace("config.steps", "0")
    )
    sys.modules.pop("mine.bare", None)
    code, _, err = command("--experiment=mine.bare", "--grid=rate=1", "--results=out")
    assert code == 0, err
    (config,) = sys.modules["mine.bare"].CALLS
    assert config.seeds == [0, 1, 2]


def test_resume_needs_a_folder(command):
    code, _, err = command("--experiment=mine.toy", "--grid=rate=1", "--resume")
    assert code == 2 and "name the run to resume with --results" in err


def test_a_run_reads_what_it_logged(tmp_path):
    with new_run(tmp_path / "out", {"config": 1}) as results:
        results.log(a=1)
        assert results.logged() == [{"a": 1}]


@pytest.mark.usefixtures("undrawn")
def test_trials_with_event_files_run_one_by_one(command, tmp_path):
    flag = 'tensorboard: bool = cli.flag(False, "Event files.")'
    text = TOGETHER.replace("    steps: int", f"    {flag}\n    steps: int")
    (tmp_path / "mine" / "watched.py").write_text(text)
    sys.modules.pop("mine.watched", None)
    code, _, err = command(
        *("--experiment=mine.watched", "--grid=rate=0.1,0.2", "--results=out"),
        "--set=tensorboard=true;seeds=3",
    )
    assert code == 0, err
    for trial in ("000", "001"):
        folder = tmp_path / "out" / "runs" / trial / "tensorboard"
        assert not folder.exists()  # it logs no training
        assert len(rows(tmp_path / "out" / "runs" / trial, "accuracy")) == 1
