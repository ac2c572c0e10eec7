"""Runs compared: the table, the statistics, and the sentences of a refusal."""

import importlib
import json
import re
import shutil

import numpy as np
import pytest
from commands import TINY, rows
from scipy import stats

from experiments import compare
from experiments.compare import claims, measure, records
from experiments.compare.measure import Metric
from experiments.harness.runs import new_run

NARROW = {"lstm": [0.80, 0.82, 0.81], "gru": [0.70, 0.75, 0.72]}
WIDE = {"lstm": [0.90, 0.93, 0.91], "gru": [0.71, 0.73, 0.74]}


def make(folder, accuracy, seeds=(0, 1, 2), experiment="toy", **config):
    """A complete run that has trained cells and measured their accuracy."""
    settings = {"experiment": experiment, "command": "", "config": config}
    with new_run(folder, settings) as run:
        for cell, values in accuracy.items():
            for step in (20, 40):
                for seed, value in zip(seeds, values, strict=True):
                    numbers = {"loss": 2.0 - value - step / 100, "gradient_norm": value}
                    where = {"cell": cell, "seed": seed, "step": step}
                    run.log(kind="training", **where, **numbers, learning_rate=0.1)
            for seed, value in zip(seeds, values, strict=True):
                run.log(kind="size", cell=cell, seed=seed, parameters=100)
                for when in ("before", "after"):
                    norms = [-3.0, -2.0 + value, 0.0]
                    where = {"cell": cell, "seed": seed, "when": when}
                    run.log(kind="gradient", **where, log_norm=norms)
                run.log(kind="accuracy", cell=cell, seed=seed, test_accuracy=value)
        run.log(kind="majority", test_accuracy=0.1)


@pytest.fixture
def run(launched, tmp_path):
    """`done = run("narrow", "wide")`: the command, after both runs are made."""
    make(tmp_path / "narrow", NARROW, features=32, cells=["lstm", "gru"])
    make(tmp_path / "wide", WIDE, features=64, cells=["lstm", "gru"])
    return lambda *words: launched(compare, *words, "--results=out")


def cells_of(out):
    """Rows of the table that is printed, by their first column."""
    lines = [line for line in out.splitlines() if "  " in line]
    return {line.split("  ")[0]: line.split("  ", 1)[1] for line in lines}


def test_flags_metrics_and_differences_are_in_one_table(run, tmp_path):
    code, out, err = run("narrow", "wide")
    assert (code, err) == (0, "")
    table = cells_of(out)
    assert table["--features"].split() == ["32", "64"]
    assert "--cells" not in table
    assert "parameters" not in out and "learning_rate" not in out
    lstm, gru = table["test_accuracy (lstm)"], table["test_accuracy (gru)"]
    assert "0.810 [0.785, 0.835]" in lstm and "supported" in lstm
    assert "+0.003" in gru and "inconclusive" in gru
    assert "training loss (lstm)" in table
    assert "compared seed by seed: 0, 1, 2." in out
    assert "3 of 6 differences are supported" in out
    page = (tmp_path / "out" / "report.html").read_text()
    assert "wide and narrow differ in test_accuracy" in page
    assert page.count("<img ") == 3
    files = {path.name for path in (tmp_path / "out").glob("*.png")}
    assert files == {"loss.png", "gradient_norm.png", "gradient_over_time.png"}


@pytest.mark.usefixtures("undrawn")
def test_differences_are_judged_as_claims_are(run, tmp_path):
    run("narrow", "wide")
    logged = rows(tmp_path / "out", "difference")
    (lstm,) = [
        row
        for row in logged
        if (row["metric"], row["case"]) == ("test_accuracy", "lstm")
    ]
    gains = np.array(WIDE["lstm"]) - NARROW["lstm"]
    # Two cells, one of which is inconclusive: simultaneous intervals, Bonferroni.
    low, high = stats.t.interval(0.975, 2, gains.mean(), stats.sem(gains))
    assert [lstm["mean"], lstm["low"], lstm["high"]] == pytest.approx(
        [gains.mean(), low, high]
    )
    assert (tmp_path / "out" / "config.json").exists()
    (claim,) = [c for c in rows(tmp_path / "out", "claim") if "accuracy" in c["text"]]
    outcomes = [(name, outcome) for name, _, outcome in claim["cases"]]
    assert claim["outcome"] == "partly supported"
    assert outcomes == [("lstm", "supported"), ("gru", "inconclusive")]


@pytest.mark.usefixtures("undrawn")
def test_only_common_seeds_are_paired(run, tmp_path):
    make(tmp_path / "more", {"lstm": [0.5, 0.92, 0.94]}, seeds=(7, 2, 1), features=8)
    code, out, _ = run("narrow", "more")
    assert code == 0
    assert "compared seed by seed: 1, 2." in out
    assert "Not measured in every run: test_accuracy (gru)" in out
    (row,) = [
        row
        for row in rows(tmp_path / "out", "difference")
        if row["metric"] == "test_accuracy"
    ]
    gains = np.array([0.94 - 0.82, 0.92 - 0.81])
    assert row["mean"] == pytest.approx(gains.mean())
    expected = stats.t.interval(0.95, 1, gains.mean(), stats.sem(gains))
    assert (row["low"], row["high"]) == pytest.approx(expected)


