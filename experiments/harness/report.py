"""Publish a run: its figures, its page, its rows, and its text for the terminal.

    publish(
        results,
        answer="The LSTM remembers longest.",
        figures={"decay.png": captioned(figure, "Gradients decay.", "3 seeds.")},
        tables={"Decay of the gradient": Table(header, rows)},
    )

`experiments.course` makes one page of several runs.
"""

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.harness import figure_files, pages
from experiments.harness.claims import Claim
from experiments.harness.pages import Picture
from experiments.harness.plotting import Plot
from experiments.harness.runs import Run
from experiments.harness.tables import Table

SHARD = (
    "This is shard {} of a study, counted from 0: all numbers cover only its members; "
    "experiments.merge joins the shards."
)
VALIDATION = (
    "All numbers called test or held-out were measured on a validation set, cut off "
    "the training set (--evaluate_on=validation)."
)


def publish(
    results: Run,
    *,
    answer: str = "",
    figures: Mapping[str, Plot] | None = None,
    tables: Mapping[str, Table] | None = None,
    claims: Sequence[Claim] = (),
    findings: Sequence[str] = (),
) -> None:
    """Save the figures with their data, write report.html, log and print its content.

    The page begins with the question of the run and the answer. One row of the kind
    "claim" is logged per claim, and one row of the kind "report".

    Args:
        results: The run. The first line of its question is the title of the page;
            indented paragraphs (commands) are left out.
        answer: The answer to the question, in one plain sentence.
        figures: File names to figures. The finding of a figure is its title; it is
            printed in the terminal, and completes the text for readers who do not see
            the figure.
        tables: Titles to tables.
        claims: The claims that the experiment tests.
        findings: More sentences, the most important first.

    Example:
        >>> import pathlib, tempfile
        >>> from experiments.harness.runs import new_run
        >>> folder = pathlib.Path(tempfile.mkdtemp()) / "results"
        >>> table = Table(["cell", "steps"], [["lstm", "90"]])
        >>> with new_run(folder, {}, question="Which cell remembers?") as run:
        ...     publish(run, answer="The LSTM.", tables={"Recall": table})
        The LSTM.
        <BLANKLINE>
        cell  steps
        ----  -----
        lstm     90
        >>> "<h1>Which cell remembers?</h1>" in (folder / "report.html").read_text()
        True
    """
    figures, tables, answer = figures or {}, tables or {}, " ".join(answer.split())
    findings = list(findings)
    if results.metadata.get("config", {}).get("evaluate_on") == "validation":
        findings.append(VALIDATION)
    if shard := results.metadata.get("shard"):
        findings.append(SHARD.format(shard.replace("/", " of ")))
    findings += not_finite(results.logged())
    pictures = {file: _save(results, file, plot) for file, plot in figures.items()}
    title = _write_page(results, answer, pictures, tables, claims, findings)
    for claim in claims:
        results.log(kind="claim", **claim._asdict())
    results.log(
        kind="report",
        title=title,
        answer=answer,
        findings=findings,
        figures={file: picture.caption for file, picture in pictures.items()},
        alt={file: picture.alt for file, picture in pictures.items()},
    )
    shown = [plot.finding for plot in figures.values() if plot.finding != answer]
    _print(answer, tables, claims, [*shown, *findings])


def not_finite(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A finding about the models that had a loss or a gradient that was not finite.

    Args:
        rows: Rows of a run. Those of the kind "nonfinite" count, one per model.

    Returns:
        One sentence; none if there is no such row.

    Example:
        >>> row = {"kind": "nonfinite", "cell": "gru", "seed": 3, "tensor": "the loss"}
        >>> not_finite([row | {"step": 7, "done": "dropped"}])
        ['1 model was dropped, as a step was not finite: gru, seed 3, step 7.']
    """
    failed = [row for row in rows if row.get("kind") == "nonfinite"]
    if not failed:
        return []
    first, count = failed[0], len(failed)
    labels = {n: v for n, v in first.items() if n not in ("kind", "tensor", "done")}
    names = ", ".join(
        value if isinstance(value, str) else f"{name.replace('_', ' ')} {value}"
        for name, value in labels.items()
    )
    if first.get("done") == "skipped":
        what = f"Steps of {count} model{'s' * (count > 1)} were skipped, as they"
        verb = "were"
    else:
        what = f"{count} model{'s were' if count > 1 else ' was'} dropped, as a step"
        verb = "was"
    more = f", and {count - 1} more (metrics.jsonl names all)" if count > 1 else ""
    return [f"{what} {verb} not finite: {names}{more}."]


def _write_page(
    results: Run,
    answer: str,
    pictures: Mapping[str, Picture],
    tables: Mapping[str, Table],
    claims: Sequence[Claim],
    findings: Sequence[str],
) -> str:
    """Write report.html, and return its title."""
    name = results.metadata.get("experiment") or results.folder.name
    title, introduction = _split(results.question or name)
    pages.write(
        results.path / "report.html",
        "report.html.j2",
        kind=name,
        title=title,
        answer=answer,
        claims=claims,
        findings=findings,
        introduction=introduction,
        pictures=list(pictures.values()),
        tables=tables,
        command=results.metadata.get("command", ""),
        flags=_flags(results.metadata),
        environment=_environment(results.metadata),
    )
    return title


def _split(question: str) -> tuple[str, list[str]]:
    """The title and the paragraphs of a docstring, without its indented commands."""
    title, *paragraphs = re.split(r"\n(?:[ \t]*\n)+", inspect.cleandoc(question))
    return title, [text for text in paragraphs if not text.startswith(" ")]


def _save(results: Run, file: str, plot: Plot) -> Picture:
    """Save a figure into the run's folder."""
    png, files = figure_files.write(plot.figure, results.path / file, results.figures)
    alt = " ".join(f"{plot.caption} {plot.finding}".split())
    return Picture(png, plot.caption, alt, files)


def _flags(metadata: Mapping[str, Any]) -> Table:
    """The flags of a run, as they are typed."""
    rows = [
        [f"--{name}", typed(value)]
        for name, value in metadata.get("config", {}).items()
    ]
    return Table(["flag", "value"], rows)


def _environment(metadata: Mapping[str, Any]) -> Table:
    """Time, code and machine of a run."""
    rows = [
        ["date", metadata["started"].replace("T", " ")],
        ["commit", metadata["commit"] or "none"],
        ["device", metadata["device"]],
        ["machine", metadata["machine"]],
        *map(list, metadata["versions"].items()),
    ]
    return Table(["what", "which"], rows)


def typed(value: Any) -> str:
    """The value of a flag, as it is typed.

    Args:
        value: Value of a field of a `Config`.

    Returns:
        Text.

    Example:
        >>> typed([1, 2]), typed(True)
        ('1,2', 'true')
    """
    if isinstance(value, list):
        return ",".join(map(typed, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _print(
    answer: str,
    tables: Mapping[str, Table],
    claims: Sequence[Claim],
    findings: Sequence[str],
) -> None:
    """Print the answer, the tables, the claims with their cases, and the findings."""
    blocks = [table.text() for table in tables.values()]
    if len(blocks) > 1:
        blocks = [f"{title}\n{b}" for title, b in zip(tables, blocks, strict=True)]
    for claim in claims:
        cases = [claim.table.text()] if claim.cases else []
        blocks.append("\n".join([claim.sentence(), *cases]))
    rest = "\n".join(filter(None, findings))
    print("\n\n".join(filter(None, [answer, *blocks, rest])))
