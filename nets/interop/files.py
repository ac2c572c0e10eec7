"""Weights in files of safetensors: names, shapes, numbers, and nothing that runs."""

import os
import pathlib
import tempfile
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy

from nets.interop.names import flatten

DTYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": jnp.bfloat16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U64": np.uint64,
    "U32": np.uint32,
    "U16": np.uint16,
    "U8": np.uint8,
    "BOOL": np.bool_,
}
"""Those of safetensors by its names; its own reader knows no bfloat16 in NumPy."""


def save_safetensors(path: str | os.PathLike[str], params: Any) -> None:
    """Write a tree of arrays to a file, exactly.

    Each array has its path as its name, "0.forward.w_i". The file is written beside its
    place and then renamed, so that whatever happens it is the old one or the new one,
    and whole.

    Args:
        path: Of the file.
        params: Tuples, NamedTuples and dicts of arrays, and None.

    Raises:
        ValueError: A leaf is no array, or of a dtype that safetensors has not, or two
            have the same name.

    Example:
        >>> import nets
        >>> layer = nets.stack(nets.bidirectional(nets.lstm()), nets.gru())
        >>> params = layer.init(jax.random.key(0), 3, 8)
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "deep.safetensors"
        >>> save_safetensors(path, params)
        >>> back = load_safetensors(path, like=params)
        >>> bool((back[0].forward.w_i == params[0].forward.w_i).all())
        True
        >>> sorted(load_safetensors(path))[:2]
        ['0.backward.b', '0.backward.w_h']
    """
    path = pathlib.Path(path)
    arrays = {}
    for name, leaf in flatten(params, separator=".").items():
        dtype = str(getattr(leaf, "dtype", type(leaf).__name__))
        if dtype not in _names():
            raise ValueError(
                f'"{name}": expected an array of {", ".join(_names())}; got {dtype}'
            )
        # safetensors writes the memory as it lies, in whatever order.
        arrays[name] = np.array(leaf, order="C")
    data = safetensors.numpy.save(arrays)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as room:
        written = pathlib.Path(room) / path.name
        with written.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        written.replace(path)


def load_safetensors(path: str | os.PathLike[str], like: Any = None) -> Any:
    """Read the arrays of a file of safetensors.

    Args:
        path: Of the file: one of `save_safetensors`, or of any library.
        like: A tree of arrays, or of `jax.ShapeDtypeStruct`, as of
            `jax.eval_shape(cell.init, ...)`, whose names, shapes and dtypes the file
            must have.

    Returns:
        A tree like `like`, of JAX's arrays, but of NumPy's where `like` has those.
        Without `like`, NumPy's arrays by name.

    Raises:
        ValueError: It is no whole file of safetensors, or names, shapes or dtypes are
            others, or JAX would narrow a dtype, as it does float64 without
            `jax_enable_x64`.

    Example:
        A checkpoint of PyTorch:

        >>> import nets
        >>> from nets.interop import from_torch, to_torch
        >>> params = nets.lstm().init(jax.random.key(0), 3, 8)
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "torch.safetensors"
        >>> save_safetensors(path, to_torch(params))
        >>> (back,) = from_torch(load_safetensors(path), nets.LSTMParams)
        >>> bool((back.w_i == params.w_i).all())
        True
    """
    found = _read(path)
    if like is None:
        return found
    expected = flatten(like, separator=".")
    wrong = [f'"{n}" is missing' for n in expected if n not in found]
    wrong += [f'"{n}" is unexpected' for n in found if n not in expected]
    wrong += [
        f'"{n}" expected as {_form(e)} is {_form(found[n])}'
        for n, e in expected.items()
        if n in found and _form(e) != _form(found[n])
    ]
    if wrong:
        raise ValueError(f"{path}: expected the arrays of `like`; {', '.join(wrong)}")
    leaves = [_leaf(path, n, found[n], e) for n, e in expected.items()]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def _names():
    return [np.dtype(dtype).name for dtype in DTYPES.values()]


def _form(array: Any) -> str:
    """Dtype and shape in a word, float32[3, 8]."""
    return f"{array.dtype}{list(array.shape)}"


def _leaf(path, name, array, like):
    if isinstance(like, np.ndarray):
        return array
    leaf = jnp.array(array)
    if leaf.dtype != array.dtype:
        raise ValueError(
            f'{path}: "{name}" expected as {array.dtype}, which JAX holds only with '
            f"jax_enable_x64; got it without"
        )
    return leaf


def _read(path) -> dict[str, np.ndarray]:
    try:
        parts = safetensors.deserialize(pathlib.Path(path).read_bytes())
    except safetensors.SafetensorError as error:
        raise ValueError(
            f"{path}: expected a whole file of safetensors; got one of which it says: "
            f"{error}"
        ) from error
    arrays = {}
    for name, part in parts:
        if part["dtype"] not in DTYPES:
            raise ValueError(
                f'{path}: "{name}" expected of a dtype among {", ".join(DTYPES)}; '
                f"got {part['dtype']}"
            )
        flat = np.frombuffer(part["data"], DTYPES[part["dtype"]])
        arrays[name] = flat.reshape(part["shape"]).copy()
    return arrays
