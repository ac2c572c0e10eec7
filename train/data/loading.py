"""Load a data set of one's own, from a file or a folder."""

import hashlib
import os
import pathlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, Shaped

from train.data import csv_files, image_folder, npz, ts
from train.data.dataset import CLASSIFY, REGRESS, TASKS, Dataset, Part
from train.data.errors import DataError
from train.data.files import expanded, opened

SEQUENCES, IMAGES = KINDS = "sequences", "images"
TABLES = (".ts", ".tsv", ".csv")  # in this order of preference
FORMATS = {
    SEQUENCES: "a file .npz, .ts, .csv or .tsv, or a folder with NAME_TRAIN.ts",
    IMAGES: "a file .npz, or a folder with one folder of images per class",
}


def load(
    path: str | bytes | os.PathLike,
    task: str = CLASSIFY,
    *,
    kind: str = SEQUENCES,
    label: str = csv_files.LABEL,
    image_size: int = 0,
) -> Dataset:
    """Load labeled sequences or images.

    The format follows from the name: `.npz` (module `npz`), `.ts` (module `ts`),
    `.csv` and `.tsv` (module `csv_files`), or a folder of images (module
    `image_folder`). Of a pair NAME_TRAIN and NAME_TEST of .ts, .csv or .tsv
    files, either the file NAME_TRAIN or the folder of both is named.

    Args:
        path: File or folder; ~ is the home folder.
        task: "classify" for labels, "regress" for real targets.
        kind: "sequences" or "images".
        label: Column of the labels in a .csv or .tsv file: its name, "first" or "last".
        image_size: Height and width to which images of a folder are resized; 0 to keep
            their size.

    Returns:
        A `Dataset`. Classes are sorted by name, or by number if all names are numbers.

    Raises:
        ValueError: The task or the kind is unknown.
        DataError: A file is unreadable or not as its format requires; values are
            missing or not finite; there is one class only; or the parts contradict each
            other.

    Example:
        >>> import tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "data.npz"
        >>> np.savez(path, x=np.zeros((4, 8, 3)), y=["up", "down", "up", "down"])
        >>> data = load(path)
        >>> data.x.shape, data.y.tolist(), data.classes
        ((4, 8, 3), [1, 0, 1, 0], ('down', 'up'))
    """
    if task not in TASKS or kind not in KINDS:
        raise ValueError(
            f"expected a task of {', '.join(TASKS)} and a kind of {', '.join(KINDS)}; "
            f"got {task!r} and {kind!r}"
        )
    paths = _parts(expanded(path), kind)
    if len(paths) == 1 and paths[0].is_dir():
        parts = image_folder.load(paths[0], image_size)
    elif image_size:
        raise DataError(
            f"{paths[0]}: expected a folder of images, for image_size={image_size}; "
            "got a file; resize its images, and omit image_size"
        )
    elif paths[0].suffix.lower() == ".npz":
        parts = npz.load(paths[0], task, kind)
    else:
        read = [
            ts.load(file, task)
            if file.suffix.lower() == ".ts"
            else csv_files.load(file, task, label)
            for file in paths
        ]
        parts = read[0], (read[1] if len(read) > 1 else None)
    return _dataset(*parts, task, paths[0], paths[-1])


def files(path: str | bytes | os.PathLike, kind: str = SEQUENCES) -> list[pathlib.Path]:
    """Files that `load` reads.

    Args:
        path: As in `load`.
        kind: As in `load`.

    Returns:
        The file; both files of a pair; or all images of a folder.

    Raises:
        DataError: The path has no known format.

    Example:
        >>> import tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> for name in ("A_TRAIN.ts", "A_TEST.ts"):
        ...     (folder / name).touch()
        >>> [file.name for file in files(folder)]
        ['A_TRAIN.ts', 'A_TEST.ts']
    """
    paths = _parts(expanded(path), kind)
    if not paths[0].is_dir():
        return paths
    parts = image_folder.find(paths[0]).values()
    return [image for part in parts for image, _ in part]


def sha256(paths: Sequence[pathlib.Path]) -> str:
    """SHA-256 of the names and the contents of files.

    Args:
        paths: Files.

    Returns:
        The hash, in hexadecimal digits. It depends on the last folder of each path, not
        on the folders above.

    Raises:
        DataError: A file is unreadable.

    Example:
        >>> len(sha256([pathlib.Path(__file__)]))
        64
    """
    whole = hashlib.sha256()
    for path in paths:
        try:
            with opened(path) as file:
                part = hashlib.file_digest(file, "sha256")
        except OSError as error:
            raise DataError(
                f"{path}: expected a readable file; got {error.strerror or error}; "
                "name another file, or change its permissions"
            ) from None
        name = f"{path.parent.name if len(paths) > 2 else ''}/{path.name}"
        whole.update(name.encode("utf-8", "surrogateescape") + b"\0" + part.digest())
    return whole.hexdigest()


