"""Labeled sequences in tables of text, `.csv` (commas) and `.tsv` (tabs).

A long table has a header, and one row per step. The columns `example` and `time` say
to which sequence and where the step belongs; one column has the label, which is the
same at all steps of an example; all further columns are features:

    example,time,x,y,label
    0,0,0.1,0.2,walk
    0,1,0.3,0.1,walk
    1,0,0.7,0.9,run

A wide table has one example per row. One column has the label; the values of the other
columns, from left to right, are the steps of a sequence of one feature:

    label,0,1,2
    walk,0.1,0.3,0.2
    run,0.7,0.9,0.8

The column of the label is named by `label`. A wide table may have no header; then
`label` is "first" or "last", as in the .tsv files of the UCR archive ("first"). The
first row is a header if a cell is the name of the label column, or no cell is a number.
"""

import csv
import os
import pathlib
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from train.data.dataset import CLASSIFY, Part, padded, targets
from train.data.errors import DataError
from train.data.files import expanded, read_text

EXAMPLE, TIME, LABEL = "example", "time", "label"
FIRST, LAST = "first", "last"
HINT = "name a table with one step per row (long) or one example per row (wide)"


class Table(NamedTuple):
    """The rows of a table, as text.

    Attributes:
        path: Path of the file.
        header: Names of the columns; None if the table has none.
        rows: Cells, all rows of one width.
        lines: Number of each row's line.
    """

    path: pathlib.Path
    header: list[str] | None
    rows: list[list[str]]
    lines: list[int]

    def where(self, row: int, column: int) -> str:
        """Text such as "data.csv, line 3, column 'x'"."""
        name = repr(self.header[column]) if self.header else str(column + 1)
        return f"{self.path}, line {self.lines[row]}, column {name}"


def load(
    path: str | bytes | os.PathLike, task: str = CLASSIFY, label: str = LABEL
) -> Part:
    r"""Load the sequences of one table, long or wide.

    A table with the columns `example` and `time` is long; any other is wide.

    Args:
        path: Path of the file; ~ is the home folder. Columns are separated by tabs if
            it ends in ".tsv", else by commas.
        task: "classify" for labels, "regress" for real targets.
        label: Name of the column of the labels or targets, or "first" or "last".

    Returns:
        A `Part`; labels are strings.

    Raises:
        DataError: The file is unreadable; rows have different widths; a column is
            missing; a value is missing or no finite number; or the rows of an example
            contradict each other.

    Example:
        >>> import tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "data.csv"
        >>> _ = path.write_text("label,0,1\nwalk,0.1,0.3\nrun,0.7,0.9\n")
        >>> part = load(path)
        >>> part.x.shape, part.y.tolist()
        ((2, 2, 1), ['walk', 'run'])
    """
    table = _read(expanded(path), label)
    column = _label_column(table, label)
    if table.header and {EXAMPLE, TIME} <= set(table.header):
        return _long(table, column, task)
    values = [i for i in range(len(table.rows[0])) if i != column]
    x = np.stack([_floats(table, row, values) for row in range(len(table.rows))])
    labels = np.array([row[column] for row in table.rows])
    y = _targets(table, labels, list(range(len(labels))), column, task)
    lengths = np.full(len(x), x.shape[1], np.int32)
    return Part(x[..., None], y, lengths, ("0",))


def _read(path: pathlib.Path, label: str) -> Table:
    """Read the table, and check that all rows are equally wide."""
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    text = read_text(path, HINT).split("\n")
    reader = csv.reader(text, delimiter=delimiter, skipinitialspace=True, strict=True)
    rows, lines = [], []
    try:
        for row in reader:
            if row:
                rows.append([cell.strip() for cell in row])
                lines.append(reader.line_num)
    except csv.Error as error:
        raise DataError(
            f"{path}, line {reader.line_num}: expected cells of a table; got a line "
            f"that cannot be split ({error}); correct it"
        ) from None
    first = rows[0] if rows else []
    has_header = label in first or not any(map(_is_number, first))
    header = first if has_header else None
    if len(rows) <= has_header:
        raise DataError(f"{path}: expected rows of values; got none; {HINT}")
    for row, line in zip(rows, lines, strict=True):
        if len(row) != len(rows[0]):
            raise DataError(
                f"{path}, line {line}: expected {len(rows[0])} cells, as in the first "
                f"row; got {len(row)}; for sequences of unequal length, use a long "
                "table"
            )
    if len(rows[0]) < 2:
        raise DataError(
            f"{path}: expected at least 2 columns, a label and values, separated by "
            f"{'tabs' if delimiter != ',' else 'commas'}; got 1; {HINT}"
        )
    if header and len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise DataError(
            f"{path}: expected distinct names of columns; got {twice!r} twice; rename "
            "one of them"
        )
    return Table(path, header, rows[has_header:], lines[has_header:])


