"""The main job, run through its command line."""

import json
import pathlib
import sys
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
from commands import files

from experiments.gradient_flow import captions, figures
from experiments.gradient_flow import experiment as gradient_flow
from experiments.gradient_flow.measure import ProbeResult
from experiments.harness import cli

SMALL = ["--steps=3", "--features=4", "--seeds=0,1", "--order=rows"]
TINY = [*SMALL, "--probes=none"]

CELLS = """
import jax, jax.numpy as jnp, nets

def _step(params, state, x):
    state = 0.9 * state + x @ params
    return state, jnp.tanh(state)

leaky = nets.Cell(
    init=lambda key, inputs, features: jax.random.normal(key, (inputs, features)),
    initial_state=lambda w, x: jnp.zeros((*x.shape[:-1], w.shape[-1])),
    step=_step,
)

def make():
    return leaky

def no_batch():
    return leaky._replace(initial_state=lambda w, x: jnp.zeros((1, 4)))

def no_step():
    return leaky._replace(step=lambda w, state, x: (state @ x, state))

def grows():
    return leaky._replace(step=lambda w, state, x: ((state, state), state))

def explodes():  # the state is nan after a training step, as w leaves what it was
    def step(w, state, x):
        state, y = _step(w, state, x)
        return jnp.where((w == 1).all(), state, jnp.nan), y * 0 + state
    return leaky._replace(step=step, init=lambda k, i, f: jnp.ones((i, f)))

def pair():
    return leaky._replace(step=lambda w, s, x: (_step(w, s, x)[0], (x, x)))

def integer():
    zeros = jnp.zeros((2, 4), int)
    return leaky._replace(step=lambda w, s, x: (_step(w, s, x)[0], zeros))

def hidden():  # state and output out of one scan
    def step(w, state, x):
        state, ys = jax.lax.scan(lambda s, x: _step(w, s, x), state, x[None])
        return state, ys[0]
    return leaky._replace(step=step)

def counts():
    return leaky._replace(init=lambda k, i, f: jnp.ones((i, f), int))

def exits():
    raise SystemExit(5)

def raises():
    raise RuntimeError("boom")

number = 3
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder of this test, which has only mycells.py."""
    (tmp_path / "mycells.py").write_text(CELLS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mycells", raising=False)
    return tmp_path


class Done(NamedTuple):
    """Exit code and output of a command."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(folder, monkeypatch, capsys):
    """`done = run("--flag=value", ...)` in this process, which is faster."""

    def run(*flags):
        monkeypatch.setattr(sys, "argv", ["gradient_flow", *flags])
        code: Any = 0
        try:
            cli.main(gradient_flow.Config, gradient_flow.run)
        except SystemExit as stop:
            code = stop.code
        return Done(code, *capsys.readouterr())

    return run


def rows(folder: pathlib.Path, kind: str) -> list[dict]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, lines) if row["kind"] == kind]


@pytest.mark.slow
def test_it_compares_cells_before_and_after_training(run, folder):
    done = run(*TINY, "--cells=elman,lstm,gru,mycells:make", "--results=out")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # no bar where there is no terminal
    lines = done.stdout.splitlines()
    start = lines.index(next(line for line in lines if "----" in line)) + 1
    assert [line.split()[0] for line in lines[start : lines.index("", start)]] == [
        "elman",
        "lstm",
        "gru",
        "mycells:make",
    ]
    assert lines[-1] == "Results: out"
    out = folder / "out"
    assert files(out) == {
        "config.json",
        "metrics.jsonl",
        "checkpoints",
        "gradient_flow.png",
        "report.html",
    }
    assert (out / "gradient_flow.png").read_bytes().startswith(b"\x89PNG")
    config = json.loads((out / "config.json").read_text())
    assert config["command"].startswith("python -m experiments.gradient_flow --steps=3")
    assert config["config"]["cells"][3] == "mycells:make"
    assert config["config"]["steps"] == 3

    gradients = rows(out, "gradient")
    assert len(gradients) == 4 * 2 * 2  # cells, seeds, before and after
    for row in gradients:
        assert len(row["log_norm"]) == 8
        slope = np.polyfit(range(8), row["log_norm"], 1)[0]
        np.testing.assert_allclose(row["decay"], slope, rtol=1e-3, atol=1e-5)
    assert len(rows(out, "training")) == 4 * 2
    judged = rows(out, "claim")
    assert [row["text"].split()[0] for row in judged] == ["Before", "After"]
    assert all(row["evidence"] in done.stdout for row in judged)
    assert len(judged[0]["cases"]) == 4 * 3 / 2  # all pairs
    assert all(0 <= row["test_accuracy"] <= 1 for row in rows(out, "accuracy"))


def test_captions_give_what_was_measured():
    config = gradient_flow.Config(cells=["elman", "lstm"], seeds=[0])
    gates = {"forget": np.ones((2, 1))}
    courses = [
        ProbeResult(cell, np.array([0, 1]), None, marks, None)
        for cell, marks in {"elman": {}, "lstm": gates}.items()
    ]
    data = SimpleNamespace(noun="digits", setting="Digits as pixels", time=64)
    texts = captions.learning(courses, config, 64, data)
    assert "Median over 64 held-out digits" in texts["learning.png"]
    assert "range" not in "".join(texts.values())  # of one seed there is none
    assert "over 4 held-out digits" in texts["lyapunov.png"]
    assert (
        "lstm: orthogonal" in texts["gates.png"] and "elman" not in texts["gates.png"]
    )
    two = gradient_flow.Config(cells=["lstm"], seeds=[0, 1])
    texts = captions.learning(courses[1:], two, 3, data)
    assert "range" not in texts["learning.png"]
    assert "over 3 held-out digits" in texts["lyapunov.png"]
    assert "mean and range of 2 seeds" in texts["gates.png"]


def test_the_color_scale_fits_norms_after_the_first_probe():
    first, later = np.full((1, 5), -9.0), np.linspace(-2.5, -0.5, 100).reshape(20, 5)
    low, high = figures._color_limits([np.concatenate([first, later])])
    assert -2.5 <= low < -2.4 and -0.6 < high <= -0.5
    for flat in (first, np.full((3, 5), -np.inf), np.full((3, 5), np.nan)):
        low, high = figures._color_limits([flat])
        assert np.isfinite([low, high]).all() and low < high


def test_a_constant_cell_is_drawn_without_a_warning():
    nothing = np.full((2, 1, 4), -np.inf)
    exponents = np.full((2, 1, 3), -np.inf)
    course = ProbeResult("mine:c", np.array([0, 1]), nothing, {}, exponents)
    texts = {name: "caption" for name in ("learning.png", "lyapunov.png")}
    plots = figures.draw_probes([course], texts)
    assert plots.keys() == texts.keys()
    for plot in plots.values():
        plot.figure.canvas.draw()


@pytest.mark.slow
def test_probes_measure_during_training(run, folder):
    flags = *SMALL, "--cells=gru,mycells:make", "--probe_every=2"
    done = run(*flags, "--results=out")
    assert done.returncode == 0, done.stderr
    out = folder / "out"
    pictures = {"gradient_flow", "learning", "gates", "lyapunov"}
    assert {path.stem for path in out.glob("*.png")} == pictures
    assert "mycells:make has no tagged gates (see nets.tag_gate)." in done.stdout
    page = (out / "report.html").read_text()
    assert "mycells:make has no tagged gates" in page
    assert page.count("<img") == len(pictures)
    probes = rows(out, "probe")
    assert [row["step"] for row in probes if row["cell"] == "gru"] == [0, 0, 2, 2, 3, 3]
    gates = {row["cell"]: row["gates"].keys() for row in probes}
    assert gates == {"gru": {"reset", "update"}, "mycells:make": set()}
    for row in probes:
        assert len(row["state_gradients"]) == 8
        assert all(0 < mean < 1 for mean in row["gates"].values())
        # One multiplies the old state by 0.9, whatever it learns.
        if row["cell"] == "mycells:make":
            np.testing.assert_allclose(row["lyapunov"], np.log(0.9), rtol=1e-5)
    # The first and last probe repeat "before" and "after" on fewer digits.
    before, after = (
        [r["decay"] for r in rows(out, "gradient") if r["when"] == when]
        for when in ("before", "after")
    )
    norms = {(r["cell"], r["seed"], r["step"]): r["state_gradients"] for r in probes}
    for i, (cell, seed) in enumerate(
        (c, s) for c in ("gru", "mycells:make") for s in (0, 1)
    ):
        for step, rates in ((0, before), (3, after)):
            slope = np.polyfit(range(8), norms[cell, seed, step], 1)[0]
            np.testing.assert_allclose(slope, rates[i], atol=0.05)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.slow
def test_each_direction_is_measured_in_its_own_order(run, folder):
    flags = *SMALL, "--seeds=0", "--cells=lstm", "--bidirectional", "--probe_every=9"
    done = run(*flags, "--results=out")
    assert done.returncode == 0, done.stderr
    probes = rows(folder / "out", "probe")
    assert [(row["direction"], row["step"]) for row in probes] == [
        (direction, step) for step in (0, 3) for direction in ("forward", "backward")
    ]
    for row in probes:
        assert row["gates"].keys() == {"input", "forget", "output"}
        assert len(row["lyapunov"]) == 8
        assert row["lyapunov"] == sorted(row["lyapunov"], reverse=True)
    lines = [line.split()[:2] for line in done.stdout.splitlines()]
    at = lines.index(["lstm", "forward"])
    assert lines[at + 1] == ["lstm", "backward"]
    gradients = rows(folder / "out", "gradient")
    assert {row["direction"] for row in gradients} == {"forward", "backward"}
    for row in gradients:
        # The input that a direction reads last, x_7 or x_0, is nearest to the loss.
        assert row["log_norm"][-1] > row["log_norm"][0], row["direction"]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.slow
def test_the_initializer_is_chosen_and_always_recorded(run, folder):
    flags = *TINY, "--steps=1", "--seeds=0"
    norms = {}
    for init, name in {"own": "orthogonal", "chrono": "chrono(8)"}.items():
        done = run(*flags, "--cells=gru,min_gru", f"--init={init}", f"--results={init}")
        assert done.returncode == 0, done.stderr
        starts = {row["cell"]: row["init"] for row in rows(folder / init, "cell")}
        assert starts == {"gru": name, "min_gru": "own"}
        before = [r for r in rows(folder / init, "gradient") if r["when"] == "before"]
        norms[init] = {row["cell"]: row["log_norm"] for row in before}
    for cell, same in {"gru": False, "min_gru": True}.items():
        assert (norms["own"][cell] == norms["chrono"][cell]) == same


@pytest.mark.usefixtures("undrawn")
@pytest.mark.slow
def test_flags_can_be_in_a_file_and_results_go_to_a_new_folder(run, folder):
    (folder / "flags.txt").write_text("\n".join([*TINY, "--cells=elman"]))
    done = run("--flagfile=flags.txt")
    assert done.returncode == 0, done.stderr
    (made,) = (folder / "results" / "gradient_flow").iterdir()
    assert done.stdout.splitlines()[-1] == f"Results: {made.relative_to(folder)}"


def test_help_shows_the_question_and_the_flags(run):
    done = run("--help")
    assert done.returncode == 0
    assert done.stdout.startswith("How far back does the gradient of each cell reach")
    assert "--learning_rate=0.003" in done.stdout
    assert "--results=FOLDER" in done.stdout


MISTAKES = [
    ("--cells=lsmt", "unknown cell 'lsmt'; expected one of elman, irnn, "),
    ("--cells=", "--cells: expected values separated by commas"),
    ("--cells=gru,gru", "gru is given twice"),
    ("--cells=nowhere:cell", "cannot be imported: ModuleNotFoundError"),
    ("--cells=mycells:nothing", "has no attribute 'nothing'"),
    ("--cells=mycells:number", "nor a function that returns one; got int"),
    ("--cells=mycells:raises", "RuntimeError: boom"),
    ("--cells=mycells:no_batch", "keep the state's structure, shapes and dtypes"),
    ("--cells=mycells:no_step", "fails on an input of shape [2, 8]"),
    ("--cells=mycells:grows", "keep the state's structure, shapes and dtypes"),
    ("--cells=mycells:pair", "expected its output to be one array of real numbers"),
    ("--cells=mycells:integer", "expected its output to be one array of real numbers"),
    ("--cells=mycells:hidden", "computed from its new state in the open"),
    ("--cells=mycells:counts", "expected parameters to be arrays of real numbers"),
    ("--cells=mycells:exits", "cannot be imported: SystemExit: 5"),
    (
        "--cells=conv_lstm",
        "it reads images (spatial_dims = 2): run it from Python, with",
    ),
    ("--probes=spectra", "expected some of state_gradients, gates, lyapunov, or none"),
    ("--probes=gates,none", "or none; got 'none'"),
    ("--probe_every=0", "flag --probe_every=0: 0 is not a positive integer"),
    ("--init=xavier", "flag --init: "),
    ("--init=chrono(1)", "flag --init: "),
    ("--init=chrono", "cell 'elman': "),
    ("--steps=99999999999999999999", "--steps: expected at most 10,000,000"),
    ("--bidirectional=maybe", "flag --bidirectional=maybe: expected true or false"),
    ("--results=", "flag --results: expected a folder"),
    ("--results=/", "expected a folder for the results; got '/'"),
    ("--steps=0", "flag --steps=0: 0 is not a positive integer"),
    ("--steps=many", "flag --steps=many: no integer: 'many'"),
    ("--stpes=1", "unknown flag --stpes; did you mean --steps?"),
    ("--order=diagonal", "expected one of pixels, rows"),
    ("--optimizer=none", "expected one of adam, adamw, "),
    ("--learning_rate=nan", "expected a finite number; got nan"),
    ("--learning_rate=-1", "is not a non-negative number"),
    ("--seeds=a", "--seeds: expected integers separated by commas; got 'a'"),
    ("--seeds=-1", "expected integers from 0 to 2^32 - 1; got [-1]"),
    ("--batch_size=899", "expected at most 898, the training digits; got 899"),
    ("--results=mycells.py", "exists already; remove it, or name another"),
    ("--results=mycells.py/out", "cannot be written: Not a directory"),
    ("--flagfile=nowhere", "flag --flagfile: expected a file of text in UTF-8; got ["),
    ("train", "expected flags only, --name=value; got 'train'"),
]


@pytest.mark.parametrize(("flag", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence(flag, sentence, run, folder):
    done = run(*TINY, flag)
    assert done.returncode == 2
    assert done.stderr.startswith("gradient_flow: ")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert files(folder) <= {
        "mycells.py",
        "__pycache__",
        "results",
    }
    assert not list(folder.glob("results/*/*"))


@pytest.mark.slow
def test_a_run_that_fails_reports_where_and_keeps_what_was_logged(run, folder):
    done = run(*TINY, "--cells=elman,mycells:explodes", "--results=out")
    assert done.returncode == 1
    assert "the run failed: step 2, seed 0: the loss is not finite" in done.stderr
    assert "out.unfinished" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (folder / "out").exists()
    assert rows(folder / "out.unfinished", "accuracy")[0]["cell"] == "elman"
