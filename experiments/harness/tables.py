"""Tables of results, for the terminal and for the page alike."""

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tabulate
from jaxtyping import Float

from nets.blocks import Row
from nets.convolutional.geometry import format_shape

tabulate.MIN_PADDING = 0  # of headers, which would widen every column
WIDE, WIDEST = 100, 120  # characters of a line in a terminal
MOST_DIGITS = 5


class Table(NamedTuple):
    """A table of texts.

    Attributes:
        header: One name per column.
        rows: One text per cell; the first column names the row.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def text(self, width: int = WIDEST) -> str:
        """The table for a terminal.

        Args:
            width: Characters of a line; a wider table is split into blocks of columns,
                one below the other, each with the first column.

        Returns:
            Lines; the first column is aligned to the left, the rest to the right.

        Example:
            >>> print(Table(["cell", "test accuracy, %"], [["lstm", "86"]]).text())
            cell         test
                  accuracy, %
            ----  -----------
            lstm           86
        """
        columns = range(len(self.header))
        # Names of columns are wrapped at every word only if the table is too wide.
        for least in (12, 1):
            header = [self._wrapped(column, least) for column in columns]
            if _width(self._block(header, columns)) <= WIDE:
                break
        blocks = [[0]]
        for column in columns[1:]:
            block = self._block(header, [*blocks[-1], column])
            if _width(block) > width and len(blocks[-1]) > 1:
                blocks.append([0])
            blocks[-1].append(column)
        return "\n\n".join(self._block(header, block) for block in blocks)

    def _wrapped(self, column: int, least: int) -> str:
        """The name of a column, wrapped to the width of its cells."""
        width = max([least, *(len(row[column]) for row in self.rows)])
        return textwrap.fill(
            self.header[column], width, break_long_words=False, break_on_hyphens=False
        )

    def _block(self, header: Sequence[str], columns: Sequence[int]) -> str:
        """Some columns of the table; rows that are blank in these are left out."""
        chosen = [[row[column] for column in columns] for row in self.rows]
        text = tabulate.tabulate(
            [row for row in chosen if any(row[1:]) or len(row) == 1],
            [header[column] for column in columns],
            disable_numparse=True,
            preserve_whitespace=True,
            colalign=["left", *["right"] * (len(columns) - 1)],
        )
        return "\n".join(line.rstrip() for line in text.split("\n"))


def _width(text: str) -> int:
    """Length of the longest line."""
    return max(map(len, text.split("\n")))


def layers(rows: Sequence[Row]) -> Table:
    """The table of a network: one row per layer.

    Args:
        rows: Rows of `nets.blocks.summary`.

    Returns:
        Output shapes, parameters, receptive fields and FLOPs, and their sums.

    Example:
        >>> print(layers([Row("dense 10", (10,), 650, None, 1280)]).text())
        layer     output shape  parameters  receptive  FLOPs
                                                field
        --------  ------------  ----------  ---------  -----
        dense 10            10         650        all  1,280
        total                          650             1,280
    """
    header = ["layer", "output shape", "parameters", "receptive field", "FLOPs"]
    lines = [
        [
            row.name,
            format_shape(row.shape),
            f"{row.parameters:,}",
            receptive_field(row),
            f"{row.flops:,}",
        ]
        for row in rows
    ]
    parameters = sum(row.parameters for row in rows)
    flops = sum(row.flops for row in rows)
    lines.append(["total", "", f"{parameters:,}", "", f"{flops:,}"])
    return Table(header, lines)


def receptive_field(row: Row) -> str:
    """The receptive field of a layer as text.

    Args:
        row: A row of `nets.blocks.summary`.

    Returns:
        Text such as "5x5".

    Example:
        >>> receptive_field(Row("dense 10", (10,), 650, None, 1280))
        'all'
    """
    return "all" if row.receptive_field is None else format_shape(row.receptive_field)


def mean_and_deviation(values: Float[np.ndarray, " seeds"], form: str) -> str:
    """The mean over seeds, and the standard deviation if there are several seeds.

    Args:
        values: One number per seed.
        form: Format of the mean, such as "{:.1f}".

    Returns:
        "mean ± deviation", the sample's deviation (n - 1); only the mean if it is not
        finite; "none" if any value is nan.

    Example:
        >>> mean_and_deviation(np.array([1.0, 2.0, 3.0]), "{:.1f}")
        '2.0 ± 1.0'
    """
    if np.isnan(values).any():
        return "none"
    if np.isinf(values).any() and len({*np.sign(values[np.isinf(values)])}) > 1:
        return "none"
    mean = form.format(values.mean())
    if len(values) < 2 or not finite(values):
        return mean
    return f"{mean} ± {form.replace('+', '').format(values.std(ddof=1))}"


def finite(values: np.ndarray) -> bool:
    """Whether all numbers are finite, as after training that converged."""
    return bool(np.isfinite(values).all())


def decimals(samples: Sequence[np.ndarray]) -> int:
    """Number of decimals that shows two digits of the smallest deviation.

    Args:
        samples: Numbers of several samples, [seeds] each; samples with numbers that
            are not finite are ignored.

    Returns:
        Number of decimals for all samples.

    Example:
        >>> decimals([np.array([0.93, 0.95]), np.array([0.2, 0.9])])
        3
    """
    sizes = []
    for values in filter(finite, samples):
        spread = values.std(ddof=1) if len(values) > 1 else 0.0
        sizes.append(spread or abs(values.mean()) / 100)
    size = min(filter(None, sizes), default=1.0)
    largest = max(
        (abs(values.mean()) for values in filter(finite, samples)), default=1.0
    )
    least = largest / 10**MOST_DIGITS
    return int(np.clip(1 - np.floor(np.log10(max(size, least))), 0, 9))


def counted(number: int, noun: str) -> str:
    """A number of things, in words.

    Args:
        number: The number.
        noun: Singular of the noun, whose plural ends with s.

    Returns:
        Words.

    Example:
        >>> counted(1, "seed"), counted(1000, "step")
        ('1 seed', '1000 steps')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
