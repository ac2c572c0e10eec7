"""Data of the user's own: every format, what is refused, splits and scales."""

import os
from typing import Any

import numpy as np
import pytest
from PIL import Image

from train import DataError
from train.data import Dataset, loading, splits
from train.data.loading import files, sha256

LONG = "example,time,a,b,label\n0,0,1,2,up\n0,1,3,4,up\n7,5,5,6,down\n"
WIDE = "0,1,label\n1,2,up\n3,4,down\n"
TS = "#x\n@problemName w\n@dimensions 2\n@classLabel true a b\n@data\n"


# Without the types of optional parts.
load: Any = loading.load
split: Any = splits.split
standardize: Any = splits.standardize


def written(folder, name, content):
    """A path with content: text, arrays of an archive, or pixels by file name."""
    path = folder / name
    if isinstance(content, str):
        path.write_text(content)
    elif name.endswith(".npz"):
        np.savez(path, **content)
    else:
        for file, pixels in content.items():
            (path / file).parent.mkdir(parents=True, exist_ok=True)
            if isinstance(pixels, bytes):
                (path / file).write_bytes(pixels)
            else:
                Image.fromarray(np.asarray(pixels, np.uint8)).save(path / file)
    return path


def test_npz(tmp_path):
    x = np.arange(24.0).reshape(4, 3, 2)
    arrays = {"x": x, "y": [5, 2, 5, 2], "lengths": [3, 1, 2, 3]}
    arrays |= {"x_test": x[:1, :2], "y_test": [2], "lengths_test": [2]}
    data = load(written(tmp_path, "d.npz", arrays))
    assert data.classes == ("2", "5") and data.y.tolist() == [1, 0, 1, 0]
    assert data.x[1].tolist() == [[6, 7], [0, 0], [0, 0]]  # padding is zero
    assert data.x_test.shape == (1, 3, 2) and data.lengths_test.tolist() == [2]
    whole = load(written(tmp_path, "e.npz", {"x": x[..., 0], "y": list("abab")}))
    assert whole.x.shape == (4, 3, 1) and whole.lengths is None
    real = load(written(tmp_path, "r.npz", {"x": x, "y": [1.5, 2, 3, 4]}), "regress")
    assert real.classes == () and real.y.tolist() == [1.5, 2, 3, 4]
    gray = written(tmp_path, "i.npz", {"x": np.full((2, 3, 4), 255, "u1"), "y": [0, 1]})
    assert load(gray, kind="images").x.shape == (2, 3, 4, 1)
    assert load(gray, kind="images").x.max() == 1


def test_labels_are_numbers_without_rounding(tmp_path):
    x = np.zeros((4, 2, 1))
    for y, classes in [
        ([2**53, 2**53 + 1] * 2, ("9007199254740992", "9007199254740993")),
        (np.array([1, 2**64 - 1] * 2, np.uint64), ("1", "18446744073709551615")),
        (["10", "1_0"] * 2, ("10", "1_0")),
        (["10.0", "9"] * 2, ("9", "10")),
        ([True, False] * 2, ("0", "1")),
    ]:
        assert load(written(tmp_path, "d.npz", {"x": x, "y": y})).classes == classes


def test_images_of_both_parts_have_one_scale(tmp_path):
    x, y = np.zeros((2, 4, 4), np.uint8), [0, 1]
    arrays = {"x": x, "y": y, "x_test": x.astype(np.float32), "y_test": y}
    path = written(tmp_path, "d.npz", arrays)
    with pytest.raises(DataError, match=r"x_test: expected images of uint8.*float32"):
        load(path, kind="images")


def test_ts(tmp_path):
    train = written(tmp_path, "W_TRAIN.ts", TS + "1,2:3,4:a\n5:6:b\n")
    alone = load(train)
    assert alone.x_test is None and alone.classes == ("a", "b")
    written(tmp_path, "W_TEST.ts", TS + "1,2,3:3,4,5:b\n")
    for path in (train, tmp_path):
        data = load(path)
        assert data.x.tolist() == [[[1, 3], [2, 4], [0, 0]], [[5, 6], [0, 0], [0, 0]]]
        assert data.lengths.tolist() == [2, 1] and data.y_test.tolist() == [1]
    assert [file.name for file in files(train)] == ["W_TRAIN.ts", "W_TEST.ts"]
    real = written(tmp_path, "r.ts", "@targetLabel true\n@data\n1,2:0.5\n3,4:-1e3\n")
    assert load(real, "regress").y.tolist() == [0.5, -1000]


