"""Cells of a user's own, on every command line that takes one."""

import functools
import importlib
import sys

import numpy as np
import pytest
from commands import TINY
from own_cells import BROKEN, MODULES, RIGHT, SOURCE, TAKE_CELLS
from scipy.io import savemat

from experiments.harness import cells, cli
from train.data.chorales import FILE, PARTS

OWN = [f"mine_cells:{name}" for name in BROKEN]
OWN += [f"broken_{name}:cell" for name in MODULES]


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
        own, module = TAKE_CELLS[name], importlib.import_module(f"experiments.{name}")
        usual = [f for f in TINY[name].split(";") if not f.startswith(f"{own}=")]
        flags = [f"--{flag}" for flag in (*usual, f"{own}={cell}")]
        return launched(module, *flags, "--results=out")

    return run


def refused(done, cell, folder):
    """That a cell is refused in one sentence, which names it, before any training."""
    assert (done.returncode, done.stdout.replace("tracing\n", "")) == (2, "")
    assert done.stderr.count("\n") == 1 and repr(cell) in done.stderr, done.stderr
    assert len(done.stderr) < 700 and not list(folder.glob("out*"))


@pytest.mark.parametrize("place", range(len(OWN)), ids=OWN.__getitem__)
def test_a_broken_cell_is_one_sentence(place, run, tmp_path):
    name = sorted(TAKE_CELLS)[place % len(TAKE_CELLS)]  # each meets many
    refused(run(name, OWN[place]), OWN[place], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(TAKE_CELLS))
def test_every_experiment_refuses_a_cell_of_two(name, run, tmp_path):
    for cell in ("mine_cells:batch_of_two", "mine_cells:three", "mine_cells:no_state"):
        refused(run(name, cell), cell, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", RIGHT)
def test_an_odd_cell_that_is_right_is_taken(name, run):
    assert cells.named(f"mine_cells:{name}", inputs=3, features=4).step


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
