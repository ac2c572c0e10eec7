"""What a run shows: tables for the terminal, figures for the eye."""

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nets.blocks import Row
from nets.convolutional.geometry import format_shape

# Okabe and Ito's colours, which the colour-blind tell apart; dark ones first.
COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#000000",
    "#E69F00",
    "#56B4E9",
)
STYLES = ("-", "--", ":", "-.")  # in turn, where the colours are used up
WIDE, WIDEST = 100, 120  # characters of a table in a terminal

# Names of cells as papers write them, where that is more than a capital letter.
WRITTEN = {
    "conv": "convolutional",
    "cornn": "coRNN",
    "elman": "Elman",
    "ind": "independent",
    "mlstm": "mLSTM",
    "slstm": "sLSTM",
    "unicornn": "UnICORNN",
    **{
        name: name.upper()
        for name in (
            *("gru", "irnn", "janet", "lem", "lru", "lstm", "mgu", "qrnn", "rg", "rhn"),
            *("rnn", "s5", "sru", "star"),
        )
    },
}


def written(name: str) -> str:
    """The name of a cell as people write it, for titles.

    Args:
        name: A key of `nets.CELLS`, or any other name, which stays as it is.

    Returns:
        The name.

    Example:
        >>> written("lstm"), written("layer_norm_gru"), written("my.module:cell")
        ('LSTM', 'layer norm GRU', 'my.module:cell')
    """
    if ":" in name:
        return name
    return " ".join(WRITTEN.get(word, word) for word in name.split("_"))


class Table(NamedTuple):
    """What a run found, for the terminal and for the page alike.

    Attributes:
        header: A name a column.
        rows: A text a cell.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def text(self, most: int = WIDEST) -> str:
        """The table as `text_table` has it."""
        return text_table(self.header, self.rows, most)


def text_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], most: int = WIDEST
) -> str:
    """A table as text, its header wrapped.

    Args:
        header: A name a column.
        rows: A text a cell.
        most: Characters of a line; a wider table is given in parts, below each other,
            each with the first column.

    Returns:
        Lines; the first column is aligned to the left, all others to the right.

    Example:
        >>> print(text_table(["cell", "test accuracy, %"], [["lstm", "86"]]))
                     test
        cell  accuracy, %
        ----  -----------
        lstm           86
    """
    # Heads are broken at 12 characters if the table fits so, else at every word.
    for least in (12, 1):
        longest = [
            max([least, *(len(row[i]) for row in rows)]) for i in range(len(header))
        ]
        heads = [
            textwrap.wrap(name, width, break_long_words=False, break_on_hyphens=False)
            for name, width in zip(header, longest, strict=True)
        ]
        widths = [
            max(map(len, [*head, *(row[i] for row in rows)]), default=0)
            for i, head in enumerate(heads)
        ]
        if sum(widths) + 2 * (len(widths) - 1) <= WIDE:
            break
    parts, room = [[0]], most - widths[0]
    for i in range(1, len(header)):
        if room < widths[i] + 2 and len(parts[-1]) > 1:
            parts.append([0])
            room = most - widths[0]
        parts[-1].append(i)
        room -= widths[i] + 2
    return "\n\n".join(_block(part, heads, widths, rows) for part in parts)


def _block(
    columns: Sequence[int],
    heads: Sequence[list[str]],
    widths: Sequence[int],
    rows: Sequence[Sequence[str]],
) -> str:
    """Some columns of a table."""
    height = max(len(heads[i]) for i in columns)
    padded = [[""] * (height - len(heads[i])) + heads[i] for i in columns]
    lines = [list(line) for line in zip(*padded, strict=True)]
    lines.append(["-" * widths[i] for i in columns])
    lines += [[row[i] for i in columns] for row in rows]
    return "\n".join(
        "  ".join(
            text.rjust(widths[i]) if i else text.ljust(widths[i])
            for i, text in zip(columns, line, strict=True)
        ).rstrip()
        for line in lines
    )


def layers(rows: Sequence[Row]) -> str:
    """The table of a network: a line a layer.

    Args:
        rows: Of `nets.blocks.summary`.

    Returns:
        Lines: output shapes, parameters, receptive fields and FLOPs, and their sums.

    Example:
        >>> print(layers([Row("dense 10", (10,), 650, None, 1280)]))
                                            receptive
        layer     output shape  parameters      field  FLOPs
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
            sees(row),
            f"{row.flops:,}",
        ]
        for row in rows
    ]
    parameters = sum(row.parameters for row in rows)
    flops = sum(row.flops for row in rows)
    lines.append(["total", "", f"{parameters:,}", "", f"{flops:,}"])
    return text_table(header, lines)


