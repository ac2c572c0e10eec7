"""Weights in files of safetensors: names, shapes, numbers, and nothing that runs."""

import errno
import os
import pathlib
import tempfile
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy
from jax.core import Tracer

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


def save_safetensors(path: str | bytes | os.PathLike, params: Any) -> None:
    """Write a tree of arrays to a file, exactly.

    Each array has its path as its name, "0.forward.w_i". The file is written beside its
    place and then renamed, so that whatever happens it is the old one or the new one,
    and whole.

    Args:
        path: The file, with ~ for the home folder. If it is a link, the file that it
            leads to is written.
        params: Tuples, NamedTuples and dicts of arrays of JAX or NumPy, and None.

    Raises:
        ValueError: A leaf is no array with numbers in it, or of a dtype or a name that
            safetensors has not, or two have the same name; or the path leads to a
            folder, a pipe or a device.
        FileNotFoundError: The folder does not exist.

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
    arrays = {n: _array(n, a) for n, a in flatten(params, separator=".").items()}
    data = safetensors.numpy.save(arrays)
    path = _file(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(
            errno.ENOENT, "there is no such folder", str(path.parent)
        )
    # A short name: that of the file may be as long as the disk takes.
    with tempfile.TemporaryDirectory(prefix=".saving", dir=path.parent) as room:
        written = pathlib.Path(room) / path.name
        with written.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        written.replace(path)


def load_safetensors(path: str | bytes | os.PathLike, like: Any = None) -> Any:
    """Read the arrays of a file of safetensors.

    Args:
        path: The file, with ~ for the home folder: one of `save_safetensors`, or of any
            library.
        like: A tree of arrays, or of `jax.ShapeDtypeStruct`, as of
            `jax.eval_shape(cell.init, ...)`, whose names, shapes and dtypes the file
            must have.

    Returns:
        A tree like `like`, of JAX's arrays, but of NumPy's where `like` has those.
        Without `like`, NumPy's arrays by name.

    Raises:
        ValueError: It is no whole file of safetensors, or names, shapes or dtypes are
            others, or `like` has a leaf without them, or JAX would narrow a dtype, as
            it does float64 without `jax_enable_x64`.
        FileNotFoundError: There is no such file.

    Example:
        A checkpoint of PyTorch:

        >>> import nets
        >>> from nets.interop import from_torch, to_torch
        >>> params = nets.lstm().init(jax.random.key(0), 3, 8)
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "torch.safetensors"
        >>> save_safetensors(path, to_torch(params))
        >>> (back,) = from_torch(load_safetensors(path), nets.cells.LSTMParams)
        >>> bool((back.w_i == params.w_i).all())
        True
    """
    found = _read(path)
    if like is None:
        return found
    expected = flatten(like, separator=".")
    for name, leaf in expected.items():
        if not (hasattr(leaf, "dtype") and hasattr(leaf, "shape")):
            raise ValueError(
                f'"{name}": expected an array or a jax.ShapeDtypeStruct in `like`; got '
                f"{type(leaf).__name__}"
            )
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


def _file(path) -> pathlib.Path:
    """The regular file that a path leads to, or the place for it."""
    given = os.fsdecode(path)
    if "\0" in given:
        raise ValueError(f"{given!r}: expected a name without a NUL in it")
    found = pathlib.Path(os.path.realpath(os.path.expanduser(given)))
    if found.exists() and not found.is_file():
        kind = "a folder" if found.is_dir() else "a pipe or a device"
        raise ValueError(f"{given}: expected a file; got {kind}; name another")
    return found


def _array(name, leaf) -> np.ndarray:
    """A leaf as safetensors can write it, which writes the memory as it lies."""
    if name == "__metadata__" or any("\ud800" <= letter <= "\udfff" for letter in name):
        raise ValueError(
            f"{name!a}: expected a name that safetensors can hold: text in UTF-8, "
            "and not __metadata__, which it reserves; rename the entry"
        )
    kinds = (np.ndarray, np.generic, jax.Array)
    dtype = leaf.dtype.name if isinstance(leaf, kinds) else type(leaf).__name__
    if isinstance(leaf, np.ma.MaskedArray | Tracer):
        dtype = "a masked or a traced array"
    elif isinstance(leaf, kinds) and dtype in _names():
        try:
            return np.array(leaf, dtype=leaf.dtype.newbyteorder("="), order="C")
        except RuntimeError as error:  # donated, or on another process's devices
            dtype = f"one that cannot be read ({' '.join(str(error).split())})"
    raise ValueError(
        f'"{name}": expected an array of {", ".join(_names())}; got {dtype}'
    )


def _leaf(path, name, array, like):
    if isinstance(like, np.ndarray | np.generic):
        return array if isinstance(like, np.ndarray) else array[()]
    leaf = jnp.array(array)
    if leaf.dtype != array.dtype:
        raise ValueError(
            f'{path}: "{name}" expected as {array.dtype}, which JAX holds only with '
            f"jax_enable_x64; got it without"
        )
    return leaf


def _read(path) -> dict[str, np.ndarray]:
    try:
        parts = safetensors.deserialize(_file(path).read_bytes())
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
        try:
            arrays[name] = flat.reshape(part["shape"]).copy()
        except ValueError as error:
            raise ValueError(
                f'{path}: "{name}" expected of a shape that NumPy can hold; got '
                f"{part['shape']}: {error}"
            ) from None
    return arrays
