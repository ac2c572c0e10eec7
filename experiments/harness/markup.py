"""The pieces that pages are made of.

A page needs no network and runs no script; a rule in its head has the browser see to
that. It may be sent by mail, read on a phone, and printed.
"""

import base64
import pathlib
import re
from collections.abc import Iterable, Sequence
from html import escape

from experiments.harness.plotting import Table

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
h1, h2, h3, table, figcaption, .kind { font-family: system-ui, "Segoe UI", sans-serif; }
.kind { margin: 0; color: var(--soft); font-size: .875rem; }
h1 { margin: .25rem 0 1.5rem; max-width: 46rem; line-height: 1.2; text-wrap: balance;
  font-size: clamp(1.5rem, 1.2rem + 1.6vw, 2.125rem); }
h2 { margin: 2.75rem 0 1rem; font-size: 1.25rem; line-height: 1.3; }
h3 { margin: 2.25rem 0 .5rem; font-size: 1.125rem; line-height: 1.3; }
a { color: var(--mark); }
.outcome { font-weight: 700; white-space: nowrap; }
.claims th { max-width: 40rem; }
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
.picture { overflow-x: auto; }
.picture label { display: block; cursor: zoom-in; }
.picture input { margin: 0 .375rem 0 0; vertical-align: middle; }
.picture .size { color: var(--soft); font: .8125rem system-ui, "Segoe UI", sans-serif; }
.picture .size::after { content: "full size"; }
.picture:has(:checked) label { cursor: zoom-out; width: max-content; }
.picture:has(:checked) img { max-width: none; }
.wide { margin: 0 0 2rem; max-width: 100%; overflow-x: auto; }
main > .wide { width: max-content; min-width: 100%; position: relative; left: 50%;
  max-width: calc(100vw - 2rem); transform: translateX(-50%); }
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
  .wide:not(.claims) th:first-child { max-width: 8rem; }
  .claims td { white-space: normal; } }
@page { margin: 16mm 15mm; }
@media print {
  :root { color-scheme: light; --paper: #fff; --ink: #000; --soft: #333;
    --line: #bbb; --tint: #fff; --mark: #000; }
  body { max-width: none; padding: 0; font-size: 10.5pt; line-height: 1.45; }
  h1 { font-size: 18pt; }
  h2, h3 { font-size: 13pt; break-after: avoid; }
  .found { font-size: 12pt; }
  .found, figure, pre, table, tr { break-inside: avoid; }
  img { max-height: 21cm; padding: 0; border: 0; }
  pre { border: 1px solid var(--line); }
  figcaption, caption { font-size: 9pt; }
  .wide, .picture { overflow: visible; }
  .picture input, .picture .size { display: none; }
  th, td, thead th { padding: .25rem 0 .25rem .625rem; font-size: 8.5pt; }
  thead { display: table-header-group; }
  thead th { min-width: 0; }
  th:first-child { position: static; }
}
"""


def save(file: pathlib.Path, title: str, body: Iterable[str]) -> None:
    """Write a page; it is whole or absent.

    Args:
        file: Where.
        title: As text.
        body: Pieces of HTML, one below the other; empty ones are left out.
    """
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
    # Bytes of the command line that are no UTF-8 become "?".
    draft = file.with_name(file.name + ".draft")
    draft.write_text(text, encoding="utf-8", errors="replace")
    draft.replace(file)


def inline(text: str) -> str:
    """Text as HTML: `backticks` make code, and no line ends beside an equals sign."""
    text = escape(" ".join(text.split())).replace(" = ", "&nbsp;=&nbsp;")
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", text)


def found(findings: Sequence[str]) -> str:
    """The verdict: a sentence, or a list of them."""
    if not findings:
        return ""
    texts = [inline(finding) for finding in findings]
    items = "".join(f"<li>{text}</li>" for text in texts)
    said = f"<p>{texts[0]}</p>" if len(texts) == 1 else f"<ul>{items}</ul>"
    return f'<section class="found">\n<h2>What was found</h2>\n{said}\n</section>'


def figure(folder: pathlib.Path, name: str, caption: str, seen: str = "") -> str:
    """A figure of the folder, its bytes inside the page; a click shows it in full size.

    Args:
        folder: Where it is.
        name: File name.
        caption: Text below it.
        seen: What the figure shows, for its alternative text.

    Returns:
        HTML. A checkbox enlarges it, as no script may.
    """
    file = folder / name
    if not file.is_file():
        raise FileNotFoundError(
            f"expected the report's figure {name!r} in {folder}; save it first"
        )
    data = base64.b64encode(file.read_bytes()).decode()
    text = " ".join(f"{caption} {seen}".split())
    return (
        '<figure>\n<div class="picture"><label><input type="checkbox">'
        '<span class="size"></span>\n'
        f'<img src="data:image/png;base64,{data}" alt="{escape(text)}"></label></div>\n'
        f"<figcaption>{inline(caption)}</figcaption>\n</figure>"
    )


def table(caption: str, table: Table) -> str:
    """A table in a box that scrolls by finger or, as it takes the focus, by key."""
    head = "".join(f'<th scope="col">{inline(name)}</th>' for name in table.header)
    rows = "\n".join(
        f'<tr><th scope="row">{inline(first)}</th>'
        + "".join(f"<td>{inline(text)}</td>" for text in rest)
        + "</tr>"
        for first, *rest in table.rows
    )
    return (
        f'<div class="wide" role="region" aria-label="{escape(caption)}" tabindex="0">'
        f"\n<table>\n<caption>{inline(caption)}</caption>\n"
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n</div>"
    )
