"""A results folder is complete or absent."""

import json

import numpy as np
import pytest

from train import ResultsError, new_run


def test_a_folder_bears_its_name_once_it_is_complete(tmp_path):
    folder = tmp_path / "deep" / "run"
    with new_run(folder, {"steps": 3}) as run:
        run.log(step=1, loss=0.5)
        assert not folder.exists()
        assert (tmp_path / "deep" / "run.unfinished" / "metrics.jsonl").exists()
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["run"]
    config = json.loads((folder / "config.json").read_text())
    assert config["steps"] == 3
    assert {"commit", "versions", "device", "started"} <= config.keys()
    assert config["versions"]["jax"]


def test_a_failed_run_keeps_what_was_logged_under_another_name(tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(ZeroDivisionError), new_run(folder, {}) as run:
        run.log(step=1)
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["run.unfinished"]
    assert (run.path / "metrics.jsonl").read_text() == '{"step": 1}\n'


def test_a_run_that_logged_nothing_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), new_run(tmp_path / "run", {}):
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_rows_are_strict_json(tmp_path):
    with new_run(tmp_path / "run", {}) as run:
        run.log(
            number=np.float32(0.5),
            row=np.array([1.0, np.nan, -np.inf]),
            nested={"a": (1, float("inf"))},
        )
    (line,) = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "number": 0.5,
        "row": [1.0, None, None],
        "nested": {"a": [1, None]},
    }


def test_an_empty_folder_may_be_there(tmp_path):
    (tmp_path / "run").mkdir()
    with new_run(tmp_path / "run", {}) as run:
        run.log(a=1)
    assert (tmp_path / "run" / "config.json").exists()


def test_what_is_there_is_not_touched(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "precious").write_text("x")
    with pytest.raises(ResultsError, match="exists already"), new_run(folder, {}):
        pass
    assert [path.name for path in folder.iterdir()] == ["precious"]
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(ResultsError, match="exists already"), new_run(file, {}):
        pass
    assert file.read_text() == "x"


def test_a_run_that_goes_on_is_not_disturbed(tmp_path):
    with (
        new_run(tmp_path / "run", {}) as run,
        pytest.raises(ResultsError, match=r"run\.unfinished exists already"),
        new_run(tmp_path / "run", {}),
    ):
        pass
    assert run.folder.exists()


def test_a_folder_that_cannot_be_written_is_refused_at_once(tmp_path):
    (tmp_path / "file").write_text("x")
    with (
        pytest.raises(ResultsError, match="cannot be written: Not a directory"),
        new_run(tmp_path / "file" / "run", {}),
    ):
        pass
