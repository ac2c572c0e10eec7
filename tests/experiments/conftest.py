"""Commands, run in the process of the test: their own would take seconds."""

import sys
from typing import Any

import numpy as np
import pytest
from commands import Done
from matplotlib.figure import Figure
from PIL import Image
from scipy.io import savemat

from experiments.harness import cli
from train.data import digits
from train.data.chorales import FILE, PARTS

FEW = 200  # digits of each half, so that tests are quick


@pytest.fixture
def undrawn(monkeypatch):
    """Blank figures, which save a second each where a test does not look at them."""

    def save(figure, file, **options):
        Image.new("L", (9, 9)).save(file, format=options.get("format"))

    monkeypatch.setattr(Figure, "savefig", save)


@pytest.fixture
def launched(tmp_path, monkeypatch, capsys):
    """`done = launched(experiment, "--flag=value", ...)`, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mycells", raising=False)

    def launched(experiment, *flags, **options):
        name = experiment.__name__.removesuffix(".experiment").rpartition(".")[2]
        monkeypatch.setattr(sys, "argv", [name, *flags])
        code: Any = 0
        try:
            cli.main(experiment.Config, experiment.run, **options)
        except SystemExit as stop:
            code = stop.code
        return Done(code, *capsys.readouterr())

    return launched


@pytest.fixture
def small_data(undrawn, tmp_path, monkeypatch):
    """Files that the commands of `commands.TINY` read, and blank figures."""
    halves = [digits.Digits(*(a[:FEW] for a in half)) for half in digits.load()]
    monkeypatch.setattr(digits, "load", lambda: halves)
    (tmp_path / "text.txt").write_text("To be, or not to be. " * 40)
    pieces = {}
    for part, count in zip(PARTS, (6, 2, 2), strict=True):
        pieces[part] = np.empty((1, count), object)
        for i in range(count):
            pieces[part][0, i] = np.eye(9, 88, 40, np.uint8)
    (tmp_path / "music").mkdir()
    savemat(tmp_path / "music" / FILE, pieces)
