"""A run as one page: report.html has its figures inside, and opens anywhere.

    page.write(
        results,
        question=__doc__,
        findings=["The LSTM's gradient decays slowest (half-life 41 steps)."],
        figures={"decay.png": "Norm of the state's gradient, by reading step."},
        tables={"Decay of the gradient": report.Table(header, rows)},
    )

The page opens offline. Of several runs `experiments.course` makes one.
"""

import inspect
import json
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from experiments.harness import markup
from experiments.harness.claims import Claim
from experiments.harness.plotting import Table
from experiments.harness.runs import Run

VALIDATION = (
    "All that is called test or held-out here was measured on a validation set, cut "
    "off the training set (--evaluate_on=validation)."
)


def write(
    results: Run,
    *,
    question: str | None,
    findings: Sequence[str],
    figures: Mapping[str, str],
    tables: Mapping[str, Table],
    verdicts: Sequence[Claim] = (),
    headline: str = "",
    seen: Mapping[str, str] | None = None,
) -> None:
    """Write report.html into a results folder.

    What it says is logged too: a row of the kind "report", and one "claim" per claim.

    Args:
        results: Of the run; its config.json is shown too, with the command and the
            flags if it has them.
        question: The experiment's `__doc__`: its first line is the title; its commands,
            which are indented, are left out, as the page shows what was typed.
        findings: Sentences, the first the most telling.
        figures: A PNG in the folder to its caption.
        tables: A title to a table, numbers in all columns but the first.
        verdicts: On the claims that the experiment tests; they come before the
            findings.
        headline: The finding in one plain sentence, before the verdicts.
        seen: A PNG to a sentence on what it shows, with its numbers, for readers who do
            not see it; by default the headline, for the first.

    Raises:
        FileNotFoundError: There is no such figure.

    Example:
        >>> import pathlib, tempfile
        >>> from experiments.harness.runs import new_run
        >>> folder = pathlib.Path(tempfile.mkdtemp()) / "results"
        >>> command = "python -m experiments.recall --cells=lstm"
        >>> made = {"experiment": "recall", "command": command, "config": {}}
        >>> with new_run(folder, made) as run:
        ...     write(
        ...         run,
        ...         question="Which cell remembers?",
        ...         findings=["The LSTM does."],
        ...         figures={},
        ...         tables={"Recall": Table(["cell", "steps"], [["lstm", "90"]])},
        ...     )
        >>> "<h1>Which cell remembers?</h1>" in (folder / "report.html").read_text()
        True
    """
    made = json.loads((results.path / "config.json").read_text(encoding="utf-8"))
    name = made.get("experiment") or results.folder.name
    title, introduction = _read(question or name)
    first = [headline] if headline else []
    if seen is None:
        seen = dict(zip(figures, first, strict=False))
    findings = [*first, *(verdict.sentence() for verdict in verdicts), *findings]
    if made.get("config", {}).get("evaluate_on") == "validation":
        findings.append(VALIDATION)
    body = [
        f'<p class="kind">backflow · {escape(name)}</p>',
        f"<h1>{markup.inline(title)}</h1>",
        markup.found(findings),
        *(f"<p>{markup.inline(paragraph)}</p>" for paragraph in introduction),
        "<h2>Figures</h2>" if figures else "",
        *(
            markup.figure(results.path, name, caption, seen.get(name, ""))
            for name, caption in figures.items()
        ),
        "<h2>Tables</h2>" if tables else "",
        *(markup.table(caption, table) for caption, table in tables.items()),
        _made(made),
    ]
    markup.save(results.path / "report.html", title, body)
    for verdict in verdicts:
        results.log(kind="claim", **verdict._asdict())
    told = {"findings": findings, "figures": dict(figures), "seen": dict(seen)}
    results.log(kind="report", title=title, **told)


def _read(question: str) -> tuple[str, list[str]]:
    """The title and the paragraphs of a docstring, its indented commands left out."""
    title, *paragraphs = re.split(r"\n(?:[ \t]*\n)+", inspect.cleandoc(question))
    return title, [text for text in paragraphs if not text.startswith(" ")]


def _made(made: Mapping[str, Any]) -> str:
    """How to do the run again: the command, the flags, and all around them."""
    flags = [
        [f"--{name}", _typed(value)] for name, value in made.get("config", {}).items()
    ]
    around = [
        ["date", made["started"].replace("T", " ")],
        ["commit", made["commit"] or "none"],
        ["device", made["device"]],
        ["machine", made["machine"]],
        *map(list, made["versions"].items()),
    ]
    # A line ends between two words of the command, not after the dashes of a flag.
    words = [f"<span>{escape(w)}</span>" for w in made.get("command", "").split()]
    return (
        "<h2>How this was made</h2>\n"
        + (f"<pre>{' '.join(words)}</pre>\n" if words else "")
        + '<div class="made">\n'
        + markup.table("Flags", Table(["flag", "value"], flags))
        + markup.table("Where and with what", Table(["what", "which"], around))
        + "\n</div>\n<p>All numbers of the run are in metrics.jsonl, in its folder.</p>"
    )


def _typed(value: Any) -> str:
    """A flag's value as it is typed."""
    if isinstance(value, list):
        return ",".join(map(_typed, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
