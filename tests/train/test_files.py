"""Paths to data that lead to something else than a file, and pixels of two scales."""

import os
import struct

import numpy as np
import pytest
from scipy.io import savemat

from train import DataError
from train.data import chorales, idx, text

CODES = {"uint8": 8, "int16": 11, "float32": 13, "float64": 14}


def load(kind, path):
    """Read a path with the loader of a kind of file."""
    if kind == "text":
        return text.load(path)
    if kind == "idx":
        return idx.read(path)
    return chorales.load(os.path.dirname(path))


@pytest.mark.parametrize("kind", ["text", "idx", "chorales"])
@pytest.mark.parametrize("place", ["pipe", "device", "folder", "sparse", "nothing"])
def test_pipes_and_devices_are_refused_at_once(kind, place, tmp_path):
    path = tmp_path / chorales.FILE
    if place == "pipe":
        os.mkfifo(path)  # nobody will ever write into it
    elif place == "device":
        path.symlink_to("/dev/zero")
    elif place == "folder":
        path.mkdir()
    elif place == "sparse":
        with path.open("wb") as file:
            file.truncate(2**40)
    with pytest.raises(DataError) as error:
        load(kind, str(path))
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("loader", [text.load, idx.load, idx.read, chorales.load])
def test_a_name_with_a_nul_is_refused(loader):
    with pytest.raises(DataError, match="expected"):
        loader("a\0b")


def test_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "word").write_bytes(b"ba\r\nna\rna")
    for path in ("~/word", b"~/word"):
        assert text.load(path).vocabulary == "\nabn"
    monkeypatch.delenv("HOME")
    with pytest.raises(DataError):
        text.load("~nobody-of-this-name/word")


def folder_of(folder, **parts):
    labels = np.arange(20, dtype=np.uint8) % 10
    for part, images in parts.items():
        for name, array in (("images-idx3", images), ("labels-idx1", labels)):
            head = bytes([0, 0, CODES[array.dtype.name], array.ndim])
            head += struct.pack(f">{array.ndim}I", *array.shape)
            data = array.astype(array.dtype.newbyteorder(">")).tobytes()
            (folder / f"{part}-{name}-ubyte").write_bytes(head + data)
    return folder


PIXELS = np.random.default_rng(0).integers(0, 256, (20, 4, 4))
BYTES = PIXELS.astype(np.uint8)


@pytest.mark.parametrize("kind", ["int16", "float32", "float64", "shares"])
@pytest.mark.parametrize("first", [True, False])
def test_pixels_of_both_files_get_one_scale(kind, first, tmp_path):
    other = PIXELS / 255 if kind == "shares" else PIXELS.astype(kind)
    train, t10k = (BYTES, other) if first else (other, BYTES)
    train, test = idx.load(folder_of(tmp_path, train=train, t10k=t10k))
    np.testing.assert_allclose(train.images, test.images, atol=1e-6)
    assert train.images.max() == 1 and train.images.dtype == np.float32


DIFFERENT = {
    "bytes, 16 bits": (BYTES, (PIXELS * 100).astype(np.int16)),
    "bytes, standardised": (BYTES, (PIXELS - 100.0) / 50),
    "shares, bytes in floats": (PIXELS / 255, PIXELS.astype(np.float32)),
    "bytes, of zeros and ones": (BYTES, BYTES // 128),
}


@pytest.mark.parametrize("parts", DIFFERENT.values(), ids=DIFFERENT)
@pytest.mark.parametrize("turned", [False, True])
def test_scales_that_differ_are_refused(parts, turned, tmp_path):
    train, t10k = parts[::-1] if turned else parts
    with pytest.raises(
        DataError, match=r"expected pixels .* use files of one data set"
    ):
        idx.load(folder_of(tmp_path, train=train, t10k=t10k))


def pieces(piece):
    """A cell array of one piece."""
    cells = np.empty((1, 1), object)
    cells[0, 0] = piece
    return cells


def of_cells(value):
    cells = np.empty((4, 88), object)
    for place in np.ndindex(4, 88):
        cells[place] = value
    return cells


ODD = {
    "cells of one": of_cells(np.array([[1.0]])),
    "cells of many": of_cells(np.zeros((2, 2))),
    "complex": np.ones((4, 88), complex),
    "text": "x" * 88,
    "struct": {"a": np.zeros((4, 88))},
    "nothing": np.zeros((0, 0)),
}


@pytest.mark.parametrize("piece", ODD.values(), ids=ODD)
def test_pieces_that_are_not_piano_rolls_are_refused(piece, tmp_path):
    savemat(tmp_path / chorales.FILE, dict.fromkeys(chorales.PARTS, pieces(piece)))
    with pytest.raises(DataError, match="expected pieces of shape") as error:
        chorales.load(tmp_path)
    assert "\n" not in str(error.value)
