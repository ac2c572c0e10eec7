"""The steps of the experiment."""

from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.published import claims, figures, records
from experiments.published.config import Config


def run(config: Config, results: Run) -> None:
    """Collect the comparisons of all runs, and publish them."""
    there = records.read(config.runs)
    for record in there:
        for row in record.rows:
            results.log(
                **{**row, "kind": "compared"},
                experiment=record.experiment,
                command=record.command,
                took=claims.duration(row.get("seconds") or record.seconds),
            )
    tables = {
        "Published and measured": claims.table(there),
        "Runs": claims.runs_table(there),
        "Not measured here": claims.elsewhere_table(),
    }
    text = claims.markdown(tables)
    (results.path / "published.md").write_text(text, encoding="utf-8")
    known = any(row["tolerance"] for row in claims.judged(there))
    publish(
        results,
        answer=claims.answer(there),
        figures={"published.png": figures.draw(there)} if known else {},
        tables=tables,
        claims=[claims.reproduced_claim(there)] if known else [],
        findings=[
            "A number is reproduced if the mean over seeds is within the tolerance, "
            "which was fixed before the measurement.",
        ],
    )
