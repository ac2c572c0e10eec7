"""Commands, run in the process of the test: their own would take seconds."""

import sys
from typing import Any

import pytest
from commands import Done
from matplotlib.figure import Figure
from PIL import Image

from experiments.harness import cli


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
