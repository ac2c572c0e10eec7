"""Rows that a resumed run logs again."""

import json

import pytest

from experiments.harness import changes
from experiments.harness.folders import ResultsError
from experiments.harness.runs import new_run

ROWS = [
    {"kind": "training", "step": 20, "loss": 0.1},
    {"kind": "model", "seconds": 2.0, "units": 3},
    {"kind": "report", "answer": "It is."},
]


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def interrupted(folder, rows=ROWS, **config):
    with pytest.raises(KeyboardInterrupt), new_run(folder, config) as run:
        for row in rows:
            run.log(**row)
        raise KeyboardInterrupt
    return run.path / "metrics.jsonl"


def test_equal_rows_are_not_written_twice(tmp_path):
    file = interrupted(tmp_path / "run", ROWS[:2])
    with new_run(tmp_path / "run", {}, resume=True) as run:
        inode = file.stat().st_ino
        for row in ROWS:
            run.log(**row)
        assert file.stat().st_ino == inode  # it was not replaced
    assert lines(tmp_path / "run" / "metrics.jsonl") == ROWS


def test_measured_durations_are_those_of_the_interrupted_run(tmp_path):
    interrupted(tmp_path / "run")
    durations = []
    with new_run(tmp_path / "run", {}, resume=True) as run:
        run.listeners.append(durations.append)
        for row in ROWS:
            run.log(**{**row, **({"seconds": 9.0} if "seconds" in row else {})})
    assert lines(tmp_path / "run" / "metrics.jsonl") == ROWS == durations


def test_from_the_first_row_that_differs_all_are_replaced(tmp_path):
    file = interrupted(tmp_path / "run")
    now = [ROWS[0], {**ROWS[1], "units": 4}, ROWS[2]]
    with new_run(tmp_path / "run", {}, resume=True) as run:
        run.log(**now[0])
        assert lines(file) == ROWS
        run.log(**now[1])
        assert lines(file) == now[:2]
        run.log(**now[2])
    assert lines(tmp_path / "run" / "metrics.jsonl") == now


def test_rows_that_are_not_logged_again_are_removed(tmp_path):
    interrupted(tmp_path / "run")
    with new_run(tmp_path / "run", {}, resume=True) as run:
        run.log(**ROWS[0])
    assert lines(tmp_path / "run" / "metrics.jsonl") == ROWS[:1]


@pytest.mark.parametrize("before", [0, 2])
def test_a_last_line_that_was_cut_off_is_dropped(before, tmp_path):
    file = interrupted(tmp_path / "run", ROWS[:before] or ROWS[:1])
    text = "".join(json.dumps(row) + "\n" for row in ROWS[:before])
    file.write_text(text + '{"kind": "tr')
    with new_run(tmp_path / "run", {}, resume=True) as run:
        for row in ROWS:
            run.log(**row)
    assert lines(tmp_path / "run" / "metrics.jsonl") == ROWS


DIFFERENT = [
    ({"config": {"features": 16, "cells": ["gru"]}}, "flags: --features=8 (now 16)"),
    (
        {"config": {"features": 8, "cells": ["gru", "lstm"], "own": True}},
        "flags: --cells=gru (now gru,lstm), --own=none (now true)",
    ),
    ({"data": {"sha256": "1"}}, "data files"),
    ({"versions": {"jax": "0.11", "flax": "1"}}, "versions: jax 0.10 (now 0.11)"),
    ({"device": "gpu: H100"}, "devices: device cpu: cpu (now gpu: H100)"),
    ({"devices": 2}, "devices: devices 1 (now 2)"),
]
BEFORE = {
    "config": {"features": 8, "cells": ["gru"]},
    "data": {"sha256": "0"},
    "versions": {"jax": "0.10", "flax": "1"},
    "device": "cpu: cpu",
    "devices": 1,
}


def test_another_experiment_is_named_and_not_its_flags():
    before = {**BEFORE, "experiment": "gates"}
    after = {**BEFORE, "experiment": "study", "config": {"gain": 1.0}}
    assert changes.between(before, after) == "another experiment: gates (now study)"


@pytest.mark.parametrize(("changed", "words"), DIFFERENT)
def test_what_differs_is_named(changed, words):
    assert changes.between(BEFORE, {**BEFORE, **changed}) == f"other {words}"


def test_what_changes_no_result_may_differ():
    for free in ({}, {"started": "later"}, {"machine": "other"}):
        assert changes.between(BEFORE, {**BEFORE, **free}) == ""
    often = {**BEFORE["config"], "checkpoint_every": 5}
    assert changes.between(BEFORE, {**BEFORE, "config": often}) == ""


def test_a_run_of_other_versions_is_not_resumed(tmp_path):
    file = interrupted(tmp_path / "run", config={})
    config = json.loads(file.with_name("config.json").read_text())
    config["versions"]["jax"] = "0.0.1"
    file.with_name("config.json").write_text(json.dumps(config))
    with (
        pytest.raises(ResultsError, match=r"other versions: jax 0\.0\.1 \(now 0\."),
        new_run(tmp_path / "run", {"config": {}}, resume=True),
    ):
        pass
    assert lines(file) == ROWS
