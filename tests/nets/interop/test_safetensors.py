"""Files of safetensors: what they refuse, and that a good one stays good."""

import json
import os
import struct

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets import interop


def deleted():
    array = jnp.ones(2)
    array.delete()
    return array


REFUSED = {
    "shape": jax.ShapeDtypeStruct((2,), jnp.float32),
    "masked": np.ma.masked_array([1.0, 2.0], [False, True]),
    "masked number": np.ma.masked,
    "number": 1.0,
    "boolean": True,
    "text": "text",
    "NumPy's text": np.array(["text"]),
    "objects": np.array([None, 1]),
    "complex": np.ones(2, np.complex64),
    "dates": np.array(["2024-01-01"], "datetime64[D]"),
    "structure": np.zeros(2, [("a", "f4")]),
    "key": jax.random.key(0),
    "list's object": object(),
    "deleted": deleted(),
    "float8": jnp.ones(2, jnp.float8_e4m3fn),
}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "good.safetensors"
    interop.save_safetensors(path, {"w": np.arange(3.0)})
    return path


def still_good(path):
    np.testing.assert_array_equal(interop.load_safetensors(path)["w"], [0, 1, 2])
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("leaf", REFUSED.values(), ids=REFUSED)
def test_a_leaf_that_is_no_array_leaves_the_file_as_it_is(path, leaf):
    with pytest.raises(ValueError, match='"a": expected an array of') as error:
        interop.save_safetensors(path, {"a": leaf, "w": np.ones(3)})
    assert type(error.value) is ValueError and "\n" not in str(error.value)
    still_good(path)


def test_a_traced_array_is_refused(path):
    def save(w):
        interop.save_safetensors(path, {"w": w})

    with pytest.raises(ValueError, match="got a masked or a traced array"):
        jax.jit(save)(jnp.ones(3))
    still_good(path)


@pytest.mark.parametrize("name", ["__metadata__", "\udcff"])
def test_a_name_that_no_reader_takes_is_refused(path, name):
    with pytest.raises(ValueError, match="expected a name that safe") as error:
        interop.save_safetensors(path, {name: np.ones(2), "w": np.ones(3)})
    assert type(error.value) is ValueError
    still_good(path)


@pytest.mark.parametrize("name", ["", "a b", "é", "tab\tline\n", "x" * 3000])
def test_any_other_name_is_taken(path, name):
    interop.save_safetensors(path, {name: np.arange(2.0)})
    np.testing.assert_array_equal(interop.load_safetensors(path)[name], [0, 1])


@pytest.mark.parametrize("like", [1.0, "text", True, object()])
def test_like_must_have_shapes(path, like):
    with pytest.raises(ValueError, match=r'^"w": expected an array or a jax.ShapeDtyp'):
        interop.load_safetensors(path, like={"w": like})


def test_scalars_and_other_byte_orders(path):
    tree = {"a": np.float32(2.5), "b": np.arange(3, dtype=">f4"), "c": jnp.bfloat16(1)}
    interop.save_safetensors(path, tree)
    result = interop.load_safetensors(path)
    assert result["a"] == 2.5 and result["b"].tolist() == [0, 1, 2] and result["c"] == 1
    back = interop.load_safetensors(path, {**tree, "b": np.zeros(3, np.float32)})
    assert type(back["a"]) is np.float32 and back["a"] == 2.5


def test_shapes_that_numpy_cannot_hold(path):
    entry = {"dtype": "F32", "shape": [1] * 70, "data_offsets": [0, 4]}
    header = json.dumps({"a": entry}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    with pytest.raises(ValueError, match=f'^{path}: "a": expected a shape that'):
        interop.load_safetensors(path)


def test_paths_of_all_kinds(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    tree = {"w": np.arange(3.0)}
    longest = tmp_path / ("x" * 250)
    for path in (longest, str(longest), os.fsencode(longest), "~/in_the_home_folder"):
        interop.save_safetensors(path, tree)
        assert interop.load_safetensors(path)["w"].tolist() == [0, 1, 2]
    assert (tmp_path / "in_the_home_folder").is_file()


def test_a_link_stays_a_link(path, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(path)
    interop.save_safetensors(link, {"w": np.ones(3)})
    assert link.is_symlink() and interop.load_safetensors(path)["w"].sum() == 3


def test_no_file_in_the_place_of_another_kind(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, kind in ((tmp_path, "a folder"), (tmp_path / "pipe", "a pipe or a dev")):
        for call in (
            lambda p: interop.save_safetensors(p, {"w": np.ones(3)}),
            interop.load_safetensors,
        ):
            with pytest.raises(ValueError, match=f"expected a file; got {kind}"):
                call(path)
    with pytest.raises(ValueError, match="a name without a NUL"):
        interop.load_safetensors("a\0b")
    with pytest.raises(FileNotFoundError, match=r"no such folder: '.*nowhere'"):
        interop.save_safetensors(tmp_path / "nowhere" / "a", {"w": np.ones(3)})
    with pytest.raises(FileNotFoundError):
        interop.load_safetensors(tmp_path / "nothing")
