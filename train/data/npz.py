"""Labeled sequences or images in a NumPy archive, `numpy.savez("data.npz", x=x, y=y)`.

| array | shape | content |
|---|---|---|
| x | [examples, time, features] or [examples, time] | sequences |
| x | [examples, height, width, channels] or [examples, height, width] | or images |
| y | [examples] | labels (integers or strings), or real targets |
| lengths | [examples] | optional: number of steps of each sequence |
| x_test, y_test, lengths_test | as above | optional: the test part |

Images of bytes, 0 to 255, are divided by 255.
"""

import io
import os
import pathlib

import numpy as np
from jaxtyping import Int

from train.data.dataset import CLASSIFY, Part, feature_names, numbers, targets
from train.data.errors import DataError
from train.data.files import expanded, read

NAMES = ("x", "y", "lengths", "x_test", "y_test", "lengths_test")
HINT = "name a file written by numpy.savez, with the arrays x and y"
AXES = {
    "sequences": "[examples, time, features] or [examples, time]",
    "images": "[examples, height, width, channels] or [examples, height, width]",
}


def load(
    path: str | bytes | os.PathLike, task: str = CLASSIFY, kind: str = "sequences"
) -> tuple[Part, Part | None]:
    """Load the training part and the test part of an .npz file.

    Args:
        path: Path of the file; ~ is the home folder.
        task: "classify" for labels, "regress" for real targets.
        kind: "sequences" or "images".

    Returns:
        `train, test`; `test` is None if the file has no x_test.

    Raises:
        DataError: The file is unreadable, lacks an array, has an unknown array, or an
            array has the wrong shape, dtype or values.

    Example:
        >>> import tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "data.npz"
        >>> np.savez(path, x=np.zeros((5, 8)), y=np.arange(5) % 2)
        >>> train, test = load(path)
        >>> train.x.shape, train.y.tolist(), test
        ((5, 8, 1), [0, 1, 0, 1, 0], None)
    """
    path = expanded(path)
    arrays = _arrays(path)
    train = _part(arrays, "", path, task, kind)
    if not any(name.endswith("_test") for name in arrays):
        return train, None
    test = _part(arrays, "_test", path, task, kind)
    dtypes = arrays["x"].dtype, arrays["x_test"].dtype
    if kind == "images" and dtypes[0] != dtypes[1] and np.uint8 in dtypes:
        raise DataError(  # only bytes are divided by 255
            f"{path}, x_test: expected images of {dtypes[0]}, as in the training part; "
            f"got {dtypes[1]}; convert one of them, with pixels on one scale"
        )
    return train, test


def _arrays(path: pathlib.Path) -> dict[str, np.ndarray]:
    """All arrays of the file, which must have known names."""
    data = read(path, HINT)
    if not data:
        raise DataError(f"{path}: expected a NumPy archive; got an empty file; {HINT}")
    try:
        archive = np.load(io.BytesIO(data), allow_pickle=False)
        arrays = {name: archive[name] for name in archive.files}
    except Exception as error:  # damaged bytes make NumPy raise errors of many types
        reason = " ".join(str(error).split())
        if "allow_pickle" in reason:
            reason = "an array of Python objects, or no archive"
        raise DataError(
            f"{path}: expected a NumPy archive of numbers and strings; got {reason}; "
            f"{HINT}"
        ) from None
    unknown = [name for name in arrays if name not in NAMES]
    if unknown:
        raise DataError(
            f"{path}: expected the arrays {', '.join(NAMES)}; got {unknown[0]!r}; "
            "rename or remove it"
        )
    return arrays


def _part(
    arrays: dict[str, np.ndarray], suffix: str, path: pathlib.Path, task: str, kind: str
) -> Part:
    """The training part, or the test part, of the arrays."""
    for name in ("x" + suffix, "y" + suffix):
        if name not in arrays:
            raise DataError(
                f"{path}: expected the array {name}; got {', '.join(arrays) or 'none'};"
                f" add it"
            )
    x, y = arrays["x" + suffix], arrays["y" + suffix]
    where = f"{path}, {'x' + suffix}"
    most = 4 if kind == "images" else 3
    if x.ndim not in (most - 1, most) or 0 in x.shape:
        raise DataError(
            f"{where}: expected {AXES[kind]}, none of them 0; got {list(x.shape)}; "
            "reshape it"
        )
    if y.shape != x.shape[:1]:
        raise DataError(
            f"{path}, {'y' + suffix}: expected one label or target per example, "
            f"[{len(x)}]; got {list(y.shape)}; reshape it"
        )
    in_bytes = kind == "images" and x.dtype == np.uint8
    x = numbers(x if x.ndim == most else x[..., None], where) if not in_bytes else x
    if in_bytes:
        x = (x if x.ndim == most else x[..., None]) / np.float32(255)
    lengths = _lengths(arrays, suffix, x, path, kind)
    if lengths is not None:  # whatever the padding was, it is zero
        x = np.where(np.arange(x.shape[1])[:, None] < lengths[:, None, None], x, 0)
    labels = targets(y, task, f"{path}, {'y' + suffix}")
    return Part(x, labels, lengths, feature_names(x.shape[-1]))


def _lengths(
    arrays: dict[str, np.ndarray],
    suffix: str,
    x: np.ndarray,
    path: pathlib.Path,
    kind: str,
) -> Int[np.ndarray, " examples"] | None:
    """Lengths of the sequences, by default all steps; None for images."""
    lengths = arrays.get("lengths" + suffix)
    if kind == "images":
        if lengths is not None:
            raise DataError(
                f"{path}, {'lengths' + suffix}: expected no lengths, as x contains "
                "images; remove the array"
            )
        return None
    examples, time = x.shape[:2]
    if lengths is None:
        return np.full(examples, time, np.int32)
    where = f"{path}, {'lengths' + suffix}"
    if lengths.shape != (examples,) or lengths.dtype.kind not in "ui":
        raise DataError(
            f"{where}: expected one integer per example, [{examples}]; got "
            f"{list(lengths.shape)} of {lengths.dtype}; correct the array"
        )
    wrong = np.flatnonzero((lengths < 1) | (lengths > time))
    if wrong.size:
        raise DataError(
            f"{where}: expected lengths from 1 to {time}; got {lengths[wrong[0]]} at "
            f"example {wrong[0]} (counted from 0); correct the array"
        )
    return lengths.astype(np.int32)
