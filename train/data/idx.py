"""IDX files, the format of MNIST and Fashion-MNIST, plain or gzipped."""

import contextlib
import gzip
import math
import os
import pathlib
import zlib
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped

from train.data.errors import DataError
from train.data.files import MOST, expanded, opened

TYPES = {
    0x08: np.uint8,
    0x09: np.int8,
    0x0B: np.int16,
    0x0C: np.int32,
    0x0D: np.float32,
    0x0E: np.float64,
}
FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
HINT = (
    "name the folder that holds MNIST or Fashion-MNIST (Debian's package "
    "dataset-fashion-mnist puts it into /usr/share/datasets/fashion-mnist)"
)
CHUNK = 2**20


class Images(NamedTuple):
    """Images, and the class of each image."""

    images: Float[np.ndarray, "examples height width"]
    labels: Int[np.ndarray, " examples"]


def load(folder: str | bytes | os.PathLike, classes: int = 10) -> tuple[Images, Images]:
    """Load the training and the test set from a folder with the four files of MNIST.

    Each file may end in ".gz", and may be called "train-images.idx3-ubyte".

    Args:
        folder: Folder of the files.
        classes: Number of classes; labels are from 0 to `classes - 1`.

    Returns:
        `train, test`, two `Images`, with images in float32 and labels in int32. If at
        least one of the two image files has uint8 pixels (in MNIST both do), pixels
        from 0 to 255 are divided by 255, in both files; pixels from 0 to 1 are kept.

    Raises:
        DataError: A file is missing or damaged, or the files do not belong together:
            their sizes or the scales of their pixels differ.

    Example:
        >>> import tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> for name in ("train", "t10k"):
        ...     file = folder / f"{name}-images-idx3-ubyte"
        ...     _ = file.write_bytes(bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1])
        ...                          + bytes([0, 0, 0, 2, 0, 255]))
        ...     file = folder / f"{name}-labels-idx1-ubyte"
        ...     _ = file.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 1, 7]))
        >>> train, test = load(folder)
        >>> train.images.tolist(), train.labels.tolist()
        ([[[0.0, 1.0]]], [7])

    References:
        LeCun, Bottou, Bengio and Haffner 1998, Gradient-based learning applied to
        document recognition, https://doi.org/10.1109/5.726791
        Xiao, Rasul and Vollgraf 2017, Fashion-MNIST, https://arxiv.org/abs/1708.07747
    """
    paths = _find(expanded(folder))
    train = _load(paths[0], paths[1], classes)
    test = _load(paths[2], paths[3], classes)
    height, width = train.images.shape[1:]
    if test.images.shape[1:] != (height, width):
        raise DataError(
            f"{paths[2]}: expected images of {height}x{width} pixels, as in "
            f"{paths[0].name}; got {test.images.shape[1]}x{test.images.shape[2]}; use "
            "files of one data set"
        )
    images = _on_one_scale((train.images, test.images), (paths[0], paths[2]))
    return Images(images[0], train.labels), Images(images[1], test.labels)


def read(path: str | bytes | os.PathLike) -> Shaped[np.ndarray, "..."]:
    """Read the array in an IDX file, of any type and any number of dimensions.

    Gzipped files are recognized by their first bytes, not by their names.

    Args:
        path: Path of the file.

    Returns:
        The array, in the native byte order.

    Raises:
        DataError: The file is unreadable, or is not a complete IDX file.

    Example:
        >>> import tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "two-numbers"
        >>> _ = path.write_bytes(bytes([0, 0, 0x0B, 1, 0, 0, 0, 2, 1, 0, 255, 255]))
        >>> read(path).tolist()
        [256, -1]
    """
    path = expanded(path)
    try:
        with opened(path) as file:
            gzipped = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            with gzip.open(file) if gzipped else contextlib.nullcontext(file) as stream:
                return _parse(stream, path)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            f"{path}: expected complete gzip data; got damaged data ({error}); "
            "download the file again"
        ) from None
    except OSError as error:
        raise DataError(
            f"{path}: expected a readable file; got {error.strerror or error}; name "
            "another file, or change its permissions"
        ) from None


def _parse(stream: Any, path: pathlib.Path) -> Shaped[np.ndarray, "..."]:
    """Parse the array in a stream, which must have the size given in its header."""
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES:
        raise DataError(
            f"{path}: expected the first bytes of an IDX file, 00 00, a type of "
            f"{bytes(TYPES).hex(' ')} and the number of dimensions; got "
            f"{magic.hex(' ') or 'an empty file'}; download the file again"
        )
    header = stream.read(4 * magic[3])
    if len(header) < 4 * magic[3]:
        raise DataError(
            f"{path}: expected {magic[3]} sizes of 4 bytes each in the header; got "
            f"{len(header)} bytes; the file was cut short, download it again"
        )
    shape = np.frombuffer(header, ">u4").tolist()
    dtype = np.dtype(TYPES[magic[2]])
    size = math.prod(shape) * dtype.itemsize
    data = bytearray()  # grows as data comes: a wrong header may announce terabytes
    while chunk := stream.read(min(CHUNK, min(size, MOST) + 1 - len(data))):
        data += chunk
    if len(data) > MOST:
        raise DataError(
            f"{path}: expected at most {MOST} bytes of data; got {shape} of {dtype}; "
            "use fewer examples"
        )
    if len(data) != size:
        raise DataError(
            f"{path}: expected {size} bytes of data, for {shape} of {dtype} in the "
            f"header; got {'more' if len(data) > size else f'only {len(data)}'}; "
            "download the file again"
        )
    try:
        array = np.frombuffer(data, dtype.newbyteorder(">")).reshape(shape)
    except ValueError as error:
        raise DataError(
            f"{path}: expected the sizes of a possible array; got {shape} ({error}); "
            "download the file again"
        ) from None
    return array.astype(dtype, copy=False)


