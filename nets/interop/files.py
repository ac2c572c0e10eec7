"""Weights in safetensors files, which contain names, shapes, numbers and no code."""

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
"""NumPy dtypes by safetensors name; safetensors' NumPy reader has no bfloat16."""


def save_safetensors(path: str | bytes | os.PathLike, params: Any) -> None:
    """Save a pytree of arrays to a file, bit for bit.

    Each array is named after its path, e.g. "0.forward.w_i". The data is written to a
    temporary file, which is then renamed: after an error or a crash the file is either
    the complete old one or the complete new one.

    Args:
        path: File name; ~ is the home folder. If the path is a link, its target is
            written.
        params: Tuples, NamedTuples and dicts of JAX or NumPy arrays, and None.

    Raises:
        ValueError: A leaf is not an array with values, its dtype or name is not
            supported by safetensors, or two leaves have the same name; or the path is a
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
    write(path, safetensors.numpy.save(arrays))


def write(path: str | bytes | os.PathLike, data: bytes) -> None:
    """Write a file as a whole: after a crash it is the old one or the new one.

    Args:
        path: As in `save_safetensors`.
        data: The content.

    Raises:
        ValueError: The path is a folder, a pipe or a device.
        FileNotFoundError: The folder does not exist.

    Example:
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "weights.npz"
        >>> write(path, b"weights")
        >>> path.read_bytes()
        b'weights'
    """
    path = _file(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(
            errno.ENOENT, "there is no such folder", str(path.parent)
        )
    # A short name, because the name of the file may have the maximum length.
    with tempfile.TemporaryDirectory(prefix=".saving", dir=path.parent) as room:
        written = pathlib.Path(room) / path.name
        with written.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        written.replace(path)


def load_safetensors(path: str | bytes | os.PathLike, like: Any = None) -> Any:
    """Load the arrays of a safetensors file.

    Args:
        path: File name; ~ is the home folder. The file may be from `save_safetensors`
            or from any other library.
        like: Pytree of arrays or of `jax.ShapeDtypeStruct`, e.g. from
            `jax.eval_shape(cell.init, ...)`, whose names, shapes and dtypes the file
            must match.

    Returns:
        A pytree with the structure of `like`, of JAX arrays, or NumPy arrays where
        `like` has NumPy arrays. Without `like`, a dict of NumPy arrays by name.

    Raises:
        ValueError: The file is not a complete safetensors file; names, shapes or dtypes
            do not match `like`; a leaf of `like` has no shape or dtype; or JAX would
            narrow a dtype, e.g. float64 without `jax_enable_x64`.
        FileNotFoundError: The file does not exist.

    Example:
        A checkpoint of PyTorch:

        >>> import nets
        >>> from nets.interop import params_from_torch, to_torch
        >>> params = nets.lstm().init(jax.random.key(0), 3, 8)
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "torch.safetensors"
        >>> save_safetensors(path, to_torch(params))
        >>> (back,) = params_from_torch(load_safetensors(path), nets.cells.LSTMParams)
        >>> bool((back.w_i == params.w_i).all())
        True
    """
    arrays = _read(path)
    if like is None:
        return arrays
    expected = flatten(like, separator=".")
    for name, leaf in expected.items():
        if not (hasattr(leaf, "dtype") and hasattr(leaf, "shape")):
            raise ValueError(
                f'"{name}": expected an array or a jax.ShapeDtypeStruct in `like`; got '
                f"{type(leaf).__name__}"
            )
    wrong = [f'"{n}" is missing' for n in expected if n not in arrays]
    wrong += [f'"{n}" is unexpected' for n in arrays if n not in expected]
    wrong += [
        f'"{n}" expected as {_form(e)} is {_form(arrays[n])}'
        for n, e in expected.items()
        if n in arrays and _form(e) != _form(arrays[n])
    ]
    if wrong:
        raise ValueError(f"{path}: expected the arrays of `like`; {', '.join(wrong)}")
    leaves = [_leaf(path, n, arrays[n], e) for n, e in expected.items()]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def _names():
    return [np.dtype(dtype).name for dtype in DTYPES.values()]


def _form(array: Any) -> str:
    """Format dtype and shape, e.g. float32[3, 8]."""
    return f"{array.dtype}{list(array.shape)}"


def _file(path) -> pathlib.Path:
    """Resolve a path to a regular file, which need not exist."""
    given = os.fsdecode(path)
    if "\0" in given:
        raise ValueError(f"{given!r}: expected a name without a NUL character")
    file = pathlib.Path(os.path.realpath(os.path.expanduser(given)))
    if file.exists() and not file.is_file():
        kind = "a folder" if file.is_dir() else "a pipe or a device"
        raise ValueError(
            f"{given}: expected a file; got {kind}; give the name of a file"
        )
    return file


def _array(name, leaf) -> np.ndarray:
    """Convert a leaf to a contiguous array, because safetensors writes raw memory."""
    if name == "__metadata__" or any("\ud800" <= letter <= "\udfff" for letter in name):
        raise ValueError(
            f"{name!a}: expected a name that safetensors supports: text in UTF-8, "
            "and not __metadata__, which it reserves; rename the entry"
        )
    kinds = (np.ndarray, np.generic, jax.Array)
    dtype = leaf.dtype.name if isinstance(leaf, kinds) else type(leaf).__name__
    if isinstance(leaf, np.ma.MaskedArray | Tracer):
        dtype = "a masked or a traced array"
    elif isinstance(leaf, kinds) and dtype in _names():
        try:
            return np.array(leaf, dtype=leaf.dtype.newbyteorder("="), order="C")
        except RuntimeError as error:  # donated, or on devices of a different process
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
            f'{path}: "{name}": expected jax_enable_x64, which {array.dtype} requires; '
            "got JAX without it"
        )
    return leaf


def _read(path) -> dict[str, np.ndarray]:
    try:
        parts = safetensors.deserialize(_file(path).read_bytes())
    except safetensors.SafetensorError as error:
        raise ValueError(
            f"{path}: expected a complete safetensors file; got the error: {error}"
        ) from error
    arrays = {}
    for name, part in parts:
        if part["dtype"] not in DTYPES:
            raise ValueError(
                f'{path}: "{name}": expected a dtype among {", ".join(DTYPES)}; '
                f"got {part['dtype']}"
            )
        flat = np.frombuffer(part["data"], DTYPES[part["dtype"]])
        try:
            arrays[name] = flat.reshape(part["shape"]).copy()
        except ValueError as error:
            raise ValueError(
                f'{path}: "{name}": expected a shape that NumPy supports; got '
                f"{part['shape']}: {error}"
            ) from None
    return arrays
