"""The table of cells: read off the code, and shown in nets/cells/README.md."""

import pathlib
import re

import jax
import numpy as np
import pytest

import nets
from experiments.catalogue import experiment as catalogue
from experiments.harness.runs import new_run

ROOT = pathlib.Path(__file__).parent.parent.parent
README = ROOT / "nets" / "cells" / "README.md"
CONFIG = catalogue.Config()
ENTRIES = {
    name: catalogue.entry(name, make, CONFIG.inputs, CONFIG.features)
    for name, make in nets.CELLS.items()
}


def test_the_readme_shows_the_table_that_the_code_gives(tmp_path, capsys):
    with new_run(str(tmp_path / "out"), {}) as results:
        catalogue.run(CONFIG, results)
    written = (tmp_path / "out" / "cells.md").read_text()
    assert written in README.read_text(), (
        f"copy results/catalogue/*/cells.md to {README}"
    )
    assert len(capsys.readouterr().out.splitlines()) == len(nets.CELLS) + 4


@pytest.mark.parametrize("name", nets.CELLS)
def test_every_cell_has_equations_and_a_reference(name):
    entry = ENTRIES[name]
    assert entry.equations and all("=" in line for line in entry.equations)
    assert "|" not in "".join(entry.equations)
    assert re.fullmatch(r"[A-Za-z].* (19|20)\d\d", entry.reference)
    assert entry.link == "" or entry.link.startswith("https://")
    assert (ROOT / entry.file).exists()


@pytest.mark.parametrize("name", nets.CELLS)
def test_every_cell_has_a_separate_file(name):
    path = ROOT / ENTRIES[name].file
    others = [
        other for other in nets.CELLS if ENTRIES[other].file == str(ENTRIES[name].file)
    ]
    assert others == [name] and path.stem == name
    assert 30 <= len(path.read_text().splitlines()) <= 150


@pytest.mark.parametrize(
    "name, count",
    [
        ("elman", 64 * (32 + 64 + 1)),
        ("lstm", 4 * 64 * (32 + 64 + 1)),
        ("gru", 3 * 64 * (32 + 64 + 1) + 64),
    ],
)
def test_parameters_are_those_of_the_textbook(name, count):
    assert ENTRIES[name].parameters == count
    drawn = nets.CELLS[name]().init(jax.random.key(0), 32, 64)
    assert sum(np.size(leaf) for leaf in jax.tree.leaves(drawn)) == count