def test_csv(tmp_path):
    data = load(written(tmp_path, "long.csv", LONG))
    assert data.x.tolist() == [[[1, 2], [3, 4]], [[5, 6], [0, 0]]]
    assert data.features == ("a", "b") and data.lengths.tolist() == [2, 1]
    assert data.classes == ("down", "up") and data.y.tolist() == [1, 0]
    data = load(written(tmp_path, "wide.csv", WIDE))
    assert data.x[..., 0].tolist() == [[1, 2], [3, 4]] and data.y.tolist() == [1, 0]
    bare = written(tmp_path, "bare_TRAIN.tsv", "10\t1.5\t2\n9\t3\t4\n10.0\t0\t0\n")
    data = load(bare, label="first")
    assert data.classes == ("9", "10") and data.y.tolist() == [1, 0, 1]
    assert load(bare, "regress", label="last").y.tolist() == [2, 4, 0]


def test_a_folder_of_images(tmp_path):
    red, gray = np.full((4, 4, 3), (255, 0, 0)), np.full((4, 4), 51)
    content = {"train/cat/1.png": gray, "train/dog/deep/1.bmp": gray}
    path = written(tmp_path, "pets", {**content, "test/dog/2.png": gray})
    (path / "train" / "cat" / "notes.txt").write_text("no image")
    data = load(path, kind="images")
    assert data.x.shape == (2, 4, 4, 1) and data.features == ("gray",)
    assert np.allclose(data.x, 0.2) and data.y_test.tolist() == [1]
    written(tmp_path, "pets", {"train/cat/2.png": red})
    data = load(path, kind="images", image_size=2)
    assert data.x.shape == (3, 2, 2, 3)  # one image in color
    assert np.allclose(data.x[1], [1, 0, 0])
    wide = Image.fromarray(np.full((2, 2), 65535, np.uint16))
    (tmp_path / "wide" / "a").mkdir(parents=True)
    wide.save(tmp_path / "wide" / "a" / "1.png")
    written(tmp_path, "wide", {"b/1.png": gray[:2, :2]})
    assert load(tmp_path / "wide", kind="images").x[:, 0, 0, 0].tolist() == [
        1,
        np.float32(0.2),
    ]


def test_a_folder_that_cannot_be_read_is_not_left_out(tmp_path, monkeypatch):
    gray = np.full((4, 4), 51)
    content = {"a/1.png": gray, "a/deep/2.png": gray, "b/1.png": gray}
    path = written(tmp_path, "pets", content)
    scandir = os.scandir

    def denied(folder):
        if str(folder).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(DataError, match="deep: expected a readable folder; got Perm"):
        load(path, kind="images")


