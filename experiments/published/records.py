"""Rows of runs that compare with published numbers."""

import pathlib
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from experiments.harness.folders import ResultsError
from experiments.harness.published import KIND
from experiments.harness.saved import open_run


class RunRecord(NamedTuple):
    """A run, and its comparisons with published numbers.

    Attributes:
        folder: Folder of the run, as the user gave it.
        experiment: Name of the experiment.
        command: Its command, without the folder of the results.
        seeds: Its seeds; none if the experiment has no such flag.
        seconds: Duration of the run; None if it was resumed.
        commit: Commit of the code; empty if it is not known.
        rows: Rows of the kind "published".
    """

    folder: str
    experiment: str
    command: str
    seeds: Sequence[int]
    seconds: float | None
    commit: str
    rows: Sequence[Mapping[str, Any]]


def read(folders: Sequence[str]) -> list[RunRecord]:
    """Open complete runs.

    Args:
        folders: Their folders.

    Returns:
        One record per folder.

    Raises:
        ResultsError: A folder is given twice, or is that of no complete run or of one
            that compares with no published number.
    """
    records, places = [], set()
    for folder in folders:
        if (place := pathlib.Path(folder).resolve()) in places:
            raise ResultsError(f"the run {folder} is given twice")
        places.add(place)
        run = open_run(folder)
        rows = [row for row in run.metrics if row.get("kind") == KIND]
        if not rows:
            raise ResultsError(
                f"{folder} is a run of {run.experiment or 'no experiment'} that "
                "compares with no published number"
            )
        records.append(
            RunRecord(
                folder,
                run.experiment,
                without_folder(run.metadata.get("command", "")),
                run.config.get("seeds", []),
                run.metadata.get("seconds"),
                run.metadata.get("commit") or "",
                rows,
            )
        )
    return records


def without_folder(command: str) -> str:
    """A command without the flag of the results' folder.

    Example:
        >>> without_folder("python -m experiments.mnist1d --steps=3 --results=r")
        'python -m experiments.mnist1d --steps=3'
    """
    try:
        words = shlex.split(command)
    except ValueError:
        return command
    left = [word for word in words if not word.startswith(("--results", "--resume"))]
    return shlex.join(left)
