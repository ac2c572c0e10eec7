"""Files of the UCR and UEA time series archives, `.ts`.

Lines that begin with "#" are comments. Lines that begin with "@" are the header, which
ends with "@data". Every line after it is an example: the dimensions, separated by ":",
each a list of numbers separated by ",", and at last the label or the target:

    @problemName Waves
    @dimensions 2
    @classLabel true sine square
    @data
    0.0,0.7,1.0:1.0,0.7,0.0:sine
    1.0,1.0:0.0,0.0:square

Examples may have different lengths. Missing values ("?") and time stamps are refused.
"""

import os
import pathlib

import numpy as np

from train.data.dataset import CLASSIFY, REGRESS, Part, feature_names, padded, targets
from train.data.errors import DataError
from train.data.files import expanded, read_text

HINT = "name a .ts file of the UCR and UEA archives"
MISSING = ("?", "", "nan")


def load(path: str | bytes | os.PathLike, task: str = CLASSIFY) -> Part:
    r"""Load the sequences of one .ts file.

    Args:
        path: Path of the file; ~ is the home folder.
        task: "classify" for a file with @classLabel, "regress" for one with
            @targetLabel.

    Returns:
        A `Part`; labels are strings.

    Raises:
        DataError: The file is unreadable, has no labels or targets, has missing values
            or time stamps, or a line is not an example.

    Example:
        >>> import tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "waves.ts"
        >>> _ = path.write_text("@classLabel true a b\n@data\n1,2,3:a\n4,5:b\n")
        >>> part = load(path)
        >>> part.x.shape, part.y.tolist(), part.lengths.tolist()
        ((2, 3, 1), ['a', 'b'], [3, 2])

    References:
        Bagnall et al. 2018, The UEA multivariate time series classification archive,
        https://arxiv.org/abs/1811.00075
        The format: https://www.aeon-toolkit.org/en/stable/api_reference/data_format.html
    """
    path = expanded(path)
    lines = read_text(path, HINT).split("\n")
    header, begin = _header(path, lines)
    _check_header(path, header, task)
    sequences, labels, dimensions = [], [], None
    for number, line in enumerate(lines[begin:], begin + 1):
        if not line.strip() or line.startswith("#"):
            continue
        where = f"{path}, line {number}"
        *parts, label = line.strip().split(":")
        sequences.append(_sequence(where, parts))
        dimensions = dimensions or len(parts)
        if len(parts) != dimensions:
            raise DataError(
                f"{where}: expected {dimensions} dimensions, as in the first example; "
                f"got {len(parts)}; correct the line"
            )
        labels.append(_label(where, label.strip(), header, task))
    if not sequences:
        raise DataError(f"{path}: expected examples after @data; got none; {HINT}")
    x, lengths = padded(sequences)
    _check_sizes(path, header, x, lengths)
    y = targets(np.array(labels), task, f"{path}, targets")
    return Part(x, y, lengths, feature_names(x.shape[-1]))


def _header(path: pathlib.Path, lines: list[str]) -> tuple[dict[str, list[str]], int]:
    """Words after each tag, by the tag in lower case, and the line after @data."""
    header = {}
    for number, line in enumerate(lines):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if not words[0].startswith("@"):
            raise DataError(
                f"{path}, line {number + 1}: expected a header line, @TAG VALUE, or a "
                f"comment, before @data; got {line[:40]!r}; {HINT}"
            )
        tag = words[0][1:].lower()
        if tag == "data":
            return header, number + 1
        header[tag] = words[1:]
    raise DataError(f"{path}: expected a line @data; got none; {HINT}")


def _is_true(header: dict[str, list[str]], tag: str) -> bool:
    """Whether a tag of the header is true."""
    return [word.lower() for word in header.get(tag, [])[:1]] == ["true"]


def _check_header(path: pathlib.Path, header: dict[str, list[str]], task: str) -> None:
    """Refuse time stamps, and labels of another task."""
    if _is_true(header, "timestamps"):
        raise DataError(
            f"{path}: expected values without time stamps (@timeStamps false); got "
            "@timeStamps true; resample the sequences to equal steps"
        )
    tags = {CLASSIFY: "classLabel", REGRESS: "targetLabel"}
    other = {CLASSIFY: REGRESS, REGRESS: CLASSIFY}[task]
    if _is_true(header, tags[task].lower()):
        return
    if _is_true(header, tags[other].lower()):
        raise DataError(
            f"{path}: expected @{tags[task]} true, for task={task}; got "
            f"@{tags[other]} true; use task={other}"
        )
    raise DataError(
        f"{path}: expected @classLabel true and the names of the classes, or "
        "@targetLabel true; got neither; add it, and a label to each line"
    )


def _sequence(where: str, parts: list[str]) -> np.ndarray:
    """The values of an example, [time, dimensions]."""
    if not parts:
        raise DataError(
            f"{where}: expected values and a label, separated by ':'; got no ':'; "
            "correct the line"
        )
    columns = []
    for dimension, part in enumerate(parts):
        cells = part.split(",")
        try:
            column = np.array(cells, np.float32)
        except ValueError:
            column = np.full(1, np.nan, np.float32)
        if not np.isfinite(column).all():
            raise _wrong_value(where, dimension, cells)
        columns.append(column)
    lengths = sorted({len(column) for column in columns})
    if len(lengths) > 1:
        raise DataError(
            f"{where}: expected dimensions of one length; got {lengths[0]} and "
            f"{lengths[-1]} values; correct the line"
        )
    return np.stack(columns, axis=1)


def _wrong_value(where: str, dimension: int, cells: list[str]) -> DataError:
    """The error about the first cell that is not a finite number."""
    for step, cell in enumerate(cells):
        try:
            if np.isfinite(np.float32(cell)):
                continue
        except ValueError:
            pass
        got = cell.strip()
        kind = "a missing value, " if got.lower() in MISSING else ""
        return DataError(
            f"{where}: expected finite numbers; got {kind}{got!r} at step {step} of "
            f"dimension {dimension} (counted from 0); fill it in or remove the example"
        )
    raise AssertionError("all cells are finite numbers")


def _label(where: str, label: str, header: dict[str, list[str]], task: str):
    """The label or the target of an example."""
    if task == CLASSIFY:
        declared = header["classlabel"][1:]
        if not label or (declared and label not in declared):
            raise DataError(
                f"{where}: expected a class of @classLabel, {', '.join(declared)}; got "
                f"{label!r}; correct the line or the header"
            )
        return label
    try:
        value = float(label)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise DataError(
            f"{where}: expected a finite number as the target, after the last ':'; got "
            f"{label!r}; correct the line"
        )
    return value


def _check_sizes(
    path: pathlib.Path, header: dict[str, list[str]], x: np.ndarray, lengths: np.ndarray
) -> None:
    """Compare the examples with the sizes that the header declares."""
    declared = (header.get("dimensions") or header.get("dimension") or [""])[0]
    dimensions = 1 if _is_true(header, "univariate") and not declared else declared
    if dimensions and str(dimensions) != str(x.shape[-1]):
        raise DataError(
            f"{path}: expected {dimensions} dimensions, as the header has it; got "
            f"{x.shape[-1]}; correct @dimensions or @univariate"
        )
    if _is_true(header, "equallength") and lengths.min() < lengths.max():
        raise DataError(
            f"{path}: expected sequences of equal length, as the header has it; got "
            f"lengths from {lengths.min()} to {lengths.max()}; use @equalLength false"
        )
