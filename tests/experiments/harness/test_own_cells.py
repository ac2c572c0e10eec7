"""Cells of a user's own, on every command line that takes one."""

import functools
import importlib
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest
from commands import TINY, rows
from own_cells import BROKEN, MODULES, RIGHT, SOURCE, TAKE_CELLS
from scipy.io import savemat

from experiments.harness import cells, cli
from train.data.chorales import FILE, PARTS

ROOT = pathlib.Path(__file__).parents[3]
OWN = [f"mine_cells:{name}" for name in BROKEN]
OWN += [f"broken_{name}:cell" for name in MODULES]
OWN += [  # of other libraries, but no recurrent cells
    "flax.linen:Dense",
    "flax.linen:RNN",
    "flax.nnx:Linear",
    "equinox.nn:Linear",
    "haiku:Linear",
    "keras.layers:LSTM",
]
THEIRS = "flax.linen:GRUCell,equinox.nn:LSTMCell"


@pytest.fixture
def run(launched, tmp_path):
    """`done = run(experiment, cell)`, with small sizes."""
    (tmp_path / "mine_cells.py").write_text(SOURCE)
    for name, text in MODULES.items():
        (tmp_path / f"broken_{name}.py").write_bytes(
            text.encode("utf-8", "surrogatepass")
        )
    for name in ("mine_cells", *(f"broken_{name}" for name in MODULES)):
        sys.modules.pop(name, None)
    (tmp_path / "text.txt").write_text("To be, or not to be. " * 40)
    pieces = {part: np.empty((1, 4), object) for part in PARTS}
    for some in pieces.values():
        for i in range(4):
            some[0, i] = np.eye(9, 88, 40, np.uint8)
    (tmp_path / "music").mkdir()
    savemat(tmp_path / "music" / FILE, pieces)

    def run(name, cell):
        cell_flag, module = (
            TAKE_CELLS[name],
            importlib.import_module(f"experiments.{name}"),
        )
        usual = [f for f in TINY[name].split(";") if not f.startswith(f"{cell_flag}=")]
        flags = [f"--{flag}" for flag in (*usual, f"{cell_flag}={cell}")]
        return launched(module, *flags, "--results=out")

    return run


def assert_refused(done, cell, folder):
    """A cell is refused in one sentence, which names it, before any training."""
    assert (done.returncode, done.stdout.replace("tracing\n", "")) == (2, "")
    assert done.stderr.count("\n") == 1 and repr(cell) in done.stderr, done.stderr
    assert len(done.stderr) < 700 and not list(folder.glob("out*"))


@pytest.mark.parametrize("place", range(len(OWN)), ids=OWN.__getitem__)
def test_a_broken_cell_is_one_sentence(place, run, tmp_path):
    name = sorted(TAKE_CELLS)[place % len(TAKE_CELLS)]  # each meets many
    assert_refused(run(name, OWN[place]), OWN[place], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(TAKE_CELLS))
def test_every_experiment_refuses_a_cell_of_two(name, run, tmp_path):
    for cell in ("mine_cells:batch_of_two", "mine_cells:three", "mine_cells:no_state"):
        assert_refused(run(name, cell), cell, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", RIGHT)
def test_an_odd_cell_that_is_right_is_taken(name, run):
    assert cells.named(f"mine_cells:{name}", inputs=3, features=4).step


@pytest.mark.usefixtures("undrawn")
@pytest.mark.slow
def test_an_odd_cell_is_run(run, tmp_path):
    for cell in ("counts_steps", "no_parameters"):
        done = run("memory", f"mine_cells:{cell}")
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        (tmp_path / "out").rename(tmp_path / cell)


def test_an_interrupt_passes(run, monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    module = functools.partial(importlib.import_module, "mine_cells")
    monkeypatch.setattr(module(), "made", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cells.named("mine_cells:made", inputs=3, features=4)
    leaky = module().leaky
    stops = leaky._replace(step=lambda *args: interrupted())
    monkeypatch.setattr(module(), "made", stops)
    with pytest.raises(KeyboardInterrupt):
        cells.named("mine_cells:made", inputs=3, features=4)


def test_what_is_not_finite_is_named(run):
    for name, what in {
        "nan_init": "its parameters are not finite",
        "nan_step": "its state is not finite",
        "nan_gradient": "its gradient is not finite",
    }.items():
        with pytest.raises(cli.UsageError, match=what):
            cells.named(f"mine_cells:{name}", inputs=3, features=4)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.slow
def test_cells_of_other_libraries_are_trained(run, tmp_path):
    done = run("gradient_flow", THEIRS)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    tested = rows(tmp_path / "out", "accuracy")
    assert {row["cell"] for row in tested} == set(THEIRS.split(","))
    assert all(f"\n{name} " in done.stdout for name in THEIRS.split(","))


@pytest.mark.usefixtures("undrawn")
def test_a_cell_of_another_library_with_options_or_parameters(run, tmp_path):
    (tmp_path / "theirs.py").write_text(
        """
import functools
import equinox, flax.linen, jax, haiku, nets

relu = functools.partial(flax.linen.SimpleCell, activation_fn=jax.nn.relu)
trained = equinox.nn.GRUCell(3, 4, key=jax.random.key(0))
core = lambda: nets.from_haiku(lambda features: haiku.LSTM(features))
class_of_cells = lambda: equinox.nn.LSTMCell
"""
    )
    for name in "relu", "trained", "core", "class_of_cells":
        cell = cells.named(f"theirs:{name}", inputs=3, features=4)
        assert cell.init(jax.random.key(0), 3, 4), name
    with pytest.raises(cli.UsageError, match="inputs=3 and features=8; got features=4"):
        cells.named("theirs:trained", inputs=3, features=8)


IMPORTS = """
import sys, nets
assert "flax" not in sys.modules
from experiments.harness import cells
others = {"equinox", "haiku", "keras", "torch"}
cells.named("lstm", 3, 4)
assert not others & set(sys.modules), others & set(sys.modules)
cells.named("equinox.nn:GRUCell", 3, 4)
assert others & set(sys.modules) == {"equinox"}, others & set(sys.modules)
"""


@pytest.mark.slow
def test_a_library_is_imported_only_with_its_cells():
    done = subprocess.run([sys.executable, "-c", IMPORTS], cwd=ROOT)
    assert done.returncode == 0