X, Y = np.zeros((2, 3, 1)), [0, 1]
GRAY = np.zeros((4, 4))
BAD = [
    ("nowhere.npz", None, "nowhere.npz: expected a file .npz, .ts, .csv or .tsv"),
    ("a.txt", "x", "a.txt: expected a file .npz"),
    ("a.npz", "", "a.npz: expected a NumPy archive; got an empty file"),
    ("a.npz", "text", "a.npz: expected a NumPy archive of numbers and strings; got"),
    ("a.npz", {"x": X}, "a.npz: expected the array y; got x"),
    ("a.npz", {"x": X, "y": Y, "length": Y}, "got 'length'; rename or remove it"),
    ("a.npz", {"x": np.array([{}, {}]), "y": Y}, "got an array of Python objects"),
    ("a.npz", {"x": [["a"], ["b"]], "y": Y}, "x: expected real numbers; got an array"),
    ("a.npz", {"x": X[0], "y": Y}, "y: expected one label or target per example, [3]"),
    ("a.npz", {"x": X[0, 0], "y": Y}, "x: expected [examples, time, features] or"),
    ("a.npz", {"x": X[:0], "y": []}, "none of them 0; got [0, 3, 1]"),
    (
        "a.npz",
        {"x": X + np.array([[0], [np.nan], [0]]), "y": Y},
        "got nan at example 0, step 1, ",
    ),
    ("a.npz", {"x": X + 1e39, "y": Y}, "expected numbers that are finite in float32"),
    ("a.npz", {"x": X, "y": [0.5, 1.5]}, "use task=regress for real targets"),
    ("a.npz", {"x": X, "y": [0.0, 1.0]}, "got an array of float64; convert it, or use"),
    ("a.npz", {"x": X, "y": ["", "b"]}, "names of classes on one line; got ''; rena"),
    ("a.npz", {"x": X, "y": ["a\nb", "b"]}, "on one line; got 'a\\nb'; rename"),
    (
        "a.npz",
        {"x": X, "y": [1, 1]},
        "at least 2 classes in the training part; got onl",
    ),
    (
        "a.npz",
        {"x": X, "y": Y, "lengths": [3, 4]},
        "lengths from 1 to 3; got 4 at exam",
    ),
    (
        "a.npz",
        {"x": X, "y": Y, "lengths": [0, 3]},
        "lengths from 1 to 3; got 0 at exam",
    ),
    (
        "a.npz",
        {"x": X, "y": Y, "lengths": [3.0, 3]},
        "one integer per example, [2]; got",
    ),
    ("a.npz", {"x": X, "y": Y, "x_test": X}, "expected the array y_test"),
    (
        "a.npz",
        {"x": X, "y": Y, "x_test": X, "y_test": [0, 7]},
        "test part; got '7'; add",
    ),
    (
        "a.npz",
        {"x": X, "y": Y, "x_test": X.reshape(2, 1, 3), "y_test": Y},
        "1 features",
    ),
    ("a.ts", "", "a.ts: expected a line @data; got none"),
    (
        "a.ts",
        "1,2:a\n",
        "a.ts, line 1: expected a header line, @TAG VALUE, or a comment",
    ),
    (
        "a.ts",
        "@data\n1,2:a\n",
        "expected @classLabel true and the names of the classes",
    ),
    ("a.ts", TS, "a.ts: expected examples after @data; got none"),
    ("a.ts", "@targetLabel true\n@data\n1:2\n", "use task=regress"),
    ("a.ts", "@timeStamps true\n" + TS, "expected values without time stamps"),
    (
        "a.ts",
        TS + "1,?:2,3:a\n",
        "line 6: expected finite numbers; got a missing value,",
    ),
    ("a.ts", TS + "1,2:2,NaN:a\n", "'NaN' at step 1 of dimension 1 (counted from 0)"),
    (
        "a.ts",
        TS + "1,2:2,3:c\n",
        "line 6: expected a class of @classLabel, a, b; got 'c'",
    ),
    ("a.ts", TS + "1,2:2:a\n", "dimensions of one length; got 1 and 2 values"),
    (
        "a.ts",
        TS + "1:2:a\n1:b\n",
        "line 7: expected 2 dimensions, as in the first exam",
    ),
    ("a.ts", TS + "1,2\n", "expected values and a label, separated by ':'; got no ':'"),
    ("a.ts", TS + "1:a\n2:b\n", "expected 2 dimensions, as the header has it; got 1"),
    ("a.ts", "@equalLength true\n" + TS + "1:1:a\n1,2:1,2:b\n", "lengths from 1 to 2"),
    ("a.csv", "", "a.csv: expected rows of values; got none"),
    ("a.csv", "label,0\n", "a.csv: expected rows of values; got none"),
    ("a.csv", "label\na\n", "expected at least 2 columns"),
    ("a.csv", WIDE + "5,up\n", "line 4: expected 3 cells, as in the first row; got 2"),
    (
        "a.csv",
        WIDE + "5,x,up\n",
        "line 4, column '1': expected a finite number; got 'x'",
    ),
    (
        "a.csv",
        WIDE + "5,6,\n",
        "line 4, column 'label': expected a label; got an empty",
    ),
    (
        "a.csv",
        "a,a,label\n1,2,x\n",
        "expected distinct names of columns; got 'a' twice",
    ),
    (
        "a.csv",
        "1,2\n3,4\n",
        "the table has no header; got label=label; use label=first",
    ),
    ("a.csv", "a,class\n1,x\n", "expected a column 'label' of labels; got a, class"),
    (
        "a.csv",
        LONG + "7,5,0,0,down\n",
        "line 5, column 'time': expected times that incre",
    ),
    (
        "a.csv",
        LONG + "7,6,0,0,up\n",
        "line 5, column 'label': expected one label per ex",
    ),
    (
        "a.csv",
        LONG + "8,0,,0,up\n",
        "line 5, column 'a': expected a finite number; got",
    ),
    ("a.csv", 'label,0\n"a,1\n', "a line that cannot be split"),
    ("pets", {"x.png": GRAY}, "pets: expected a file .npz, .ts"),
]
BAD_IMAGES = [
    ("pets", {"x.png": GRAY}, "pets: expected one folder per class; got none"),
    ("pets", {"a/x.txt": b""}, "a: expected images; got none"),
    (
        "pets",
        {"a/x.png": GRAY},
        "at least 2 classes in the training part; got only 'a'",
    ),
    (
        "pets",
        {"a/x.png": GRAY, "b/x.png": b""},
        "x.png: expected an image; got an unkn",
    ),
    (
        "pets",
        {"a/x.png": GRAY, "b/x.png": b"\x89PNG\r\n"},
        "x.png: expected an image; ",
    ),
    (
        "pets",
        {"a/x.png": GRAY, "b/y.png": GRAY[1:]},
        "4x4 pixels, as in x.png; got 4x3",
    ),
    (
        "pets",
        {"train/a/x.png": GRAY, "val/a/x.png": GRAY},
        "only the folders train and",
    ),
    (
        "a.npz",
        {"x": X[..., None], "y": Y, "lengths": Y},
        "expected no lengths, as x con",
    ),
    (
        "a.npz",
        {"x": X[..., 0], "y": Y},
        "expected [examples, height, width, channels] o",
    ),
]


