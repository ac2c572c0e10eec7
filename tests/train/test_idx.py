"""IDX files are read as they were written, or refused in one clear sentence."""

import errno
import gzip
import os
import pathlib
import re
import struct
import tracemalloc

import numpy as np
import pytest

from train.data import idx
from train.data.errors import DataError

TYPES = {
    "uint8": 0x08,
    "int8": 0x09,
    "int16": 0x0B,
    "int32": 0x0C,
    "float32": 0x0D,
    "float64": 0x0E,
}
HINT = (
    "name the folder that holds MNIST or Fashion-MNIST (Debian's package "
    "dataset-fashion-mnist puts it into /usr/share/datasets/fashion-mnist)"
)


def written(array, dtype="uint8"):
    """An array as the bytes of an IDX file."""
    array = np.asarray(array, dtype)
    return (
        bytes([0, 0, TYPES[dtype], array.ndim])
        + b"".join(struct.pack(">I", size) for size in array.shape)
        + array.astype(array.dtype.newbyteorder(">")).tobytes()
    )


# Three images and two, of 2x3 pixels.
IMAGES = written(np.arange(18).reshape(3, 2, 3) * 15)
GOOD = {
    "train-images-idx3-ubyte": IMAGES,
    "train-labels-idx1-ubyte": written([0, 9, 5]),
    "t10k-images-idx3-ubyte": written(np.full((2, 2, 3), 255)),
    "t10k-labels-idx1-ubyte": written([1, 2]),
}


def write(folder, **changes):
    for name, data in {**GOOD, **changes}.items():
        (folder / name).write_bytes(data)


def test_a_file_is_read_as_written_by_hand(tmp_path):
    path = tmp_path / "numbers"
    path.write_bytes(
        b"\x00\x00\x0b\x02"  # int16, two dimensions
        b"\x00\x00\x00\x02\x00\x00\x00\x03"  # 2 x 3
        b"\x00\x01\x01\x00\x7f\xff\xff\xff\x80\x00\x00\x00"
    )
    array = idx.read(path)
    assert array.dtype == np.int16
    assert array.dtype.isnative
    assert array.tolist() == [[1, 256, 32767], [-1, -32768, 0]]
    array[0, 0] = 5  # the reader's own


@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 3), (2, 1, 3, 2), (3, 0, 2)])
@pytest.mark.parametrize("dtype", TYPES)
def test_all_types_and_shapes_are_read(tmp_path, dtype, shape):
    array = np.random.default_rng(0).uniform(-100, 100, shape).astype(dtype)
    for name, data in (
        ("plain", written(array, dtype)),
        ("zipped.gz", gzip.compress(written(array, dtype))),
        ("zipped-without-saying", gzip.compress(written(array, dtype))),
        ("plain.gz", written(array, dtype)),  # some browsers unpack and keep the name
    ):
        (tmp_path / name).write_bytes(data)
        read = idx.read(str(tmp_path / name))
        assert read.dtype == dtype
        assert read.dtype.isnative
        np.testing.assert_array_equal(read, array, strict=True)