def _is_number(cell: str) -> bool:
    """Whether a cell of the first row is a value, not a name."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _label_column(table: Table, label: str) -> int:
    """Index of the column of the labels."""
    if table.header and label in table.header:
        return table.header.index(label)
    if label in (FIRST, LAST):
        return 0 if label == FIRST else len(table.rows[0]) - 1
    if table.header is None:
        raise DataError(
            f"{table.path}: expected the place of the labels, as the table has no "
            f"header; got label={label}; use label=first or label=last"
        )
    names = ", ".join(table.header[:8]) + (", ..." if len(table.header) > 8 else "")
    raise DataError(
        f"{table.path}: expected a column {label!r} of labels; got {names}; use "
        "label=NAME of one of them"
    )


def _floats(table: Table, row: int, columns: list[int]) -> Float[np.ndarray, " n"]:
    """Finite numbers of a row."""
    cells = [table.rows[row][column] for column in columns]
    try:
        values = np.array(cells, np.float32)
    except ValueError:
        values = np.array([_number(cell) for cell in cells], np.float32)
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        cell = cells[wrong[0]]
        raise DataError(
            f"{table.where(row, columns[wrong[0]])}: expected a finite number; got "
            f"{cell!r}; fill it in or remove the example"
        )
    return values


def _number(cell: str) -> float:
    """A cell as a number, nan if it is none."""
    return float(cell) if _is_number(cell) else float("nan")


def _targets(
    table: Table, labels: np.ndarray, rows: list[int], column: int, task: str
) -> np.ndarray:
    """Labels or targets; `rows` has the row of each."""
    if task != CLASSIFY:
        return np.concatenate([_floats(table, row, [column]) for row in rows])
    empty = np.flatnonzero(labels == "")
    if empty.size:
        raise DataError(
            f"{table.where(rows[empty[0]], column)}: expected a label; got an empty "
            "cell; fill it in or remove the example"
        )
    return targets(labels, task, str(table.path))


def _long(table: Table, column: int, task: str) -> Part:
    """Sequences of a table with one row per step."""
    assert table.header is not None
    example, time = (table.header.index(name) for name in (EXAMPLE, TIME))
    columns = [i for i in range(len(table.header)) if i not in (example, time, column)]
    if column in (example, time) or not columns:
        raise DataError(
            f"{table.path}: expected the columns example, time, a label, and at least "
            f"one feature; got {', '.join(table.header)}; {HINT}"
        )
    rows_of: dict[str, list[int]] = {}
    for row, cells in enumerate(table.rows):
        rows_of.setdefault(cells[example], []).append(row)
    sequences, firsts = [], []
    for name, rows in rows_of.items():
        times = np.concatenate([_floats(table, row, [time]) for row in rows])
        late = np.flatnonzero(np.diff(times) <= 0)
        if late.size:
            raise DataError(
                f"{table.where(rows[late[0] + 1], time)}: expected times that increase "
                f"within an example; got {times[late[0] + 1]:g} after "
                f"{times[late[0]]:g} in example {name!r}; sort the rows"
            )
        for row in rows:
            if table.rows[row][column] != table.rows[rows[0]][column]:
                raise DataError(
                    f"{table.where(row, column)}: expected one label per example; got "
                    f"{table.rows[row][column]!r} after "
                    f"{table.rows[rows[0]][column]!r} in example {name!r}; correct it"
                )
        sequences.append(np.stack([_floats(table, row, columns) for row in rows]))
        firsts.append(rows[0])
    x, lengths = padded(sequences)
    labels = np.array([table.rows[row][column] for row in firsts])
    y = _targets(table, labels, firsts, column, task)
    return Part(x, y, lengths, tuple(table.header[i] for i in columns))
