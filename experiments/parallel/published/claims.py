"""The claim about published facts, and their table."""

from experiments.harness import tables
from experiments.harness.claims import SUPPORTED, Case, Claim, claim_of_cases
from experiments.parallel.published.records import Published


def facts_are_reproduced(published: Published) -> Claim:
    """The claim that published numbers are reproduced."""
    return claim_of_cases(
        "Published facts about Newton's method over time are reproduced",
        "The number here, and the published one.",
        [
            Case(
                f"{fact.name}: {fact.quantity}",
                f"{fact.measured:.3g} ({'at most ' if fact.bound else ''}"
                f"{fact.published:g} ± {fact.tolerance:.2g})",
                fact.outcome,
            )
            for fact in published.facts()
        ],
    )


def facts_table(published: Published) -> tables.Table:
    """Published numbers and those here, one row per fact."""
    header = ["case", "quantity", "published", "here", "tolerance", "outcome"]
    return tables.Table(
        header,
        [
            [
                fact.name,
                fact.quantity,
                f"{'at most ' if fact.bound else ''}{fact.published:g}",
                f"{fact.measured:.3g}",
                f"{fact.tolerance:.2g}",
                fact.outcome,
            ]
            for fact in published.facts()
        ],
    )


def answer(published: Published) -> str:
    """The number of facts that are reproduced, in one sentence without its full stop.

    Args:
        published: The facts.

    Returns:
        A sentence, which is the title of the figure too.
    """
    facts = published.facts()
    count = sum(fact.outcome == SUPPORTED for fact in facts)
    return f"{count} of {len(facts)} published facts are reproduced"
