"""The networks of a run are measured without training again."""

import json
import re

import kept
import numpy as np
import pytest
from commands import rows

from experiments import inspect
from experiments.harness.runs import new_run
from nets import flow


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return kept.untrained(tmp_path_factory.mktemp("runs") / "run", cells=["gru"])


@pytest.mark.slow
def test_every_instrument_measures(launched, saved, tmp_path):
    flags = "--instruments=gradients,inputs,gates,lyapunov,lags", "--examples=6"
    done = launched(inspect, str(saved.folder), *flags, "--step=7", "--results=out")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "out"
    instruments = ["gradients", "inputs", "gates", "lyapunov", "lags"]
    assert {path.name for path in folder.iterdir()} == {
        *("config.json", "metrics.jsonl", "report.html"),
        *(f"{name}.{kind}" for name in instruments for kind in ("png", "csv")),
    }
    lengths = {"gradients": 8, "inputs": 8, "gates": 8, "lyapunov": 4, "lags": 8}
    for name, length in lengths.items():
        measured = rows(folder, name)
        parts = ["reset", "update"] if name == "gates" else [""]
        assert [(row["part"], row["seed"]) for row in measured] == [
            (part, seed) for part in parts for seed in (3, 5)
        ]
        assert {len(row["values"]) for row in measured} == {length}
    network, params = saved.model("gru", 5)
    part = network.recurrent(params, 6)
    _, gradients = flow.state_gradients(part.layer, part.params, part.xs, part.loss)
    expected = np.median(flow.log_norms(gradients), axis=1)
    np.testing.assert_allclose(rows(folder, "gradients")[1]["values"], expected, 1e-4)
    assert rows(folder, "score")[1]["score"] == pytest.approx(network.score(params))
    page = (folder / "report.html").read_text()
    assert page.count("<img ") == 5 and "largest, nats/step" in page


def test_sequences_of_unequal_length_are_aligned_at_their_ends(launched, tmp_path):
    lengths = np.array([2, 3, 6] * 10)
    x = np.random.default_rng(0).normal(size=(30, 6, 2))
    data = tmp_path / "waves.npz"
    np.savez(data, x=x, y=np.arange(30) % 2, lengths=lengths)
    flags = {"data": str(data), "cells": ["elman"], "batch_size": 4}
    saved = kept.untrained(tmp_path / "run", bidirectional=True, **flags)
    done = launched(inspect, "run", "--instruments=gradients", "--results=out")
    assert (done.returncode, done.stderr) == (0, "")
    assert "nan" not in done.stdout and "inf" not in done.stdout
    network, params = saved.model("elman", 3)
    assert network.recurrent is not None
    part = network.recurrent(params, 64)
    assert part.lengths is not None
    _, gradients = flow.state_gradients(
        part.layer, part.params, part.xs, part.loss, lengths=part.lengths
    )
    forward, backward = (
        np.asarray(flow.log_norms(g))
        for g in flow.by_cell(part.layer, gradients).values()
    )
    last = forward[np.asarray(part.lengths) - 1, np.arange(len(part.lengths))]
    measured = {row["cell"]: row for row in rows(tmp_path / "out", "gradients")[::2]}
    assert measured["forward"]["values"][-1] == pytest.approx(np.median(last), 1e-4)
    first = measured["backward"]["values"][-1]
    assert first == pytest.approx(np.median(backward[0]), 1e-4)


def test_both_directions_are_measured(launched, tmp_path):
    kept.untrained(tmp_path / "run", cells=["elman"], bidirectional=True)
    flags = "--instruments=gradients,gates", "--examples=4", "--results=out"
    done = launched(inspect, *flags, "run")
    assert done.returncode == 0, done.stderr
    gradients = rows(tmp_path / "out", "gradients")
    assert [row["cell"] for row in gradients] == [*["forward"] * 2, *["backward"] * 2]
    # The dense layer reads the output of each cell after its last step.
    assert all(np.argmax(row["values"]) >= 4 for row in gradients)
    assert "gates cannot measure 'elman'" in done.stdout


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ([], r"expected RUN \(Folder of a complete run\); got none"),
        (["nowhere"], "there is no folder nowhere"),
        (["RUN", "more"], "expected only RUN and flags, --name=value; got 'more'"),
        (["RUN", "--instruments=hammer"], "expected some of gradients, .*got 'hammer'"),
        (["RUN", "--networks=lstm"], "--networks: expected some of gru; got 'lstm'"),
        (
            ["RUN", "--step=8"],
            "has no parameters of 'gru' at step 8; expected one of 7",
        ),
        (["EMPTY"], "has kept no network with a recurrent layer"),
    ],
)
def test_mistakes_are_answered_in_one_sentence(
    launched, saved, tmp_path, flags, sentence
):
    with new_run(tmp_path / "empty", {"experiment": "spectra", "config": {}}) as run:
        run.log(kind="spectrum")
    names = {"RUN": str(saved.folder), "EMPTY": str(tmp_path / "empty")}
    done = launched(inspect, *(names.get(flag, flag) for flag in flags))
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert re.search(sentence, done.stderr), done.stderr
    assert [path.name for path in tmp_path.iterdir() if path.name != "results"] == [
        "empty"
    ]
    assert not list(tmp_path.glob("results/*/*"))


def test_the_command_can_be_given_again(launched, saved, tmp_path):
    flags = "--instruments=gates", "--examples=4", "--results=out"
    assert launched(inspect, str(saved.folder), *flags).returncode == 0
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["config"]["run"] == str(saved.folder)
    assert f"experiments.inspect {saved.folder} --instruments" in config["command"]