def _parts(path: pathlib.Path, kind: str) -> list[pathlib.Path]:
    """The file or folder; of a pair, the training file and the test file."""
    suffix = path.suffix.lower()
    try:
        is_folder, exists = path.is_dir(), path.exists()
        inside = sorted(path.iterdir()) if is_folder else []
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise DataError(
            f"{path}: expected {FORMATS[kind]}; got {getattr(error, 'strerror', error)}"
        ) from None
    if not exists:
        raise DataError(f"{path}: expected {FORMATS[kind]}; got no such file or folder")
    if kind == IMAGES:
        if is_folder or suffix == ".npz":
            return [path]
        raise DataError(f"{path}: expected {FORMATS[kind]}; got another kind of file")
    if is_folder:
        for ending in TABLES:
            pairs = [p for p in inside if p.name.lower().endswith("_train" + ending)]
            if len(pairs) == 1:
                return _pair(pairs[0])
            if pairs:
                raise DataError(
                    f"{path}: expected one file NAME_TRAIN{ending}; got "
                    f"{pairs[0].name} and {pairs[1].name}; name one of them"
                )
        raise DataError(f"{path}: expected {FORMATS[kind]}; got neither in the folder")
    if suffix not in (".npz", *TABLES):
        raise DataError(f"{path}: expected {FORMATS[kind]}; got another kind of file")
    return _pair(path)


def _pair(path: pathlib.Path) -> list[pathlib.Path]:
    """A file, and its companion if it is NAME_TRAIN and there is a NAME_TEST."""
    if not path.stem.lower().endswith("_train") or path.suffix.lower() == ".npz":
        return [path]
    part = path.stem[-5:]
    test = {"TRAIN": "TEST", "Train": "Test"}.get(part, "test")
    companion = path.with_name(path.stem[:-5] + test + path.suffix)
    return [path, companion] if companion.exists() else [path]


def _dataset(
    train: Part,
    test: Part | None,
    task: str,
    file: pathlib.Path,
    test_file: pathlib.Path,
) -> Dataset:
    """Check the parts against each other, and number the classes."""
    x_test, y_test, lengths_test = None, None, None
    classes: tuple[str, ...] = ()
    y, x, lengths = train.y, train.x, train.lengths
    if task == CLASSIFY:
        classes, (y, *rest) = _numbered(train, test, file, test_file)
        y_test = rest[0] if rest else None
    if test is not None:
        where = test_file if test_file != file else f"{file}, x_test"
        _check_alike(train, test, where)
        x_test, lengths_test = test.x, test.lengths
        y_test = test.y if task == REGRESS else y_test
        if lengths is not None:  # sequences
            time = max(x.shape[1], x_test.shape[1])
            x, x_test = _extended(x, time), _extended(x_test, time)
    if lengths is not None:
        both = lengths if lengths_test is None else np.append(lengths, lengths_test)
        if (both == x.shape[1]).all():
            lengths, lengths_test = None, None
    return Dataset(x, y, lengths, x_test, y_test, lengths_test, classes, train.features)


def _extended(x: np.ndarray, time: int) -> np.ndarray:
    """Sequences padded with zeros to a number of steps."""
    return np.pad(x, ((0, 0), (0, time - x.shape[1]), (0, 0)))


def _check_alike(train: Part, test: Part, where: pathlib.Path | str) -> None:
    """Refuse a test part with other features, or images of another size."""
    if test.features != train.features:
        counts = len(train.features), len(test.features)
        what = f"{counts[0]} features; got {counts[1]}"
        if counts[0] == counts[1]:
            what = f"the features {', '.join(train.features)}; got "
            what += ", ".join(test.features)
        raise DataError(
            f"{where}: expected, as in the training part, {what}; use parts of one "
            "data set"
        )
    if train.lengths is None and test.x.shape[1:] != train.x.shape[1:]:
        raise DataError(
            f"{where}: expected images of shape {list(train.x.shape[1:])}, as in the "
            f"training part; got {list(test.x.shape[1:])}; use parts of one data set"
        )


def _numbered(
    train: Part, test: Part | None, file: pathlib.Path, test_file: pathlib.Path
) -> tuple[tuple[str, ...], list[Int[np.ndarray, " examples"]]]:
    """Names of the classes, and the labels of both parts as numbers from 0."""
    parts = [train.y] if test is None else [train.y, test.y]
    names = [_names(labels) for labels in parts]
    distinct = set(names[0])
    classes = sorted(distinct)
    if all(map(_is_number, classes)):
        classes.sort(key=float)
    if len(classes) < 2:
        raise DataError(
            f"{file}: expected at least 2 classes in the training part; got only "
            f"{classes[0]!r}; check the labels"
        )
    for name in classes:
        if not name.strip() or len(name.splitlines()) > 1:
            raise DataError(
                f"{file}: expected names of classes on one line; got {name!r}; rename "
                "the class"
            )
    for name in names[-1]:
        if name not in distinct:
            raise DataError(
                f"{test_file}: expected classes of the training part in the test part; "
                f"got {name!r}; add examples of it to the training part"
            )
    number = {name: i for i, name in enumerate(classes)}
    labels = [np.array([number[n] for n in part], np.int32) for part in names]
    return tuple(classes), labels


def _names(labels: Shaped[np.ndarray, " examples"]) -> list[str]:
    """Labels as text; 1.0 and 1 are one label."""
    names = [str(label) for label in labels.tolist()]
    if all(map(_is_number, set(names))):
        values = [float(name) for name in names]
        if all(value.is_integer() for value in set(values)):
            return [str(_whole(name)) for name in names]
    return names


def _whole(name: str) -> int:
    """A whole number, exact above 2^53 too unless written with a point."""
    try:
        return int(name)
    except ValueError:
        return int(float(name))


def _is_number(name: str) -> bool:
    """Whether the name of a class is a finite number."""
    try:
        return "_" not in name and bool(np.isfinite(float(name)))
    except ValueError:
        return False
