"""The steps of `--parts=published`."""

from typing import Any

from experiments.harness import published as comparisons
from experiments.harness.claims import SUPPORTED
from experiments.harness.published import Published as Number
from experiments.harness.runs import Run
from experiments.parallel.published import claims, figures
from experiments.parallel.published.measure import measure
from experiments.parallel.published.records import Published


def run(results: Run) -> dict[str, Any]:
    """Measure and log all facts.

    Args:
        results: Run that gets the rows.

    Returns:
        Arguments of `publish`.
    """
    published = measure()
    log(published, results)
    lost = [each.system.name for each in published.observers if not each.converged]
    findings = [
        "The published iterations of the systems themselves, up to 30,000, are not "
        "measured again.",
        *([f"Observers that do not converge: {', '.join(lost)}."] if lost else []),
    ]
    return {
        "answer": f"{claims.answer(published)}.",
        "figures": {"published.png": figures.draw(published)},
        "tables": {"Published facts": claims.facts_table(published)},
        "claims": [claims.facts_are_reproduced(published)],
        "findings": findings,
    }


def log(published: Published, results: Run) -> None:
    """Log the facts, and what they were computed from."""
    for fact in published.facts():
        results.log(kind="fact", **fact._asdict(), outcome=fact.outcome)
        number = Number(
            f"Newton over time, {fact.name}: {fact.quantity}{', at most' * fact.bound}",
            fact.published,
            "Gonzalez et al. 2025",
            fact.tolerance,
        )
        row = comparisons.compare(number, [fact.measured])
        row["within"] = fact.outcome == SUPPORTED  # also of an upper bound
        results.log(kind=comparisons.KIND, **row)
    networks = published.threshold
    for i, gain in enumerate(networks.gains):
        for j in range(networks.exponents.shape[1]):
            results.log(
                kind="threshold",
                gain=gain,
                network=j,
                exponent=networks.exponents[i, j],
                iterations=int(networks.iterations[i, j]),
                converged=bool(networks.converged[i, j]),
            )
    lengths = published.lengths
    for steps, row, wells in zip(
        lengths.steps, lengths.contracting, lengths.wells, strict=True
    ):
        results.log(kind="length", steps=int(steps), contracting=row, wells=wells)
