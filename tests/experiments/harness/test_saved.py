"""Runs are opened from their folders, or refused in one sentence."""

import json
import shutil

import jax
import jax.numpy as jnp
import kept
import numpy as np
import pytest

import nets
from experiments.harness import checkpoints, fingerprints
from experiments.harness.folders import ResultsError
from experiments.harness.runs import new_run
from experiments.harness.saved import open_run
from nets import flow

PARAMS = {
    "cell": nets.cells.ElmanParams(*(jnp.full((2, n), float(n)) for n in (1, 2, 3))),
    "layers": (np.arange(4.0).reshape(2, 2), np.ones((2, 1), np.float16)),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run of an experiment of one's own."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    with new_run(folder, {"experiment": "mine", "config": {"seeds": [3, 5]}}) as run:
        run.log(kind="accuracy", seed=3, test_accuracy=0.5)
        for step in (7, 9):
            scaled = jax.tree.map(lambda leaf, step=step: leaf * step, PARAMS)
            run.keep("gru, last output", step, [3, 5], scaled)
        run.keep("gru: last output", 9, [3], {"w": np.ones((1, 2))})
    return folder


@pytest.fixture
def folder(made, tmp_path):
    """A copy of it, to be damaged."""
    return shutil.copytree(made, tmp_path / "run")


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory):
    return kept.untrained(tmp_path_factory.mktemp("runs") / "gradient_flow")


def test_a_run_has_its_flags_rows_and_parameters(made):
    run = open_run(str(made))
    assert run.config == {"seeds": [3, 5]} and run.experiment == "mine"
    assert run.metrics == [{"kind": "accuracy", "seed": 3, "test_accuracy": 0.5}]
    assert run.metadata["format"] == 1 and run.metadata["versions"]["backflow"]
    first, second = run.names
    assert (first, second) == ("gru, last output", "gru: last output")
    assert run.steps(first) == [7, 9] and run.seeds(first) == [3, 5]
    assert (run.steps(second), run.seeds(second)) == ([9], [3])
    stacked, params = run.params(first), run.params(first, seed=5, step=7)
    assert stacked["cell"]["b"].shape == (2, 3) and params["cell"]["b"].shape == (3,)
    np.testing.assert_array_equal(params["layers"][0], 7 * np.array([2.0, 3.0]))
    assert params["layers"][1].dtype == np.float16


@pytest.mark.slow
def test_a_network_is_rebuilt_with_the_data_of_the_run(rebuilt):
    network, params = rebuilt.model("lstm", seed=5)
    assert isinstance(params["recurrent"]["cell"], nets.cells.LSTMParams)
    (xs,) = network.inputs
    assert network.apply(params, xs).shape == (*network.targets.shape, 10)
    assert network.recurrent is not None
    part = network.recurrent(params, 6)
    assert part.losses is not None
    _, ys = part.layer.apply(part.params, part.xs)
    logits = network.apply(params, xs[:6])
    targets = network.targets[:6]
    expected = -jax.nn.log_softmax(logits)[np.arange(6), targets].sum()
    np.testing.assert_allclose(part.loss(None, ys), expected, rtol=1e-5)
    np.testing.assert_allclose(part.losses(ys)[-1].sum(), expected, rtol=1e-5)
    loss, gradients = flow.state_gradients(part.layer, part.params, part.xs, part.loss)
    assert gradients.cell.shape == (8, 6, 4)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("lstm", 3), "has no network 'lstm'; expected one of 'gru, last output'"),
        (("gru, last output", 4), "at seed 4; expected one of 3, 5"),
        (("gru, last output", 3, 8), "at step 8; expected one of 7, 9"),
    ],
)
def test_what_a_run_has_not_kept_is_named(made, arguments, sentence):
    with pytest.raises(ResultsError, match=sentence):
        open_run(made).params(*arguments)


def test_an_experiment_of_ones_own_cannot_be_rebuilt(made):
    with pytest.raises(ResultsError, match="'mine' cannot rebuild the network"):
        open_run(made).model("gru: last output", 3)


def test_other_flags_or_parameters_than_this_version_has_are_named(rebuilt):
    changes = {"features": 5, "zoom": 1}
    sentences = "expected .*dense.kernel.*; got .*", "other flags than gradient_flow"
    file = rebuilt.folder / "config.json"
    before = file.read_text()
    try:
        for change, sentence in zip(changes.items(), sentences, strict=True):
            metadata = json.loads(before)
            metadata["config"] |= dict([change])
            file.write_text(json.dumps(metadata))
            with pytest.raises(ResultsError, match=sentence):
                open_run(rebuilt.folder).model("gru", 3)
    finally:
        file.write_text(before)


