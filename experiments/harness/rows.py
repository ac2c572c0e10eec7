"""The file metrics.jsonl, to which a run adds rows, and a resumed run adds the rest."""

import json
import math
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.harness import folders

DURATION = re.compile("seconds")  # in names of numbers that differ between equal runs


class Rows:
    """The rows of a run.

    A run that is resumed begins again, and logs the rows of the interrupted run once
    more. They are compared with the file, and not written twice.

    Args:
        file: The file metrics.jsonl.
    """

    def __init__(self, file: pathlib.Path):
        self._file = file
        self._count = 0  # rows that this process has logged
        self._earlier: Sequence[Mapping[str, Any]] = ()

    def repeat(self, earlier: Sequence[Mapping[str, Any]]) -> None:
        """Expect the rows of the file to be logged again.

        Args:
            earlier: The rows.
        """
        self._earlier = earlier

    def add(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Add a row, on the disk when this returns, unless it is there already.

        Args:
            row: A row of plain values.

        Returns:
            The row in the file: durations of an earlier row are kept.
        """
        if self._count < len(self._earlier):
            there = self._earlier[self._count]
            row = _with_durations(row, there)
            if _line(row) == _line(there):
                self._count += 1
                return row
            # The program is deterministic, up to durations in a text or in numbers of
            # other names. So all rows from here on are logged again, as they are now.
            self.cut()
        with self._file.open("a", encoding="utf-8") as file:
            file.write(_line(row))
        self._count += 1
        return row

    def cut(self) -> None:
        """Remove the rows that were not logged again."""
        if self._count < len(self._earlier):
            rows = self._earlier[: self._count]
            folders.write(self._file, "".join(map(_line, rows)))
        self._earlier = ()


def _line(row: Mapping[str, Any]) -> str:
    """The line of a row."""
    return json.dumps(row, allow_nan=False) + "\n"


def _with_durations(
    row: Mapping[str, Any], there: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The row with the durations of another.

    Example:
        >>> _with_durations({"step": 1, "seconds": 0.5}, {"step": 2, "seconds": 0.25})
        {'step': 1, 'seconds': 0.25}
    """
    return {
        name: there.get(name, value) if DURATION.search(name) else value
        for name, value in row.items()
    }


def read_rows(folder: str | pathlib.Path) -> list[dict[str, Any]]:
    """The rows of a results folder.

    Args:
        folder: Folder of a run, complete or not.

    Returns:
        One dict per line of metrics.jsonl; none if there is no such file. A last line
        that was cut off is left out.

    Raises:
        ValueError: A line is not one row.
    """
    file = pathlib.Path(folder) / "metrics.jsonl"
    if not file.exists():
        return []
    lines = file.read_text(encoding="utf-8").split("\n")
    rows = [json.loads(line) for line in lines[:-1]]
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise ValueError(f"line {number} of {file} is no row, {{...}}: {row!r}")
    return rows


def plain(value: Any) -> Any:
    """The value as JSON has it.

    Args:
        value: Numbers, strings, mappings, lists and arrays of them.

    Returns:
        The value, with None for numbers that are not finite.

    Example:
        >>> plain({"loss": math.inf, 1: (True, "a")})
        {'loss': None, '1': [True, 'a']}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
