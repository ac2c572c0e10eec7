"""Rows of the atlas, one per network, and the file that keeps them."""

import csv
import io
import math
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from experiments.harness import cli

FILE = "atlas.csv"


class Row(NamedTuple):
    """One network: its measurements before training, and how it learns.

    Attributes:
        cell: Name of the cell.
        init: Name of the initialization; "own" if the cell takes none.
        features: Number of hidden units.
        seed: Seed of the network.
        decay_rate: As all that follow up to `highway_share`, in `measure.Flow`.
        half_life: Steps.
        horizon: Steps; inf if the gradient does not fall to 1e-3.
        exponent: Nats per step.
        exponents: Nats per step.
        conditioning: Nats per step.
        highway_share: From 0 to 1; nan for a cell without a highway.
        adding_rate: Learning rate for the adding problem.
        adding_steps: Steps in which it is solved; inf if it is not.
        adding_loss: Smallest held-out loss.
        temporal_order_rate: Learning rate for the temporal order problem.
        temporal_order_steps: Steps in which it is solved; inf if it is not.
        temporal_order_loss: Smallest held-out loss.
        copy_memory_rate: Learning rate for the copy memory problem.
        copy_memory_steps: Steps in which it is solved; inf if it is not.
        copy_memory_loss: Smallest held-out loss.
    """

    cell: str
    init: str
    features: int
    seed: int
    decay_rate: float
    half_life: float
    horizon: float
    exponent: float
    exponents: float
    conditioning: float
    highway_share: float
    adding_rate: float
    adding_steps: float
    adding_loss: float
    temporal_order_rate: float
    temporal_order_steps: float
    temporal_order_loss: float
    copy_memory_rate: float
    copy_memory_steps: float
    copy_memory_loss: float

    @property
    def network(self) -> tuple[str, str, int, int]:
        """Cell, initialization, units and seed."""
        return self[:4]


def as_csv(rows: Sequence[Row]) -> str:
    """The rows as a table of text.

    Args:
        rows: Rows.

    Returns:
        CSV with a header. A number that is nan is an empty field.

    Example:
        >>> row = Row("gru", "keras", 16, 0, *[0.5] * 15, float("nan"))
        >>> as_csv([row]).splitlines()[1]
        'gru,keras,16,0,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,'
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(Row._fields)
    for row in rows:
        writer.writerow(row.network + tuple(map(_text, row[4:])))
    return file.getvalue()


def _text(value: float) -> str:
    """A number of float32 in as few digits as determine it."""
    return "" if math.isnan(value) else f"{value:.7g}"


def read(paths: Sequence[str]) -> list[Row]:
    """Read rows that earlier runs have written.

    Args:
        paths: Names of files in the form of `as_csv`.

    Returns:
        The rows of all files.

    Raises:
        cli.UsageError: A file cannot be read or has another form, or two rows are of
            the same network.
    """
    rows = [row for path in paths for row in _read(path)]
    networks = set()
    for row in rows:
        if row.network in networks:
            name = "{}, {}, {} units, seed {}".format(*row.network)
            raise cli.UsageError(
                f"flag --rows: expected every network once; got {name} twice"
            )
        networks.add(row.network)
    return rows


def _read(path: str) -> list[Row]:
    """The rows of one file."""
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise cli.UsageError(f"flag --rows: cannot read {path}: {error}") from None
    header, *lines = list(csv.reader(io.StringIO(text))) or [[]]
    if tuple(header) != Row._fields or not lines:
        raise cli.UsageError(
            f"flag --rows: expected a file {FILE} of this experiment, with the columns "
            f"{', '.join(Row._fields)}; got {path}"
        )
    rows = []
    for number, line in enumerate(lines, 2):
        try:
            numbers = [float(text) if text else math.nan for text in line[4:]]
            rows.append(Row._make([*line[:2], int(line[2]), int(line[3]), *numbers]))
        except (ValueError, TypeError, IndexError) as error:
            raise cli.UsageError(
                f"flag --rows: expected a network in each line; got line {number} of "
                f"{path} ({error})"
            ) from None
    return rows