def test_a_run_on_data_of_ones_own_is_reopened_with_the_same_data(
    tmp_path, monkeypatch
):
    (tmp_path / "a").mkdir()
    monkeypatch.chdir(tmp_path / "a")
    x = np.random.default_rng(0).normal(size=(70, 3, 2))
    np.savez("waves.npz", x=x, y=np.arange(70) % 2)
    flags = {"data": "waves.npz", "cells": ["elman"], "seeds": [3], "batch_size": 8}
    folder = kept.untrained(tmp_path / "run", **flags).folder
    monkeypatch.chdir(tmp_path)  # where the flag leads nowhere
    network, _ = open_run(folder).model("elman", 3)
    assert network.inputs[0].shape == (14, 3, 2)
    (tmp_path / "a" / "waves.npz").rename("waves.npz")  # where the flag leads now
    assert open_run(folder).params("elman", 3)["recurrent"]["cell"].b.shape == (4,)
    np.savez("waves.npz", x=x + 1, y=np.arange(70) % 2)
    with pytest.raises(ResultsError, match=r"needs its data, .*a/waves.npz, .*changed"):
        open_run(folder).model("elman", 3)
    (tmp_path / "waves.npz").unlink()
    with pytest.raises(
        ResultsError, match=r"cannot be read: waves.npz: .*no such file"
    ):
        open_run(folder).params("elman")


def test_a_text_of_ones_own_must_not_have_changed(tmp_path):
    from experiments.language_model import Config

    text = tmp_path / "text.txt"
    text.write_text("abc")
    config = Config(text_file=str(text))
    data = fingerprints.fingerprint(config)
    assert data is not None and fingerprints.fingerprint(Config()) is None
    assert fingerprints.restored(config, data, tmp_path) == config
    text.write_text("abd")
    with pytest.raises(ResultsError, match=r"needs its data, .*text.txt, .*changed"):
        fingerprints.restored(config, data, tmp_path)


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("config.json", None, "config.json is missing"),
        ("config.json", '{"config"', "is damaged: config.json cannot be read"),
        ("config.json", "[1]", "config.json cannot be read .it is no object"),
        ("config.json", '{"format": 1}', "is damaged: config.json has no flags"),
        (
            "config.json",
            '{"format": 1, "config": {}, "data": {"path": "a.npz"}}',
            "is damaged: config.json has no path and SHA-256 of its data",
        ),
        (
            "config.json",
            '{"config": {}, "versions": {"backflow": "0.0.9"}}',
            "has format none, written by backflow 0.0.9; this version opens format 1",
        ),
        ("config.json", '{"format": 2}', "format 2, written by backflow of an unknown"),
        ("metrics.jsonl", None, "is damaged: metrics.jsonl is missing"),
        ("metrics.jsonl", "{]\n", "is damaged: metrics.jsonl cannot be read"),
        ("checkpoints/index.json", '{"gru": 1}', "index.json is damaged"),
        ("checkpoints/index.json", "[", "index.json is damaged"),
    ],
)
def test_a_damaged_folder_is_named(folder, file, content, sentence):
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_text(content)
    with pytest.raises(ResultsError, match=sentence) as caught:
        open_run(folder)
    assert "\n" not in str(caught.value) and str(folder) in str(caught.value)


@pytest.mark.parametrize("damage", ["truncated", "changed", "missing"])
def test_a_damaged_checkpoint_is_named(folder, damage):
    files = (folder / "checkpoints" / "gru_last_output" / "9").rglob("*")
    file = max(
        (path for path in files if path.is_file()), key=lambda p: p.stat().st_size
    )
    data = bytearray(file.read_bytes())
    file.unlink()
    if damage == "truncated":
        file.write_bytes(data[: len(data) // 2])
    if damage == "changed":
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    run = open_run(folder)
    assert run.params("gru, last output", 3, step=7)  # as it was
    how = "is missing" if damage == "missing" else "is not the file that was saved"
    with pytest.raises(ResultsError, match=f"9 is damaged: .*{file.name} {how}"):
        run.params("gru, last output", 3)
    shutil.rmtree(folder / "checkpoints" / "gru_last_output")
    with pytest.raises(ResultsError, match=r"checkpoint .* is missing"):
        run.params("gru, last output", 3)


def test_a_run_that_is_not_complete_or_not_there_is_named(folder):
    with pytest.raises(ResultsError, match="there is no folder"):
        open_run(folder / "nowhere")
    unfinished = folder.rename(folder.with_name("run.unfinished"))
    for name in (folder, unfinished):
        with pytest.raises(ResultsError, match="is not complete"):
            open_run(name)


def test_a_checkpoint_that_is_not_complete_is_not_in_the_index(tmp_path, monkeypatch):
    from orbax.checkpoint.experimental import v1 as ocp

    checkpoints.save(tmp_path, "gru", 1, [0], {"w": np.ones((1, 2))})

    def stopped(path, *args, **options):
        raise ValueError("RESOURCE_EXHAUSTED: No space left on device")

    monkeypatch.setattr(ocp, "save_checkpointables", stopped)
    with pytest.raises(
        OSError, match=r"cannot write the parameters to .*No space left"
    ):
        checkpoints.save(tmp_path, "gru", 2, [0], {"w": np.ones((1, 2))})
    monkeypatch.undo()
    assert list(checkpoints.read_index(tmp_path)["gru"].steps) == [1]
    checkpoints.save(tmp_path, "gru", 1, [0], {"w": np.zeros((1, 2))})  # once more
    assert (checkpoints.load(tmp_path, "gru", 1)["w"] == 0).all()