def sees(row: Row) -> str:
    """The receptive field of a layer, in words.

    Args:
        row: Of `nets.blocks.summary`.

    Returns:
        Such as "5x5".

    Example:
        >>> sees(Row("dense 10", (10,), 650, None, 1280))
        'all'
    """
    return "all" if row.receptive_field is None else format_shape(row.receptive_field)


def mean_and_deviation(values: Float[np.ndarray, " seeds"], form: str) -> str:
    """The mean over seeds, and the standard deviation if there are several.

    Args:
        values: One number a seed.
        form: A format for the mean, such as "{:.1f}".

    Returns:
        "mean ± deviation", the deviation that of a sample (n - 1); "none" if a seed
        has none (nan).

    Example:
        >>> mean_and_deviation(np.array([1.0, 2.0, 3.0]), "{:.1f}")
        '2.0 ± 1.0'
    """
    if np.isnan(values).any():
        return "none"
    mean = form.format(values.mean())
    if len(values) < 2:
        return mean
    return f"{mean} ± {form.replace('+', '').format(values.std(ddof=1))}"


def figure(title: str, columns: int) -> tuple[Figure, Sequence[Axes]]:
    """A figure of panels side by side, on one y axis.

    Args:
        title: The finding.
        columns: How many panels.

    Returns:
        The figure and its axes.
    """
    with matplotlib.rc_context({"font.size": 10}):
        figure = Figure(figsize=(5.5 * columns, 5), dpi=110, layout="constrained")
        # A flag's value in it may have dollars, which are no formula.
        figure.suptitle(plain(title), fontweight="bold", fontsize=12, parse_math=False)
        axes = figure.subplots(1, columns, sharey=True, squeeze=False)[0]
    for axis in axes:
        axis.grid(alpha=0.3)
    return figure, axes


def finding(figure: Figure) -> str:
    r"""What a figure's title says, in one line.

    Args:
        figure: Any figure.

    Returns:
        Its title; "" if it has none.

    Example:
        >>> finding(figure("LSTMs remember;\nothers do not", columns=1)[0])
        'LSTMs remember; others do not'
    """
    return " ".join(figure.get_suptitle().split())


def band(
    axis: Axes,
    values: Float[np.ndarray, "seeds x"],
    label: str,
    colour: int,
    *,
    dashed: bool = False,
) -> None:
    """The geometric mean over seeds as a line, their range as a band.

    Args:
        axis: Where to draw.
        values: Positive numbers, a row a seed; zeros leave gaps.
        label: For the legend.
        colour: Its number in `COLOURS`, counted round, with another of `STYLES` in
            each round.
        dashed: Draw a dashed line.
    """
    values = np.where(values > 0, values, np.nan)
    x = np.arange(values.shape[1])
    shade = COLOURS[colour % len(COLOURS)]
    mean = np.exp(np.log(values).mean(axis=0))
    style = STYLES[1] if dashed else STYLES[colour // len(COLOURS) % len(STYLES)]
    axis.plot(x, mean, style, color=shade, label=label, linewidth=2)
    low, high = values.min(axis=0), values.max(axis=0)
    axis.fill_between(x, low, high, color=shade, alpha=0.2, linewidth=0)


def plain(text: str) -> str:
    """Text that any font draws: bytes of a file's name that are no text are escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def caption(figure: Figure, text: str) -> None:
    """Say below a figure what was done, so that it can stand alone.

    Args:
        figure: Of `figure`.
        text: Some sentences.
    """
    width = int(figure.get_figwidth() * 13)
    figure.supxlabel(
        textwrap.fill(plain(text), width), fontsize=8, color="0.3", x=0.01, ha="left"
    ).set_parse_math(False)
