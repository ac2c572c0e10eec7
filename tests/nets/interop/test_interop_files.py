"""Files of parameters: every tree and dtype comes back, and damage is named."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import FEATURES, INPUTS
from interop_cases import (
    AFTER,
    BEFORE,
    ELMAN,
    LSTM,
    PROJECTED,
    assert_same_bits,
    params_of,
)

from nets import interop
from nets.cells import GRUParams

TREES = {
    "a cell's": params_of(AFTER),
    "with None": params_of(BEFORE),
    "a stack": (params_of(LSTM, both=True), params_of(AFTER), params_of(PROJECTED)),
    "dicts": {"encoder": {"0": params_of(ELMAN)}, "head": [jnp.ones(2), None]},
    "one array": jnp.arange(3.0),
    "sizes": {"scalar": jnp.float32(2.5), "empty": jnp.zeros((0, 3))},
    "nothing": {},
    "exotic numbers": jnp.array([jnp.nan, jnp.inf, -0.0, 1e-45]),
    "transposed": np.arange(6.0).reshape(2, 3).T,
}
DTYPES = [
    "float32",
    "float64",
    "float16",
    "bfloat16",
    "int8",
    "int64",
    "uint32",
    "bool",
]


@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
def test_files_keep_every_tree(tree, tmp_path):
    path = tmp_path / "params.safetensors"
    interop.save_safetensors(path, tree)
    back = interop.load_safetensors(path, tree)
    assert_same_bits(back, tree)
    if not isinstance(tree, np.ndarray):
        assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(back))
        shapes = jax.eval_shape(lambda: tree)
        assert_same_bits(interop.load_safetensors(str(path), shapes), tree)


@pytest.mark.parametrize("dtype", DTYPES)
def test_files_keep_every_dtype(dtype, tmp_path):
    path = tmp_path / "params.safetensors"
    array = np.array([[0, 1, 1], [1, 0, 3]]).astype(jnp.dtype(dtype))
    interop.save_safetensors(path, {"a": array})
    assert_same_bits(interop.load_safetensors(path), {"a": array})
    assert_same_bits(interop.load_safetensors(path, {"a": array}), {"a": array})
    with jax.enable_x64(True):
        assert_same_bits(
            interop.load_safetensors(path, {"a": jnp.array(array)})["a"], array
        )


def test_names_in_files(tmp_path):
    path = tmp_path / "params.safetensors"
    interop.save_safetensors(path, (params_of(LSTM, both=True), params_of(BEFORE)))
    result = interop.load_safetensors(path)
    sides = [f"0.{side}.{n}" for side in ("forward", "backward") for n in ("w_i", "b")]
    assert set(sides) < set(result) and "1.w_h" in result and len(result) == 9
    assert all(a.flags.writeable for a in result.values())


def test_files_of_torch(tmp_path):
    torch = pytest.importorskip("torch", reason="pip install -e '.[peers]'")
    pytest.importorskip("safetensors.torch").save_file(
        torch.nn.GRU(INPUTS, FEATURES, 2, bidirectional=True).bfloat16().state_dict(),
        path := tmp_path / "torch.safetensors",
    )
    params = interop.params_from_torch(interop.load_safetensors(path), GRUParams)
    assert len(params) == 2 and params[1].backward.w_h.dtype == jnp.bfloat16


def test_files_that_do_not_fit(tmp_path):
    path = tmp_path / "params.safetensors"
    params = params_of(LSTM)
    interop.save_safetensors(path, {"a": params, "z": jnp.ones(2)})
    like = {
        "a": params._replace(b=jnp.ones(3), w_h=params.w_h.astype("bfloat16")),
        "c": jax.ShapeDtypeStruct((2,), jnp.float32),
    }
    with pytest.raises(ValueError) as error:
        interop.load_safetensors(path, like)
    assert str(error.value) == (
        f'{path}: expected the arrays of `like`; "c" is missing, "z" is unexpected, '
        '"a.w_h" expected as bfloat16[3, 12] is float32[3, 12], '
        '"a.b" expected as float32[3] is float32[12]'
    )


def test_a_file_is_not_narrowed_in_silence(tmp_path):
    path = tmp_path / "params.safetensors"
    interop.save_safetensors(path, {"a": np.ones(2)})
    with jax.enable_x64(True):
        like = {"a": jax.ShapeDtypeStruct((2,), jnp.float64)}
        assert interop.load_safetensors(path, like)["a"].dtype == jnp.float64
    with pytest.raises(ValueError, match="jax_enable_x64, which float64 requires"):
        interop.load_safetensors(path, like)


@pytest.mark.parametrize("keep", [0, 5, 40, -1], ids=str)
def test_an_incomplete_file_is_refused(tmp_path, keep):
    path = tmp_path / "params.safetensors"
    interop.save_safetensors(path, params_of(LSTM))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match="expected a complete safetensors file; got"):
        interop.load_safetensors(path)


def test_no_pickle(tmp_path):
    path = tmp_path / "params.npz"
    np.savez(path, np.ones(3))
    with pytest.raises(ValueError, match="expected a complete safetensors file; got"):
        interop.load_safetensors(path, np.ones(3))


def test_a_dtype_that_is_not_known(tmp_path):
    header = b'{"a":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}}'
    path = tmp_path / "params.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(2))
    with pytest.raises(ValueError, match=r'"a": expected a dtype .*; got F8_E4M3'):
        interop.load_safetensors(path)


UNWRITABLE = {
    "a number": ({"a": {"b": 1.5}}, '"a.b": expected an array of float64, .*got float'),
    "a key": ({"a": jax.random.key(0)}, '"a": expected an array of .*got key<fry>'),
    "complex": ({"a": np.ones(2, complex)}, '"a": expected .*got complex128'),
    "one name": (
        {"a.b": np.ones(1), "a": {"b": np.ones(1)}},
        'expected one array of each name; got two of "a.b"',
    ),
}


@pytest.mark.parametrize("tree, message", UNWRITABLE.values(), ids=UNWRITABLE)
def test_trees_that_a_file_cannot_hold_are_refused(tree, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        interop.save_safetensors(tmp_path / "params.safetensors", tree)
    assert not list(tmp_path.iterdir())


def test_a_broken_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "params.safetensors"
    interop.save_safetensors(path, params_of(LSTM))
    before = path.read_bytes()

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        interop.save_safetensors(path, params_of(LSTM, seed=1))
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    monkeypatch.undo()
    interop.save_safetensors(path, params_of(LSTM, seed=1))
    assert path.read_bytes() != before and list(tmp_path.iterdir()) == [path]