def _find(folder: pathlib.Path) -> list[pathlib.Path]:
    """Paths of the four files, each under the first of its names that exists."""
    try:
        present = set(os.listdir(folder))
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise DataError(
            f"{folder}: expected a folder with the files {', '.join(FILES)}; got "
            f"{getattr(error, 'strerror', error)}; {HINT}"
        ) from None
    paths = []
    for file in FILES:
        dotted = file.replace("-idx", ".idx")
        names = (file, f"{file}.gz", dotted, f"{dotted}.gz")
        candidates = [folder / name for name in names if name in present]
        if not candidates:
            raise DataError(
                f"{folder}: expected a file called {', '.join(names[:-1])} or "
                f"{names[-1]}; got none of them; {HINT}"
            )
        # Some archives contain a folder and a file of the same base name.
        paths.append(next(filter(pathlib.Path.is_file, candidates), candidates[0]))
    return paths


def _load(images: pathlib.Path, labels: pathlib.Path, classes: int) -> Images:
    """Images of one file with the labels of another."""
    part = Images(_read_images(images), _read_labels(labels, classes))
    if len(part.images) != len(part.labels):
        raise DataError(
            f"{labels}: expected {len(part.images)} labels, one for each image of "
            f"{images.name}; got {len(part.labels)}; use files of one data set"
        )
    return part


def _on_one_scale(
    parts: tuple[np.ndarray, np.ndarray], paths: tuple[pathlib.Path, pathlib.Path]
) -> list[Float[np.ndarray, "examples height width"]]:
    """Images of both files as float32, with pixels from 0 to 255 divided by 255."""
    in_bytes = [pixels.dtype == np.uint8 for pixels in parts]
    bounds = [(float(pixels.min()), float(pixels.max())) for pixels in parts]
    smaller, larger = sorted(high for _, high in bounds)
    if any(in_bytes) == all(in_bytes):
        if min(low for low, _ in bounds) >= 0 and 0 < smaller <= 1 and larger > 2:
            raise DataError(
                f"{paths[1]}: expected pixels on the scale of {paths[0].name}; got "
                f"{' and '.join(f'{low:g} to {high:g}' for low, high in bounds[::-1])};"
                " use files of one data set"
            )
        scales = [255 if all(in_bytes) else 1] * 2
    else:
        other = in_bytes.index(False)
        low, high = bounds[other]
        scales = [255, 255]
        scales[other] = 255 if high > 2 else 1
        if high > 2 and not 0 <= low <= high <= 255:
            raise DataError(
                f"{paths[other]}: expected pixels from 0 to 255, or from 0 to 1, as "
                f"{paths[1 - other].name} is of bytes; got {low:g} to {high:g}; use "
                "files of one data set"
            )
    return [
        pixels.astype(np.float32) / np.float32(scale)
        for pixels, scale in zip(parts, scales, strict=True)
    ]


def _read_images(path: pathlib.Path) -> Shaped[np.ndarray, "examples height width"]:
    """Read images, as uint8 or as finite float32."""
    pixels = read(path)
    if pixels.ndim != 3:
        raise DataError(
            f"{path}: expected 3 dimensions, [examples, height, width]; got "
            f"{pixels.ndim}, {list(pixels.shape)}; name a file of gray images"
        )
    if pixels.size == 0:
        raise DataError(
            f"{path}: expected at least one image of at least one pixel; got the sizes "
            f"{list(pixels.shape)}; download the file again"
        )
    if pixels.dtype == np.uint8:
        return pixels
    with np.errstate(over="ignore"):  # large float64 numbers become infinite
        images = pixels.astype(np.float32)
    if not np.isfinite(images).all():
        place = np.argwhere(~np.isfinite(images))[0]
        raise DataError(
            f"{path}: expected pixels that are finite in float32; got "
            f"{pixels[tuple(place)]} in image {place[0]}; correct the file"
        )
    return images


def _read_labels(path: pathlib.Path, classes: int) -> Int[np.ndarray, " examples"]:
    """Read labels, as int32, and check their range."""
    labels = read(path)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"{path}: expected 1 dimension of integers; got {labels.ndim}, "
            f"{list(labels.shape)} of {labels.dtype}; name a file of labels"
        )
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if wrong.size:
        raise DataError(
            f"{path}: expected labels from 0 to {classes - 1}; got {labels[wrong[0]]} "
            f"as label {wrong[0]}; use another number of classes, or correct the file"
        )
    return labels.astype(np.int32)