@pytest.mark.parametrize(("name", "content", "sentence"), BAD)
def test_bad_sequences_are_refused(name, content, sentence, tmp_path):
    assert_refused(tmp_path, name, content, sentence, "sequences")


@pytest.mark.parametrize(("name", "content", "sentence"), BAD_IMAGES)
def test_bad_images_are_refused(name, content, sentence, tmp_path):
    assert_refused(tmp_path, name, content, sentence, "images")


def assert_refused(folder, name, content, sentence, kind):
    path = folder / name if content is None else written(folder, name, content)
    with pytest.raises(DataError) as error:
        load(path, kind=kind)
    text = str(error.value)
    assert sentence in text and str(path) in text and "\n" not in text


def test_a_pipe_an_unreadable_name_and_two_pairs(tmp_path):
    for name in ("A_TRAIN.ts", "B_TRAIN.ts"):
        written(tmp_path, name, TS)
    with pytest.raises(DataError, match="expected one file NAME_TRAIN"):
        load(tmp_path)
    with pytest.raises(DataError, match="expected"):
        load("a\0b.npz")
    with pytest.raises(ValueError, match="a task of classify, regress"):
        load(tmp_path, "guess")
    with pytest.raises(DataError, match="omit image_size"):
        load(written(tmp_path, "d.npz", {"x": X, "y": Y}), kind="images", image_size=8)


def made(count=20, **changed) -> Any:
    x = np.arange(count * 6, dtype=np.float32).reshape(count, 3, 2)
    y = (np.arange(count) % 4 == 0).astype(np.int32)
    fields = dict.fromkeys(["lengths", "x_test", "y_test", "lengths_test"])
    fields |= {"x": x, "y": y, "classes": ("a", "b"), "features": ("0", "1")}
    return Dataset(**{**fields, **changed})


def test_a_split_is_stratified_and_follows_the_seed():
    data = split(made(), 0.2, seed=3)
    assert data.y_test.tolist().count(1) == 1 and len(data.y_test) == 4
    rows = np.concatenate([data.x, data.x_test])[:, 0, 0]
    assert sorted(rows) == sorted(made().x[:, 0, 0])
    assert np.array_equal(split(made(), 0.2, seed=3).x_test, data.x_test)
    assert not np.array_equal(split(made(), 0.2, seed=4).x_test, data.x_test)
    assert split(data, 0.5) is data
    lone = made(3, y=np.array([0, 0, 1], np.int32))
    with pytest.raises(DataError, match="at least 2 examples of class 'b'"):
        split(lone)


def test_scales_are_those_of_the_training_part_without_padding():
    data = made(4, lengths=np.array([3, 1, 2, 3], np.int32))
    data = data._replace(
        x=data.x * (np.arange(3) < data.lengths[:, None])[..., None],
        x_test=data.x + 100,
        lengths_test=data.lengths,
    )
    scaled = standardize(data)
    real = np.arange(3) < data.lengths[:, None]
    assert np.allclose(scaled.x[real].mean(axis=0), 0, atol=1e-6)
    assert np.allclose(scaled.x[real].std(axis=0), 1, atol=1e-6)
    assert (scaled.x[~real] == 0).all() and (scaled.x_test[~real] == 0).all()
    shift = (data.x_test[0, 0] - data.x[0, 0]) / data.x[real].std(axis=0)
    assert np.allclose(scaled.x_test[0, 0] - scaled.x[0, 0], shift, atol=1e-5)
    targets = np.array([0, 2, 4, 6], np.float32)
    real = standardize(made(4, y=targets, classes=()))
    assert np.allclose(real.y * real.scale + 3, targets, atol=1e-5)
    constant = standardize(made(4, x=np.full((4, 3, 2), 7, np.float32)))
    assert (constant.x == 0).all()


def test_the_hash_changes_with_content_and_not_with_the_folder(tmp_path):
    first = written(tmp_path, "a.csv", WIDE)
    before = sha256([first])
    (tmp_path / "b").mkdir()
    assert sha256([written(tmp_path / "b", "a.csv", WIDE)]) == before
    assert sha256([written(tmp_path, "a.csv", WIDE + "5,6,up\n")]) != before