@pytest.mark.usefixtures("undrawn")
def test_other_seeds_are_compared_by_their_means(run, tmp_path):
    make(tmp_path / "others", {"lstm": WIDE["lstm"]}, seeds=(5, 6, 7), features=32)
    code, out, _ = run("narrow", "others")
    assert code == 0 and "Welch's interval" in out
    (row,) = [
        row
        for row in rows(tmp_path / "out", "difference")
        if row["metric"] == "test_accuracy"
    ]
    welch = stats.ttest_ind(WIDE["lstm"], NARROW["lstm"], equal_var=False)
    expected = welch.confidence_interval()
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))


def test_one_cell_is_compared_with_another(run, tmp_path):
    make(tmp_path / "lstm", {"lstm": WIDE["lstm"]}, cells=["lstm"])
    make(tmp_path / "gru", {"gru": NARROW["gru"]}, cells=["gru"])
    code, out, _ = run("lstm", "gru")
    table = cells_of(out)
    assert code == 0 and "supported" in table["test_accuracy"]
    assert table["--cells"].split() == ["lstm", "gru"]


@pytest.mark.usefixtures("undrawn")
def test_runs_of_other_code_and_data_are_remarked(run, tmp_path):
    file = tmp_path / "wide" / "config.json"
    made = json.loads(file.read_text())
    made["versions"]["jax"], made["commit"] = "0.1", "abc"
    made["config"]["evaluate_on"] = "validation"
    file.write_text(json.dumps(made))
    code, out, _ = run("narrow", "wide")
    assert code == 0
    assert "The version of jax differs: " in out and ", 0.1 in wide." in out
    assert "The commit differs: " in out and ", abc in wide." in out
    assert (
        "in what they measure: --evaluate_on is - in narrow, validation in wide" in out
    )


@pytest.mark.usefixtures("undrawn")
def test_three_runs_are_compared_with_the_first(run, tmp_path):
    make(tmp_path / "2026-11-27_10-00-00", WIDE, features=64, cells=["lstm", "gru"])
    code, out, _ = run("narrow", "wide", "2026-11-27_10-00-00")
    assert code == 0 and "run 2 - run 1" in out and "run 3 - run 1" in out
    differences = rows(tmp_path / "out", "difference")
    assert {row["run"] for row in differences} == {"wide", "2026-11-27_10-00-00"}
    named = [line for line in out.splitlines() if re.match(r"--|folder", line)]
    assert named and all(re.search(r"  \S", line) for line in named)  # no blank rows


@pytest.mark.usefixtures("undrawn")
def test_the_only_case_of_a_metric_has_the_names_of_the_runs(run, tmp_path):
    make(tmp_path / "a", {"lstm": [0.1, 0.2, 0.3]}, features=32)
    make(tmp_path / "b", {"lstm": [0.5, 0.8, 0.6]}, features=64)
    code, out, _ = run("a", "b")
    assert code == 0 and re.search(r"\nb - a +\+0\.43 \[", out)


@pytest.mark.usefixtures("undrawn")
def test_equal_runs_are_called_equal(run, tmp_path):
    shutil.copytree(tmp_path / "narrow", tmp_path / "copy")
    code, out, _ = run("narrow", "copy")
    assert code == 0 and "The runs have measured the same numbers." in out
    assert cells_of(out)["test_accuracy (lstm)"].split()[-2:] == ["0", "equal"]


def test_one_seed_supports_nothing(run, tmp_path):
    make(tmp_path / "a", {"lstm": [0.5]}, seeds=[0])
    make(tmp_path / "b", {"lstm": [0.9]}, seeds=[0])
    code, out, _ = run("a", "b")
    assert code == 0 and "None of 3 differences is supported." in out
    assert "one seed has no interval" in out


@pytest.mark.usefixtures("undrawn")
def test_what_diverged_is_not_judged(run, tmp_path):
    make(tmp_path / "bad", {"lstm": [0.5, np.nan, 0.5], "gru": NARROW["gru"]})
    code, out, _ = run("narrow", "bad")
    row = cells_of(out)["test_accuracy (lstm)"]
    assert code == 0 and row.split()[-3:] == ["none", "-", "-"]


MISTAKES = [
    (["narrow"], "expected the folders of two runs or more; got 1"),
    ([], "expected RUNS... (Folders of complete runs of one experiment, two or more)"),
    (["narrow", "narrow/"], "expected different runs; narrow/ is given twice"),
    (["narrow", "zzz"], "expected the folder of a run; there is no folder zzz"),
    (["narrow", "half"], "run half is not complete"),
    (["narrow", "half.unfinished"], "run half.unfinished is not complete"),
    (["narrow", "empty"], "config.json is missing"),
    (["narrow", "broken"], "run broken is damaged: metrics.jsonl"),
    (["narrow", "other"], "narrow is a run of toy, other one of another"),
    (["narrow", "elman"], "narrow and elman have no metric in common"),
    (["plain", "plain2"], "toy logs no metric for each seed"),
    (["narrow", "wide", "--zzz"], "zzz"),
]


