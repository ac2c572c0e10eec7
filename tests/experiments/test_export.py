"""The parameters of a run, as files of other libraries."""

import os
import re
from functools import partial

import jax
import jax.numpy as jnp
import kept
import numpy as np
import pytest

from experiments import export
from nets.interop import load_safetensors

XS = np.random.default_rng(0).standard_normal((5, 8, 8), np.float32)  # batch first


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return kept.untrained(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def run(launched, saved):
    return partial(launched, export, str(saved.folder), keeps_results=False)


def outputs(saved, name, seed):
    """Outputs of the recurrent layer, and logits, of a network of the run."""
    network, params = saved.model(name, seed)
    assert network.recurrent is not None
    part = network.recurrent(params, 1)
    xs = jnp.asarray(XS)
    _, ys = part.layer.apply(part.params, jnp.swapaxes(xs, 0, 1))
    return jnp.swapaxes(ys, 0, 1), network.apply(params, xs)


def test_a_safetensors_file_has_our_names(run, saved, tmp_path):
    done = run("gru.safetensors", "--cell=gru", "--seed=5", "--step=7")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "gru, seed 5: 6 arrays in gru.safetensors\n"
    params = saved.params("gru", 5)
    back = load_safetensors(tmp_path / "gru.safetensors", like=params)
    np.testing.assert_array_equal(
        back["recurrent"]["cell"].w_h, params["recurrent"]["cell"].w_h
    )
    assert [path.name for path in tmp_path.iterdir()] == ["gru.safetensors"]


@pytest.mark.peers
@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_pytorch_computes_the_same(run, saved, tmp_path, name):
    torch = pytest.importorskip("torch", reason="pip install -e '.[peers]'")
    from safetensors.torch import load_file

    assert run("x.st", "--to=torch_names", f"--cell={name}").returncode == 0
    kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[name]
    module = torch.nn.ModuleDict(
        {
            "recurrent": kind(8, 4, batch_first=True),
            "dense": torch.nn.Linear(4, 10),
        }
    )
    module.load_state_dict(load_file(tmp_path / "x.st"))
    with torch.no_grad():
        ys, _ = module["recurrent"](torch.tensor(XS))
        logits = module["dense"](ys[:, -1])
    expected = outputs(saved, name, 3)
    np.testing.assert_allclose(ys, expected[0], atol=1e-6)
    np.testing.assert_allclose(logits, expected[1], atol=1e-6)


@pytest.mark.peers
@jax.numpy_rank_promotion("allow")
@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_keras_computes_the_same(run, saved, tmp_path, name):
    import keras

    assert run("x.npz", "--to=keras", f"--cell={name}", "--seed=5").returncode == 0
    with np.load(tmp_path / "x.npz") as file:
        arrays = dict(file)
    make = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[name]
    layers = {
        "recurrent": make(4, return_sequences=True),
        "dense": keras.layers.Dense(10),
    }
    for part, layer in layers.items():
        layer.build((None, 8, 8) if part == "recurrent" else (None, 4))
        layer.set_weights(
            [a for key, a in arrays.items() if key.startswith(f"{part}/")]
        )
    expected = outputs(saved, name, 5)
    ys = np.asarray(layers["recurrent"](XS))
    logits = np.asarray(layers["dense"](ys[:, -1]))
    np.testing.assert_allclose(ys, expected[0], atol=1e-6)
    np.testing.assert_allclose(logits, expected[1], atol=1e-6)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["x"], "--cell: expected one of 'lstm', 'gru'; got none"),
        (
            ["x", "--cell=elman"],
            "has no network 'elman'; expected one of 'lstm', 'gru'",
        ),
        (["x", "--cell=gru", "--seed=4"], "at seed 4; expected one of 3, 5"),
        (["x", "--to=onnx"], "expected one of safetensors, torch_names, keras"),
        (["no/x", "--cell=gru"], "cannot write no/x: .*no such folder"),
        (
            ["no/x", "--cell=gru", "--to=keras"],
            "cannot write no/x: .*no such folder",
        ),
        (["..", "--cell=gru", "--to=keras"], "..: expected a file; got a folder"),
        ([], "expected FILE (File to write); got none"),
    ],
)
def test_mistakes_are_answered_in_one_sentence(run, tmp_path, flags, sentence):
    done = run(*flags)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    pattern = sentence if ".*" in sentence else re.escape(sentence)
    assert re.search(pattern, done.stderr), done.stderr
    assert not list(tmp_path.iterdir())


def test_a_cell_that_a_library_does_not_have_is_named(launched, tmp_path):
    kept.untrained(tmp_path / "run", cells=["mgu"])
    for to in ("torch_names", "keras"):
        done = launched(export, "run", "x", f"--to={to}", keeps_results=False)
        assert done.returncode == 2 and done.stderr.count("\n") == 1
        assert f"{to} has no part such as 'recurrent'" in done.stderr
    assert not (tmp_path / "x").exists()


def test_a_pipe_is_not_replaced_by_an_archive(run, tmp_path):
    os.mkfifo(tmp_path / "x")
    done = run("x", "--to=keras", "--cell=gru")
    assert done.returncode == 2 and "got a pipe or a device" in done.stderr
    assert [path.is_fifo() for path in tmp_path.iterdir()] == [True]
