"""The page of the course: every claim, what is said of it, and the figures."""

import pathlib
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

from experiments.harness import markup
from experiments.harness.claims import (
    INCONCLUSIVE,
    PARTLY_SUPPORTED,
    REFUTED,
    SUPPORTED,
    Claim,
)

TITLE = "What is true of what the course teaches?"
INTERVALS = (
    "Numbers in square brackets are 95 % confidence intervals over seeds. If a claim "
    "has several cases and not all are supported, the intervals are simultaneous "
    "(Bonferroni)."
)
MARKS = {SUPPORTED: "✓", PARTLY_SUPPORTED: "◐", INCONCLUSIVE: "?", REFUTED: "✗"}


class Told(NamedTuple):
    """What a lesson found.

    Attributes:
        experiment: Its module; the folder of its run has the same name.
        teaches: The claim of the course, in a few words.
        question: The title of its report.
        command: How it is run.
        verdicts: On the claims that it tests.
        findings: What else it found, sentences.
        figures: A PNG in its folder to its caption.
        seconds: How long it took.
        seen: A PNG to a sentence on what it shows.
    """

    experiment: str
    teaches: str
    question: str
    command: str
    verdicts: Sequence[Claim]
    findings: Sequence[str]
    figures: Mapping[str, str]
    seconds: float
    seen: Mapping[str, str] = {}


def write(
    file: pathlib.Path, parts: Mapping[str, Sequence[Told]], left_out: Sequence[str]
) -> None:
    """Write the page, its figures inside.

    Args:
        file: In the folder that holds those of the lessons.
        parts: The lessons, by the part of the course.
        left_out: Sentences on those that were not run.
    """
    every = [told for some in parts.values() for told in some]
    body = [
        '<p class="kind">backflow · the course</p>',
        f"<h1>{TITLE}</h1>",
        markup.found([counted(every), *left_out]),
        f"<p>{INTERVALS}</p>",
        claims(every),
    ]
    for part, some in parts.items():
        body += [f"<h2>{escape(part)}</h2>"] if some else []
        body += [piece for told in some for piece in lesson(told, file.parent)]
    markup.save(file, TITLE, body)


def counted(every: Sequence[Told]) -> str:
    """How many claims hold, in one sentence."""
    counts = Counter(claim.outcome for told in every for claim in told.verdicts)
    words = [f"{counts[outcome]} {outcome}" for outcome in MARKS if counts[outcome]]
    return (
        f"{number(counts.total(), 'claim')} in {number(len(every), 'experiment')}, "
        f"{number(round(sum(told.seconds for told in every) / 60), 'minute')}: "
        f"{', '.join(words) or 'none was judged'}."
    )


def marked(claim: Claim) -> str:
    """The outcome of a claim after its mark, as HTML."""
    return f"{MARKS[claim.outcome]} {escape(claim.counted_outcome)}"


def number(count: int, of: str) -> str:
    """A number of things, such as "1 claim" and "2 claims"."""
    return f"{count} {of}{'' if count == 1 else 's'}"


def claims(every: Sequence[Told]) -> str:
    """All claims in a table, each with a way to where it is shown."""
    rows = "\n".join(
        f'<tr><th scope="row"><a href="#{told.experiment}">'
        f"{markup.inline(one.text)}"
        f'</a></th><td class="outcome">{marked(one)}</td></tr>'
        for told in every
        for one in told.verdicts
    )
    return (
        '<div class="wide claims"><table>\n<caption>Every claim</caption>\n<thead><tr>'
        '<th scope="col">claim</th><th scope="col">what the seeds say</th></tr></thead>'
        f"\n<tbody>\n{rows}\n</tbody>\n</table></div>"
    )


def lesson(told: Told, folder: pathlib.Path) -> list[str]:
    """A lesson: its question, its verdicts, and its figures."""
    name = told.experiment
    verdicts = "".join(
        f'<li><span class="outcome">{marked(one)}:</span> '
        f"{markup.inline(one.text)}. {markup.inline(one.evidence)}</li>"
        for one in told.verdicts
    )
    findings = "".join(f"<li>{markup.inline(text)}</li>" for text in told.findings)
    return [
        f'<h3 id="{name}">{markup.inline(told.teaches)}</h3>',
        f"<p>{markup.inline(told.question)}</p>",
        f"<pre>{escape(told.command)}</pre>",
        f"<ul>{verdicts}{findings}</ul>",
        *(
            markup.figure(folder / name, figure, caption, told.seen.get(figure, ""))
            for figure, caption in told.figures.items()
        ),
        f'<p><a href="{name}/report.html">All of it, with tables and flags</a> '
        f"({told.seconds:.0f} s)</p>",
    ]
