"""The notebook runs from a fresh kernel, and is stored without its results."""

import pathlib

import nbclient
import nbformat
import pytest

ROOT = pathlib.Path(__file__).parent.parent.parent
FILE = ROOT / "experiments" / "your_model.ipynb"


def notebook():
    return nbformat.read(FILE, as_version=4)


def test_no_results_are_stored():
    cells = [cell for cell in notebook().cells if cell.cell_type == "code"]
    assert cells
    assert all(not c.outputs and c.execution_count is None for c in cells)


@pytest.mark.slow
def test_every_figure_is_drawn():
    kernel = {"metadata": {"path": str(ROOT)}}  # whose working folder has the packages
    done = nbclient.NotebookClient(notebook(), timeout=600, resources=kernel).execute()
    cells = [cell for cell in done.cells if cell.cell_type == "code"]
    pictures = {
        cell.id: sum("image/png" in out.get("data", {}) for out in cell.outputs)
        for cell in cells
    }
    assert pictures == {
        **dict.fromkeys(("imports", "checkpoint"), 0),
        **dict.fromkeys(("six", "training", "gates", "lags", "spectrum"), 1),
    }
    texts = [out["text"] for cell in cells for out in cell.outputs if "text" in out]
    (sentence,) = texts  # and no warning
    before, after = (float(word) for word in sentence.split() if word[0].isdigit())
    assert after < before / 2