def test_long_files_are_read_whole(tmp_path):
    array = np.arange(idx.CHUNK // 2 + 7, dtype=np.int32)
    (tmp_path / "long").write_bytes(written(array, "int32"))
    np.testing.assert_array_equal(idx.read(tmp_path / "long"), array, strict=True)


@pytest.mark.parametrize("dot", [False, True])
@pytest.mark.parametrize("zipped", [False, True])
def test_a_folder_is_loaded_under_every_spelling(tmp_path, dot, zipped):
    for name, data in GOOD.items():
        name = name.replace("-idx", ".idx") if dot else name
        path = tmp_path / (f"{name}.gz" if zipped else name)
        path.write_bytes(gzip.compress(data) if zipped else data)
    train, test = idx.load(str(tmp_path))
    assert train.images.dtype == test.images.dtype == np.float32
    assert train.labels.dtype == test.labels.dtype == np.int32
    pixels = np.arange(18).reshape(3, 2, 3) * 15 / 255
    np.testing.assert_allclose(train.images, pixels, rtol=1e-6)
    np.testing.assert_array_equal(test.images, np.ones((2, 2, 3)))
    assert train.labels.tolist() == [0, 9, 5]
    assert test.labels.tolist() == [1, 2]


def test_a_folder_of_a_files_name_does_not_hide_the_file(tmp_path):
    write(tmp_path)
    name = "train-images-idx3-ubyte"
    (tmp_path / name).rename(tmp_path / "train-images.idx3-ubyte")
    (tmp_path / name).mkdir()
    assert len(idx.load(tmp_path)[0].images) == 3


def test_only_bytes_are_scaled(tmp_path):
    pixels = np.linspace(-1, 2, 18).reshape(3, 2, 3)
    write(tmp_path, **{"train-images-idx3-ubyte": written(pixels, "float64")})
    train, _ = idx.load(tmp_path)
    np.testing.assert_array_equal(train.images, pixels.astype(np.float32))


def test_more_classes_are_possible(tmp_path):
    write(tmp_path, **{"train-labels-idx1-ubyte": written([0, 300, 61], "int16")})
    train, _ = idx.load(tmp_path, classes=301)
    assert train.labels.tolist() == [0, 300, 61]


ZIPPED = gzip.compress(IMAGES)
MAGIC = (
    "expected the first bytes of an IDX file, 00 00, a type of 08 09 0b 0c 0d 0e and "
    "the number of dimensions; got {}; download the file again"
)
GZIP = "expected complete gzip data; got damaged data ({}); download the file again"
DATA = (
    "expected {} bytes of data, for {} in the header; got {}; download the file again"
)
# Content of the file, and the message ("..." matches anything).
DAMAGED = {
    "empty": (b"", MAGIC.format("an empty file")),
    "two bytes": (b"\0\0", MAGIC.format("00 00")),
    "a web page": (b"<html>404", MAGIC.format("3c 68 74 6d")),
    "little endian": (b"\3\x08\0\0" + IMAGES[4:], MAGIC.format("03 08 00 00")),
    "an unknown type": (b"\0\0\x0a\3" + IMAGES[4:], MAGIC.format("00 00 0a 03")),
    "a web page in gzip": (gzip.compress(b"<html>"), MAGIC.format("3c 68 74 6d")),
    "a short header": (
        IMAGES[:13],
        "expected 3 sizes of 4 bytes each in the header; got 9 bytes; the file was cut "
        "short, download it again",
    ),
    "no data": (IMAGES[:16], DATA.format(18, "[3, 2, 3] of uint8", "only 0")),
    "cut short": (IMAGES[:-1], DATA.format(18, "[3, 2, 3] of uint8", "only 17")),
    "cut short in gzip": (
        gzip.compress(IMAGES[:-1]),
        DATA.format(18, "[3, 2, 3] of uint8", "only 17"),
    ),
    "cut within a number": (
        written([1, 2], "float64")[:-3],
        DATA.format(16, "[2] of float64", "only 13"),
    ),
    "too long": (IMAGES + b"\0", DATA.format(18, "[3, 2, 3] of uint8", "more")),
    "too long in gzip": (
        gzip.compress(IMAGES + b"\n"),
        DATA.format(18, "[3, 2, 3] of uint8", "more"),
    ),
    "data of nothing": (written([]) + b"\0", DATA.format(0, "[0] of uint8", "more")),
    "terabytes": (
        b"\0\0\x08\2" + b"\xff" * 4 + b"\0\0\1\0" + b"data",
        DATA.format(1099511627520, "[4294967295, 256] of uint8", "only 4"),
    ),
    "terabytes in gzip": (
        gzip.compress(b"\0\0\x0e\xff" + b"\xff" * 4 * 255),
        "expected ... bytes of data, for ... in the header; got only 0; ...",
    ),
    "endless rows of nothing": (
        b"\0\0\x08\3" + b"\0" * 4 + b"\xff" * 8,
        "expected the sizes of a possible array; got [0, 4294967295, 4294967295] "
        "(...); download the file again",
    ),
    "65 dimensions": (
        b"\0\0\x08\x41" + b"\0\0\0\1" * 65 + b"\0",
        "expected the sizes of a possible array; got [1, 1, ...] (...); download ...",
    ),
    "gzip cut short": (ZIPPED[:-9], GZIP.format("...")),
    "gzip without its checksum": (ZIPPED[:-8], GZIP.format("...")),
    "gzip of two bytes": (ZIPPED[:2], GZIP.format("...")),
    "gzip of another checksum": (
        ZIPPED[:-8] + b"\0\0\0\0" + ZIPPED[-4:],
        GZIP.format("CRC check failed ..."),
    ),
    "gzip of another method": (b"\x1f\x8b\7" + ZIPPED[3:], GZIP.format("...")),
    "gzip of noise": (ZIPPED[:10] + b"\xff" * 40, GZIP.format("...")),
    "gzip and more": (ZIPPED + b"more", GZIP.format("...")),
}


def matches(sentence, error):
    """Whether an error is this sentence, on one line."""
    pattern = re.escape(sentence).replace(re.escape("..."), ".+")
    return re.fullmatch(pattern, str(error)) is not None


@pytest.mark.parametrize("case", DAMAGED)
@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "images.gz"])
def test_a_damaged_file_is_refused(tmp_path, case, name):
    data, sentence = DAMAGED[case]
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(DataError) as refused:
        idx.read(path)
    assert matches(f"{path}: {sentence}", refused.value), refused.value