@pytest.mark.parametrize(("words", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence(words, sentence, run, tmp_path):
    (tmp_path / "half.unfinished").mkdir()
    (tmp_path / "empty").mkdir()
    make(tmp_path / "broken", NARROW)
    with (tmp_path / "broken" / "metrics.jsonl").open("a") as file:
        file.write("{no row\n")
    make(tmp_path / "other", NARROW, experiment="another")
    make(tmp_path / "elman", {"elman": [0.1] * 3, "rg": [0.1] * 3})
    for name in ("plain", "plain2"):
        make(tmp_path / name, {})
    code, out, err = run(*words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert sentence in err and err.startswith("compare: ")
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob("out.*"))


@pytest.mark.usefixtures("undrawn")
@pytest.mark.slow
@pytest.mark.parametrize("name", ["gradient_flow", "remedies", "spectra"])
def test_runs_of_experiments_are_compared(name, launched, tmp_path):
    module = importlib.import_module(f"experiments.{name}")
    flags = [f"--{flag}" for flag in TINY[name].split(";")]
    done = launched(module, *flags, "--seeds=0,1", "--results=0")
    assert done.returncode == 0
    renumber(tmp_path / "0", tmp_path / "1")
    code, out, err = launched(compare, "0", "1", "--results=out")
    assert (code, err) == (0, "")
    table = cells_of(out)
    assert table["--seeds"].split() == ["0,1", "1,2"] and "Welch's" in out
    expected = {
        "gradient_flow": "decay (gru, after)",
        "remedies": "error_with",
        "spectra": "exponents[0]",
    }
    assert expected[name] in table
    assert all(np.isfinite(row["mean"]) for row in rows(tmp_path / "out", "difference"))


def renumber(folder, copy):
    """Copy a run of seeds 0 and 1 as one of seeds 1 and 2."""
    shutil.copytree(folder, copy)
    config = json.loads((copy / "config.json").read_text())
    config["config"]["seeds"] = [1, 2]
    (copy / "config.json").write_text(json.dumps(config))
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    logged = [
        row | ({"seed": row["seed"] + 1} if "seed" in row else {})
        for row in map(json.loads, lines)
    ]
    (copy / "metrics.jsonl").write_text("\n".join(map(json.dumps, logged)) + "\n")


def test_numeric_labels_distinguish_rows():
    made = [
        {"kind": "mse", "latent": size, "seed": seed, "mse": size + seed / 10, "n": 7}
        for size in (4, 2)
        for seed in (0, 1)
    ]
    run = records.RunRecord("a", "a", {"config": {}}, made)
    assert [(m.label, m.by_run[0]) for m in measure.metrics([run])] == [
        ("mse (latent 4)", {0: 4.0, 1: 4.1}),
        ("mse (latent 2)", {0: 2.0, 1: 2.1}),
    ]


def test_settings_of_a_study_distinguish_its_trainings():
    """The model of the larger rate is dropped after the first step, for seed 0."""
    logged = [
        {"kind": "training", "seed": seed, "step": step, "learning_rate": rate}
        | {"loss": 10 * step + rate}
        for step in (1, 2)
        for rate in (0.5, 0.25)
        for seed in (0, 1)
        if (step, rate, seed) != (2, 0.5, 0)
    ]
    metadata = {"config": {"learning_rate": [0.5, 0.25]}}
    runs = [records.RunRecord("a", "a", metadata, logged)] * 2
    large, small = measure.learning_curves(runs, "loss")
    assert (large.case, small.case) == ("learning_rate 0.5", "learning_rate 0.25")
    x, values = large.by_run[1]
    assert x.tolist() == [1, 2]
    np.testing.assert_array_equal(values, [[10.5, np.nan], [10.5, 20.5]])
    assert small.by_run[1][1].tolist() == [[10.25, 20.25]] * 2


def test_the_last_step_of_each_training_counts():
    steps = [(20, 0.5), (40, 0.4), (20, 0.3), (40, 0.2)]
    made = [
        {"kind": "training", "latent": 4 - i // 2, "seed": 0, "step": at, "loss": loss}
        for i, (at, loss) in enumerate(steps)
    ]
    run = records.RunRecord("a", "a", {"config": {}}, made)
    (wide, narrow) = [m.by_run[0][0] for m in measure.metrics([run])]
    assert (wide, narrow) == (0.4, 0.2)
    curves = measure.learning_curves([run, run], "loss")
    x, values = curves[1].by_run[0]
    assert x.tolist() == [20, 40] and values.tolist() == [[0.3, 0.2]]


def test_an_outcome_needs_an_interval_without_zero():
    metric = Metric("m", "", [{0: 1.0, 1: 1.2, 2: 1.1}, {0: 0.5, 1: 0.8, 2: 0.6}])
    (one,) = claims.differences([metric], 2)
    assert one.outcome == "supported" and one.interval.high < 0
