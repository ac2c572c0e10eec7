"""The steps of the experiment."""

import inspect
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax

from experiments.catalogue.config import Config
from experiments.harness import tables
from experiments.harness.runs import Run
from nets import CELLS, Cell


class Entry(NamedTuple):
    """Entry of one cell.

    Attributes:
        name: Name in `nets.CELLS`.
        file: File that defines it.
        equations: Lines of the equations of its step.
        parameters: Number of parameters, for given sizes.
        parallel: Whether it runs in parallel over time.
        reference: Authors and year.
        link: Link to the paper, or "".
    """

    name: str
    file: str
    equations: Sequence[str]
    parameters: int
    parallel: bool
    reference: str
    link: str


def run(config: Config, results: Run) -> None:
    """Log, print and write the table."""
    entries = [
        entry(name, make, config.inputs, config.features)
        for name, make in CELLS.items()
    ]
    for cell_entry in entries:
        results.log(kind="cell", **cell_entry._asdict())
    text = markdown(entries, config) + "\n"
    (results.path / "cells.md").write_text(text, encoding="utf-8")
    print(table(entries, config))


def entry(name: str, make: Callable[..., Cell], inputs: int, features: int) -> Entry:
    """The entry of a cell, from its factory's docstring and its `init`."""
    cell = make()
    doc = inspect.getdoc(make) or ""
    shapes = jax.eval_shape(
        lambda key: cell.init(key, inputs, features), jax.random.key(0)
    )
    reference, link = first_reference(doc)
    return Entry(
        name,
        make.__module__.replace(".", "/") + ".py",
        equations(doc),
        sum(leaf.size for leaf in jax.tree.leaves(shapes)),
        cell.linear is not None,
        reference,
        link,
    )


def equations(doc: str) -> list[str]:
    r"""The first indented block of a docstring.

    Args:
        doc: As `inspect.getdoc` gives it.

    Returns:
        Its lines.

    Example:
        >>> equations("A cell.\n\n    h' = x\n\nArgs:\n    x: ...")
        ["h' = x"]
    """
    body = doc.split("\nArgs:")[0]
    for block in body.split("\n\n"):
        lines = block.strip("\n").split("\n")
        if all(line.startswith("    ") for line in lines):
            return [re.sub(r"\s{2,}", "  ", line.strip()) for line in lines]
    return []


def first_reference(doc: str) -> tuple[str, str]:
    r"""Authors and year of the first reference of a docstring, and its link.

    Args:
        doc: As `inspect.getdoc` gives it.

    Returns:
        ("Cho et al. 2014", "https://..."); the link is "" if there is none.

    Example:
        >>> first_reference("A cell.\n\nReferences:\n    Elman 1990, Finding.")
        ('Elman 1990', '')
    """
    text = doc.partition("References:\n")[2].strip()
    # An entry ends with a full stop at the end of a line, or with its link.
    first = re.split(r"(?<=\.)\n|(?<=\S)(?<=[\w/])\n(?=\s*[A-Z][^\n]* \d{4}, )", text)[
        0
    ]
    who = re.match(r".*? \d{4}", " ".join(first.split()))
    link = re.search(r"https://[^\s,)]+", first)
    return who.group() if who else "", link.group().rstrip(".") if link else ""


def table(entries: Sequence[Entry], config: Config) -> str:
    """The table for the terminal, without the equations."""
    header = ["cell", parameters_of(config), "parallel over time", "reference"]
    rows = [
        [e.name, f"{e.parameters:,}", "yes" if e.parallel else "", e.reference]
        for e in entries
    ]
    return tables.Table(header, rows).text()


def markdown(entries: Sequence[Entry], config: Config) -> str:
    """The table in Markdown, with equations and links."""
    header = f"| cell | equations | {parameters_of(config)} | parallel | reference |"
    lines = [header, "|---|---|---:|---|---|"]
    for e in entries:
        equations = "<br>".join(f"`{line}`" for line in e.equations)
        paper = f"[{e.reference}]({e.link})" if e.link else e.reference
        parallel = "yes" if e.parallel else ""
        lines.append(
            f"| [`nets.{e.name}`]({e.file.rpartition('/')[2]}) | {equations} | "
            f"{e.parameters:,} | {parallel} | {paper} |"
        )
    return "\n".join(lines)


def parameters_of(config: Config) -> str:
    """Heading of the column of parameters."""
    return f"parameters ({config.inputs} inputs, {config.features} units)"
