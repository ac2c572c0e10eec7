"""A results folder is complete or absent."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from experiments.harness.folders import ResultsError
from experiments.harness.runs import new_run


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


def test_a_run_that_continues_is_not_disturbed(tmp_path):
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


def left(folder, **options):
    """The row that is left by a run that fails."""
    with pytest.raises(KeyboardInterrupt), new_run(folder, {}, **options) as run:
        run.log(a=1)
        raise KeyboardInterrupt


def test_what_a_dead_run_left_is_set_aside(tmp_path):
    for _ in range(2):
        left(tmp_path / "run")
    with new_run(tmp_path / "run", {}) as run:
        run.log(a=2)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"run", "run.unfinished.1", "run.unfinished.2"}
    assert (tmp_path / "run.unfinished.1" / "metrics.jsonl").exists()
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == '{"a": 2}\n'


def test_what_can_be_resumed_is_not_set_aside(tmp_path):
    left(tmp_path / "run")
    with (
        pytest.raises(ResultsError, match="go on with it by --resume"),
        new_run(tmp_path / "run", {}, resumable=True),
    ):
        pass
    with new_run(tmp_path / "run", {}, resume=True) as run:
        assert run.logged() == [{"a": 1}]
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_folder_of_a_run_that_had_logged_nothing_is_taken(tmp_path):
    (tmp_path / "run.unfinished").mkdir()  # it was killed
    (tmp_path / "run.unfinished" / "config.json").write_text("{}")
    with new_run(tmp_path / "run", {}) as run:
        run.log(a=1)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("complete", [False, True])
def test_two_runs_do_not_resume_one_folder(complete, tmp_path):
    folder, options = tmp_path / "run", {"resume": True, "extends": ["names"]}
    if complete:
        with new_run(folder, {}) as run:
            run.log(a=1)
    else:
        left(folder)
    with new_run(folder, {}, **options) as run:
        run.log(a=2)
        with (
            pytest.raises(ResultsError, match="another run writes to it"),
            new_run(folder, {}, **options),
        ):
            pass
    assert run.folder.exists()
    with new_run(folder, {}, **options) as run:  # the lock is gone with the run
        assert run.logged() == [{"a": 1}, {"a": 2}]


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="no such locks")
def test_the_lock_ends_with_its_process(tmp_path):
    code = (
        "import os\nfrom experiments.harness import runs\n"
        f"with runs.new_run({str(tmp_path / 'run')!r}, {{}}) as run:\n"
        "    run.log(a=1)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    with new_run(tmp_path / "run", {}, resume=True) as run:
        assert run.logged() == [{"a": 1}]


def test_folders_that_cannot_be_had_are_refused_before_anything_is_done(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "deep").mkdir()
    for folder, sentence in {
        ".": "is the working folder or around it",
        "..": "is the working folder or around it",
        "a/..": "is the working folder or around it",
        "/": "expected a folder for the results",
        "link": "is a link to what is not there",
        "circle": "is a link to what is not there|cannot be written",
        "x" * 250: "cannot be written: File name too long",
        "x" * 5000: "cannot be written: File name too long",
        "a/" * 2000: "cannot be written",
        "a\0b": "cannot be written: embedded null byte",
    }.items():
        with pytest.raises(ResultsError, match=sentence), new_run(folder, {}):
            pass
    assert {path.name for path in tmp_path.iterdir()} == {"link", "circle", "deep"}


def test_a_link_to_an_empty_folder_is_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with new_run(tmp_path / "link", {}) as run:
        run.log(a=1)
    assert (tmp_path / "link" / "metrics.jsonl").exists()


@pytest.mark.parametrize("text", ["[1]\n", "{}\n3\n", '{"a": \n', "\xff"])
def test_what_is_damaged_is_not_resumed(text, tmp_path):
    left(tmp_path / "run")
    for name in ("metrics.jsonl", "config.json"):
        file = tmp_path / "run.unfinished" / name
        kept = file.read_bytes()
        file.write_text(text, encoding="latin-1")
        with (
            pytest.raises(ResultsError, match="damaged"),
            new_run(tmp_path / "run", {}, resume=True),
        ):
            pass
        file.write_bytes(kept)
    (tmp_path / "run.unfinished" / "metrics.jsonl").unlink()
    (tmp_path / "run.unfinished" / "metrics.jsonl").mkdir()
    with (
        pytest.raises(ResultsError, match="damaged"),
        new_run(tmp_path / "run", {}, resume=True),
    ):
        pass
