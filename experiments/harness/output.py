"""Formats and style of a run's figures, which flags of every experiment choose."""

from typing import NamedTuple

FORMATS = "png", "pdf", "svg"
STYLES = "screen", "paper", "paper_wide"


class FigureOutput(NamedTuple):
    """Form in which figures are written.

    Attributes:
        formats: Some of `FORMATS`. A PNG is always written, as pages show it.
        style: One of `STYLES`. "paper" is for one column of a page, "paper_wide" for
            two.
    """

    formats: tuple[str, ...] = ("png",)
    style: str = "screen"
