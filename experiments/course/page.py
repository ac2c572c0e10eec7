"""The page of the course: every claim, its outcome, and the figures."""

import itertools
import pathlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from experiments.harness import pages
from experiments.harness.claims import (
    INCONCLUSIVE,
    PARTLY_SUPPORTED,
    REFUTED,
    SUPPORTED,
    Claim,
)
from experiments.harness.pages import Picture

TITLE = "Which claims of the course are true?"
INTERVALS = (
    "Numbers in square brackets are 95 % confidence intervals over seeds. If a claim "
    "has several cases and not all are supported, the intervals are simultaneous "
    "(Bonferroni)."
)
FEW_CASES = 4  # the largest number of cases whose numbers fit into a row
OUTCOMES = (SUPPORTED, PARTLY_SUPPORTED, INCONCLUSIVE, REFUTED)


class LessonResult(NamedTuple):
    """Results of a lesson, read from its folder.

    Attributes:
        experiment: Name of the experiment and of its folder.
        teaches: The claim of the course, in a few words.
        question: Title of its report.
        command: Command that runs the lesson.
        answer: The answer to the question.
        claims: The claims that the lesson tests.
        findings: More sentences.
        pictures: Its figures.
        seconds: Duration of the run.
    """

    experiment: str
    teaches: str
    question: str
    command: str
    answer: str = ""
    claims: Sequence[Claim] = ()
    findings: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    seconds: float = 0.0


def write(
    file: pathlib.Path,
    chapters: Mapping[str, Sequence[LessonResult]],
    left_out: Sequence[str],
) -> None:
    """Write the page, with its figures inside.

    Args:
        file: A file in the folder that contains the folders of the lessons.
        chapters: Lessons by the chapter of the course.
        left_out: Sentences on lessons that were not run.
    """
    lessons = [lesson for some in chapters.values() for lesson in some]
    pages.write(
        file,
        "course.html.j2",
        kind="the course",
        title=TITLE,
        count=counted(lessons),
        left_out=left_out,
        intervals=INTERVALS,
        chapters=chapters,
    )


def markdown(chapters: Mapping[str, Sequence[LessonResult]]) -> str:
    """The table of all claims in Markdown, as in the README of the experiments.

    Args:
        chapters: Lessons by the chapter of the course.

    Returns:
        One row per claim; the numbers of a claim with many cases are left out.

    Example:
        >>> lesson = LessonResult("gates", "", "", "", claims=[Claim("A", REFUTED, "")])
        >>> print(markdown({"Sequences": [lesson]}))
        | lesson | claim | outcome | numbers |
        |---|---|---|---|
        | [gates](gates) | A | refuted |  |
    """
    lines = ["| lesson | claim | outcome | numbers |", "|---|---|---|---|"]
    for lesson in itertools.chain(*chapters.values()):
        name = lesson.experiment
        for claim in lesson.claims:
            few = claim.cases if len(claim.cases) <= FEW_CASES else ()
            numbers = "; ".join(f"{case.name}: {case.value}" for case in few)
            cells = f"[{name}]({name})", claim.text, claim.counted_outcome, numbers
            texts = " | ".join(text.replace("|", r"\|") for text in cells)
            lines.append(f"| {texts} |")
    return "\n".join(lines)


def counted(lessons: Sequence[LessonResult]) -> str:
    """The number of claims of each outcome, in one sentence."""
    counts = Counter(claim.outcome for lesson in lessons for claim in lesson.claims)
    words = [f"{counts[outcome]} {outcome}" for outcome in OUTCOMES if counts[outcome]]
    minutes = round(sum(lesson.seconds for lesson in lessons) / 60)
    return (
        f"{number(counts.total(), 'claim')} in {number(len(lessons), 'experiment')}, "
        f"{number(minutes, 'minute')}: {', '.join(words) or 'none was judged'}."
    )


def number(count: int, of: str) -> str:
    """A number of things, such as "1 claim" and "2 claims"."""
    return f"{count} {of}{'' if count == 1 else 's'}"
