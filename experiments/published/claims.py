"""The answer, the tables and the claim, as text for the page and in Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.harness import published
from experiments.harness.claims import (
    Case,
    Claim,
    claim_of_cases,
)
from experiments.harness.intervals import Interval
from experiments.harness.tables import Table
from experiments.published.records import RunRecord
from experiments.published.references import ELSEWHERE

WITHIN = {True: "yes", False: "no", None: "-"}


def rows_of(records: Sequence[RunRecord]) -> list[Mapping[str, Any]]:
    """The rows of all runs."""
    return [row for record in records for row in record.rows]


def judged(records: Sequence[RunRecord]) -> list[Mapping[str, Any]]:
    """The rows with a tolerance."""
    return [row for row in rows_of(records) if row.get("within") is not None]


def answer(records: Sequence[RunRecord]) -> str:
    """The number of published numbers that are reproduced, in one sentence."""
    known = judged(records)
    count = sum(bool(row["within"]) for row in known)
    rest = len(rows_of(records)) - len(known)
    without = f"; {rest} more have no tolerance" if rest else ""
    return (
        f"{count} of {len(known)} published or earlier numbers are reproduced within "
        f"their tolerance{without}."
    )


def form(row: Mapping[str, Any]) -> str:
    """Form of the numbers of a row: four digits, or whole numbers."""
    return "{:,.0f}" if row["published"] >= 1000 else "{:.4g}"


def here(row: Mapping[str, Any]) -> str:
    """The number measured, with its interval."""
    low, high = row.get("low"), row.get("high")
    if low is None or high is None:
        return form(row).format(row["measured"])
    return Interval(row["measured"], low, high).text(form(row))


def signed(value: float) -> str:
    """A number with its sign, in three digits or as a whole number.

    Example:
        >>> signed(-0.4253), signed(2150.0)
        ('-0.425', '+2,150')
    """
    return f"{value:+,.0f}" if abs(value) >= 1000 else f"{value:+.3g}"


def duration(seconds: float | None) -> str:
    """A duration in words.

    Example:
        >>> duration(59.4), duration(150), duration(None)
        ('59 s', '2.5 min', '-')
    """
    if seconds is None:
        return "-"
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def table(records: Sequence[RunRecord]) -> Table:
    """Published numbers and those measured, one row per number."""
    header = [
        *("setting", "published", "here [95 % interval]", "deviation", "tolerance"),
        *("within", "seeds", "took", "source", "experiment"),
    ]
    rows = []
    for record in records:
        for row in record.rows:
            tolerance, unit = row.get("tolerance"), row.get("unit") or ""
            rows.append(
                [
                    f"{row['setting']}, {unit}" if unit else str(row["setting"]),
                    form(row).format(row["published"]),
                    here(row),
                    signed(row["deviation"]),
                    "-" if tolerance is None else form(row).format(tolerance),
                    WITHIN[row.get("within")],
                    str(row.get("seeds") or len(record.seeds) or "-"),
                    duration(row.get("seconds") or record.seconds),
                    str(row["source"]),
                    record.experiment,
                ]
            )
    return Table(header, rows)


def runs_table(records: Sequence[RunRecord]) -> Table:
    """The runs, one row each."""
    header = ["experiment", "command", "seeds", "took", "commit"]
    return Table(
        header,
        [
            [
                record.experiment,
                f"`{record.command}`",
                ",".join(map(str, record.seeds)) or "-",
                duration(record.seconds),
                record.commit[:7] or "-",
            ]
            for record in records
        ],
    )


def elsewhere_table() -> Table:
    """Published numbers that are not measured here, one row per publication."""
    return Table(["cells", "published", "source", "needs"], ELSEWHERE)


def reproduced_claim(records: Sequence[RunRecord]) -> Claim:
    """The claim that all published numbers are reproduced.

    Args:
        records: The runs, at least one number of which has a tolerance.

    Returns:
        The claim, with one case per number.
    """
    return claim_of_cases(
        "Published numbers are reproduced",
        "The mean here, and the published number with its tolerance.",
        [
            Case(
                f"{row['setting']} ({row['source']})",
                "{} ({} ± {})".format(
                    *(
                        form(row).format(row[key])
                        for key in ("measured", "published", "tolerance")
                    )
                ),
                published.outcome(row),
            )
            for row in judged(records)
        ],
    )


def markdown(tables: Mapping[str, Table]) -> str:
    """Tables in Markdown.

    Args:
        tables: Titles to tables.

    Returns:
        Text with one heading per table.

    Example:
        >>> print(markdown({"Numbers": Table(["a", "b"], [["1", "2"]])}))
        ## Numbers
        <BLANKLINE>
        | a | b |
        |---|---|
        | 1 | 2 |
        <BLANKLINE>
    """
    lines = []
    for title, table in tables.items():
        lines += [f"## {title}", "", _line(table.header)]
        lines += [f"|{'---|' * len(table.header)}", *map(_line, table.rows), ""]
    return "\n".join(lines)


def _line(texts: Sequence[str]) -> str:
    """A row of a table in Markdown."""
    escaped = [text.replace("|", r"\|") for text in texts]
    return f"| {' | '.join(escaped)} |"