def test_a_header_of_terabytes_takes_no_memory(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(DAMAGED["terabytes"][0])
    tracemalloc.start()
    try:
        with pytest.raises(DataError):
            idx.read(path)
        assert tracemalloc.get_traced_memory()[1] < 10 * idx.CHUNK
    finally:
        tracemalloc.stop()


def test_every_cut_of_a_file_is_refused(tmp_path):
    path = tmp_path / "file"
    for whole in (IMAGES, ZIPPED):
        for length in range(len(whole)):
            path.write_bytes(whole[:length])
            with pytest.raises(DataError, match=f"^{re.escape(str(path))}: expected"):
                idx.read(path)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("nothing", "No such file or directory"),
        ("folder", "Is a directory"),
        ("file/within", "Not a directory"),
        ("ring", "Too many levels of symbolic links"),
        ("long" * 100, "File name too long"),
    ],
)
def test_unreadable_files_are_refused(tmp_path, name, answer):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "ring").symlink_to("ring")
    with pytest.raises(DataError) as refused:
        idx.read(tmp_path / name)
    assert str(refused.value) == (
        f"{tmp_path / name}: expected a readable file; got {answer}; name "
        "another file, or change its permissions"
    )


def test_a_file_without_permission_is_refused(tmp_path, monkeypatch):
    def denied(*_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(pathlib.Path, "open", denied)  # root may read everything
    with pytest.raises(DataError, match=r"got Permission denied; name another"):
        idx.read(tmp_path / "file")


# File, its content, and the message.
UNFIT = {
    "labels for images": (
        "train-images-idx3-ubyte",
        written([1, 2, 3]),
        "expected 3 dimensions, [examples, height, width]; got 1, [3]; name a file of "
        "gray images",
    ),
    "colors": (
        "t10k-images-idx3-ubyte",
        written(np.zeros((2, 2, 3, 3))),
        "expected 3 dimensions, [examples, height, width]; got 4, [2, 2, 3, 3]; name a "
        "file of gray images",
    ),
    "no images": (
        "t10k-images-idx3-ubyte",
        written(np.zeros((0, 2, 3))),
        "expected at least one image of at least one pixel; got the sizes [0, 2, 3]; "
        "download the file again",
    ),
    "no pixels": (
        "train-images-idx3-ubyte",
        written(np.zeros((3, 2, 0))),
        "expected at least one image of at least one pixel; got the sizes [3, 2, 0]; "
        "download the file again",
    ),
    "not a number": (
        "train-images-idx3-ubyte",
        written([[[0, 1]], [[0.5, np.nan]], [[0, np.inf]]], "float32"),
        "expected pixels that are finite in float32; got nan in image 1; correct "
        "the file",
    ),
    "infinite": (
        "t10k-images-idx3-ubyte",
        written(np.full((2, 2, 3), -np.inf), "float64"),
        "expected pixels that are finite in float32; got -inf in image 0; correct "
        "the file",
    ),
    "too large": (
        "train-images-idx3-ubyte",
        written([[[0, 1]], [[0, 1]], [[0, 1e300]]], "float64"),
        "expected pixels that are finite in float32; got 1e+300 in image 2; correct "
        "the file",
    ),
    "images for labels": (
        "train-labels-idx1-ubyte",
        IMAGES,
        "expected 1 dimension of integers; got 3, [3, 2, 3] of uint8; name a file "
        "of labels",
    ),
    "labels with a point": (
        "train-labels-idx1-ubyte",
        written([1, 2, 3], "float32"),
        "expected 1 dimension of integers; got 1, [3] of float32; name a file of "
        "labels",
    ),
    "a class too many": (
        "t10k-labels-idx1-ubyte",
        written([9, 10]),
        "expected labels from 0 to 9; got 10 as label 1; use another number of "
        "classes, or correct the file",
    ),
    "a class below zero": (
        "train-labels-idx1-ubyte",
        written([-1, 2, 3], "int8"),
        "expected labels from 0 to 9; got -1 as label 0; use another number of "
        "classes, or correct the file",
    ),
    "too few labels": (
        "train-labels-idx1-ubyte",
        written([1, 2]),
        "expected 3 labels, one for each image of train-images-idx3-ubyte; got 2; use "
        "files of one data set",
    ),
    "no labels": (
        "t10k-labels-idx1-ubyte",
        written([]),
        "expected 2 labels, one for each image of t10k-images-idx3-ubyte; got 0; use "
        "files of one data set",
    ),
    "images of another size": (
        "t10k-images-idx3-ubyte",
        written(np.zeros((2, 3, 2))),
        "expected images of 2x3 pixels, as in train-images-idx3-ubyte; got 3x2; use "
        "files of one data set",
    ),
    "a damaged file": (
        "t10k-labels-idx1-ubyte",
        GOOD["t10k-labels-idx1-ubyte"][:-1],
        DATA.format(2, "[2] of uint8", "only 1"),
    ),
}


@pytest.mark.parametrize("case", UNFIT)
def test_files_that_are_no_data_set_are_refused(tmp_path, case):
    name, data, sentence = UNFIT[case]
    write(tmp_path, **{name: data})
    with pytest.raises(DataError) as refused:
        idx.load(tmp_path)
    assert str(refused.value) == f"{tmp_path / name}: {sentence}"


@pytest.mark.parametrize("name", GOOD)
def test_a_missing_file_is_named(tmp_path, name):
    write(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(DataError) as refused:
        idx.load(tmp_path)
    dotted = name.replace("-idx", ".idx")
    assert str(refused.value) == (
        f"{tmp_path}: expected a file called {name}, {name}.gz, {dotted} or "
        f"{dotted}.gz; got none of them; {HINT}"
    )


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("nothing", "No such file or directory"),
        ("file", "Not a directory"),
        ("ring", "Too many levels of symbolic links"),
    ],
)
def test_a_folder_that_cannot_be_read_is_refused(tmp_path, name, answer):
    (tmp_path / "file").touch()
    (tmp_path / "ring").symlink_to("ring")
    with pytest.raises(DataError) as refused:
        idx.load(tmp_path / name)
    assert str(refused.value) == (
        f"{tmp_path / name}: expected a folder with the files {', '.join(GOOD)}; got "
        f"{answer}; {HINT}"
    )


def test_a_folder_instead_of_a_file_is_refused(tmp_path):
    write(tmp_path)
    path = tmp_path / "t10k-labels-idx1-ubyte"
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match=f"^{re.escape(str(path))}: .* Is a directory"):
        idx.load(tmp_path)
