"""A run as one page: report.html has its figures inside, and opens anywhere.

    page.write(
        results,
        question=__doc__,
        findings=["The LSTM's gradient decays slowest (half-life 41 steps)."],
        figures={"decay.png": "Norm of the state's gradient, by reading step."},
        tables={"Decay of the gradient": report.Table(header, rows)},
    )

The page needs no network and runs no script; a rule in its head has the browser see to
that. It may be sent by mail, read on a phone, and printed.
"""

import base64
import inspect
import json
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from experiments.report import Table
from experiments.verdicts import Verdict
from train import Run

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1c1e21; --soft: #5b6168;
  --line: #d9dce0; --tint: #f4f5f7; --mark: #0072b2; }
@media (prefers-color-scheme: dark) { :root { --paper: #16181b; --ink: #e4e4e1;
  --soft: #a3a9b0; --line: #383c42; --tint: #202327; --mark: #56b4e9; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 2rem 1rem 3rem;
  color: var(--ink); background: var(--paper); overflow-wrap: break-word;
  font: 1.0625rem/1.6 Charter, "Bitstream Charter", "Sitka Text", Cambria, Georgia,
  serif; -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
h1, h2, table, figcaption, .kind { font-family: system-ui, "Segoe UI", sans-serif; }
.kind { margin: 0; color: var(--soft); font-size: .875rem; }
h1 { margin: .25rem 0 1.5rem; max-width: 46rem; line-height: 1.2; text-wrap: balance;
  font-size: clamp(1.5rem, 1.2rem + 1.6vw, 2.125rem); }
h2 { margin: 2.75rem 0 1rem; font-size: 1.25rem; line-height: 1.3; }
p, ul { margin: 0 0 1rem; max-width: 42rem; }
.found { margin: 0 0 1.75rem; padding: .125rem 0 .125rem 1.125rem;
  border-left: .25rem solid var(--mark); font-size: 1.1875rem; line-height: 1.45; }
.found h2 { margin: 0 0 .375rem; color: var(--mark); font-size: .875rem; }
.found p, .found ul { margin: 0; }
.found ul { padding-left: 1.25rem; }
.found li + li { margin-top: .375rem; }
figure { margin: 0 0 2rem; }
img { display: block; max-width: 100%; height: auto; padding: .5rem; background: #fff;
  border: 1px solid var(--line); border-radius: .375rem; }
figcaption { margin-top: .625rem; max-width: 46rem; color: var(--soft);
  font-size: .9375rem; line-height: 1.5; }
.wide { margin: 0 0 2rem; max-width: 100%; overflow-x: auto; }
.wide:focus-visible { outline: 2px solid var(--mark); outline-offset: 4px; }
table { border-collapse: collapse; font-size: .9375rem; line-height: 1.4;
  font-variant-numeric: tabular-nums lining-nums; }
caption { padding-bottom: .5rem; text-align: left; font-weight: 600; }
th, td { padding: .4375rem 0 .4375rem 1.25rem; text-align: right; vertical-align: top;
  border-bottom: 1px solid var(--line); }
th { font-weight: 500; }
thead th { min-width: 5.5rem; max-width: 11rem; vertical-align: bottom;
  color: var(--soft); font-size: .875rem; border-bottom: 2px solid var(--soft); }
td { white-space: nowrap; }
th:first-child { position: sticky; left: 0; min-width: 0; padding-left: 0;
  padding-right: .5rem; text-align: left; background: var(--paper); }
.made { display: flex; flex-wrap: wrap; align-items: flex-start; gap: 0 4rem; }
.made td, .made th { text-align: left; }
.made td { white-space: normal; overflow-wrap: anywhere; }
.made th { white-space: nowrap; }
code, pre { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace;
  font-size: .875em; }
pre { margin: 0 0 2rem; padding: .75rem 1rem; white-space: pre-wrap; line-height: 1.5;
  overflow-wrap: anywhere; background: var(--tint); border-radius: .375rem; }
pre span { display: inline-block; max-width: 100%; vertical-align: top; }
@media (max-width: 40rem) { img { padding: 0; } th, td { padding-left: 1rem; }
  .wide th:first-child { max-width: 8rem; } }
@page { margin: 16mm 15mm; }
@media print {
  :root { color-scheme: light; --paper: #fff; --ink: #000; --soft: #333;
    --line: #bbb; --tint: #fff; --mark: #000; }
  body { max-width: none; padding: 0; font-size: 10.5pt; line-height: 1.45; }
  h1 { font-size: 18pt; }
  h2 { font-size: 13pt; break-after: avoid; }
  .found { font-size: 12pt; }
  .found, figure, pre, table, tr { break-inside: avoid; }
  img { max-height: 21cm; padding: 0; border: 0; }
  pre { border: 1px solid var(--line); }
  figcaption, caption { font-size: 9pt; }
  .wide { overflow: visible; }
  th, td, thead th { padding: .25rem 0 .25rem .625rem; font-size: 8.5pt; }
  thead { display: table-header-group; }
  thead th { min-width: 0; }
  th:first-child { position: static; }
}
"""


def write(
    results: Run,
    *,
    question: str | None,
    findings: Sequence[str],
    figures: Mapping[str, str],
    tables: Mapping[str, Table],
    verdicts: Sequence[Verdict] = (),
) -> None:
    """Write report.html into a results folder.

    What it says is logged too: a row of the kind "report", and one "verdict" a verdict.

    Args:
        results: Of the run; what `launch.main` wrote to its config.json is shown too.
        question: The experiment's `__doc__`: its first line is the title; its commands,
            which are indented, are left out, as the page shows what was typed.
        findings: Sentences, the first the most telling.
        figures: A PNG in the folder to its caption.
        tables: A title to a table, numbers in all columns but the first.
        verdicts: On the claims that the experiment tests; they stand before the
            findings.

    Raises:
        FileNotFoundError: There is no such figure.

    Example:
        >>> import pathlib, tempfile, train
        >>> folder = pathlib.Path(tempfile.mkdtemp()) / "results"
        >>> command = "python -m experiments.recall --cells=lstm"
        >>> made = {"experiment": "recall", "command": command, "config": {}}
        >>> with train.new_run(folder, made) as run:
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
    title, introduction = _read(question or made["experiment"])
    findings = [*(verdict.text() for verdict in verdicts), *findings]
    body = [
        f'<p class="kind">backflow · {escape(made["experiment"])}</p>',
        f"<h1>{_inline(title)}</h1>",
        _found(findings),
        *(f"<p>{_inline(paragraph)}</p>" for paragraph in introduction),
        "<h2>Figures</h2>" if figures else "",
        *(_figure(results, name, caption) for name, caption in figures.items()),
        "<h2>Tables</h2>" if tables else "",
        *(_table(caption, table) for caption, table in tables.items()),
        _made(made),
    ]
    text = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
{chr(10).join(filter(None, body))}
</main>
</body>
</html>
"""
    # Whole or absent; and bytes of the command line that are no UTF-8 become "?".
    draft = results.path / "report.html.draft"
    draft.write_text(text, encoding="utf-8", errors="replace")
    draft.replace(results.path / "report.html")
    for verdict in verdicts:
        results.log(kind="verdict", **verdict._asdict())
    results.log(kind="report", title=title, findings=findings, figures=dict(figures))


def _read(question: str) -> tuple[str, list[str]]:
    """The title and the paragraphs of a docstring, its indented commands left out."""
    title, *paragraphs = re.split(r"\n(?:[ \t]*\n)+", inspect.cleandoc(question))
    return title, [text for text in paragraphs if not text.startswith(" ")]


def _inline(text: str) -> str:
    """Text as HTML: `backticks` make code, and no line ends beside an equals sign."""
    text = escape(" ".join(text.split())).replace(" = ", "&nbsp;=&nbsp;")
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", text)


def _found(findings: Sequence[str]) -> str:
    """The verdict: a sentence, or a list of them."""
    if not findings:
        return ""
    texts = [_inline(finding) for finding in findings]
    items = "".join(f"<li>{text}</li>" for text in texts)
    said = f"<p>{texts[0]}</p>" if len(texts) == 1 else f"<ul>{items}</ul>"
    return f'<section class="found">\n<h2>What was found</h2>\n{said}\n</section>'


def _figure(results: Run, name: str, caption: str) -> str:
    """A figure of the folder, its bytes inside the page."""
    file = results.path / name
    if not file.is_file():
        raise FileNotFoundError(
            f"expected the report's figure {name!r} in {results.path}; save it first"
        )
    data = base64.b64encode(file.read_bytes()).decode()
    return (
        f'<figure>\n<img src="data:image/png;base64,{data}" alt="{escape(caption)}">\n'
        f"<figcaption>{_inline(caption)}</figcaption>\n</figure>"
    )


def _table(caption: str, table: Table) -> str:
    """A table in a box that scrolls by finger or, as it takes the focus, by key."""
    head = "".join(f'<th scope="col">{_inline(name)}</th>' for name in table.header)
    rows = "\n".join(
        f'<tr><th scope="row">{_inline(first)}</th>'
        + "".join(f"<td>{_inline(text)}</td>" for text in rest)
        + "</tr>"
        for first, *rest in table.rows
    )
    return (
        f'<div class="wide" role="region" aria-label="{escape(caption)}" tabindex="0">'
        f"\n<table>\n<caption>{_inline(caption)}</caption>\n"
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n</div>"
    )


def _made(made: Mapping[str, Any]) -> str:
    """How to do the run again: the command, the flags, and all around them."""
    flags = [[f"--{name}", _typed(value)] for name, value in made["config"].items()]
    around = [
        ["date", made["started"].replace("T", " ")],
        ["commit", made["commit"] or "none"],
        ["device", made["device"]],
        ["machine", made["machine"]],
        *map(list, made["versions"].items()),
    ]
    # A line ends between two words of the command, not after the dashes of a flag.
    words = (f"<span>{escape(word)}</span>" for word in made["command"].split(" "))
    return (
        "<h2>How this was made</h2>\n"
        f"<pre>{' '.join(words)}</pre>\n"
        '<div class="made">\n'
        + _table("Flags", Table(["flag", "value"], flags))
        + _table("Where and with what", Table(["what", "which"], around))
        + "\n</div>\n<p>All numbers of the run are in metrics.jsonl, in its folder.</p>"
    )


def _typed(value: Any) -> str:
    """A flag's value as it is typed."""
    if isinstance(value, list):
        return ",".join(map(_typed, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
