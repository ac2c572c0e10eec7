"""The files of a figure: pictures in several formats, and the data as CSV.

A figure gives the same bytes whenever and wherever it is written: no file has a date,
and the names inside an SVG do not depend on chance.
"""

import io
import pathlib
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from experiments.harness import figure_data, paper
from experiments.harness.cli import FigureFlags

SETTINGS: Any = {
    "pdf.fonttype": 42,  # fonts are embedded whole, as TrueType: text stays text
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "backflow",
}
WITHOUT_DATE = {"png": None, "pdf": {"CreationDate": None}, "svg": {"Date": None}}
PAPER_DPI = 300


def write(
    figure: Figure, file: pathlib.Path, form: FigureFlags
) -> tuple[bytes, list[str]]:
    """Write a figure in all formats, and its data next to it.

    Args:
        figure: The figure; the style for paper changes it.
        file: Name of its PNG file, which is always written.
        form: Formats and style.

    Returns:
        The bytes of the PNG, and the names of the remaining files.

    Example:
        >>> import tempfile
        >>> figure = Figure()
        >>> _ = figure.subplots().plot([1, 2])
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "loss.png"
        >>> write(figure, file, FigureFlags(figures=["pdf"]))[1]
        ['loss.pdf', 'loss.csv']
    """
    dpi = "figure"
    if form.style != "screen":
        paper.restyle(figure, wide=form.style == "paper_wide")
        dpi = PAPER_DPI
    files = {}
    for kind in dict.fromkeys(["png", *form.figures]):
        data = io.BytesIO()
        with matplotlib.rc_context(SETTINGS):
            figure.savefig(data, format=kind, dpi=dpi, metadata=WITHOUT_DATE[kind])
        files[kind] = data.getvalue()
    text = figure_data.as_csv(figure)
    if text:
        files["csv"] = text.encode("utf-8", "backslashreplace")
    for kind, content in files.items():
        file.with_suffix(f".{kind}").write_bytes(content)
    png = files.pop("png")
    return png, [file.with_suffix(f".{kind}").name for kind in files]
