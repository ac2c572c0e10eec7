"""The table and the claim of the time, next to that of the authors' recipe."""

from collections.abc import Sequence

from experiments.harness import tables
from experiments.harness.claims import Case, Claim, claim_of_cases, positive
from experiments.harness.intervals import Interval
from experiments.mnist1d.measure import ModelResult
from experiments.mnist1d.speed import Timed, total

FASTER = 5.0  # times as fast as the authors' recipe


def speed_table(
    results: Sequence[ModelResult], timed: Sequence[Timed], steps: int, seeds: int
) -> tables.Table:
    """Seconds here and in PyTorch, one row per model, and their sums.

    Args:
        results: Results of the study.
        timed: Times of the recipe.
        steps: Training steps.
        seeds: Number of seeds.

    Returns:
        A `Table`.
    """
    header = [
        *("model", "here, s", "PyTorch, s", "ratio", "threads", "steps timed"),
        *("PyTorch, ms/step", "accuracy there, %", "deviation of the loss"),
    ]
    here = {result.name: result.seconds for result in results}
    rows = []
    for one in timed:
        whole = one.total(steps, seeds)
        rows.append(
            [
                one.name,
                f"{here[one.name]:.1f}",
                f"{whole:.1f}",
                f"{whole / here[one.name]:.1f}",
                str(one.threads),
                f"{one.steps:,} x {len(one.seconds)}",
                f"{1e3 * one.seconds.mean() / one.steps:.2f}",
                tables.mean_and_deviation(one.accuracies, "{:.1f}"),
                f"{one.difference:.0e}",
            ]
        )
    study, whole = sum(here[one.name] for one in timed), total(timed, steps, seeds)
    sums = ["all", f"{study:.1f}", f"{whole:.1f}", f"{whole / study:.1f}"]
    return tables.Table(header, [*rows, [*sums, *[""] * (len(header) - len(sums))]])


def speed_claim(
    results: Sequence[ModelResult], timed: Sequence[Timed], steps: int, seeds: int
) -> Claim:
    """Claim that the study is faster than the recipe by the target.

    Args:
        results: As in `speed_table`.
        timed: As in `speed_table`.
        steps: As in `speed_table`.
        seeds: As in `speed_table`.

    Returns:
        The claim.
    """
    here = {result.name: result.seconds for result in results}
    ratio = total(timed, steps, seeds) / sum(here[one.name] for one in timed)
    outcome = positive(Interval(ratio, ratio, ratio), FASTER)
    return claim_of_cases(
        f"The study trains {FASTER:g} times as fast as the authors' recipe in PyTorch",
        "Seconds of the recipe, one model after another, divided by those of the study "
        "with compilation.",
        [Case(f"{len(timed)} models, {seeds} seeds", f"{ratio:.1f}", outcome)],
    )
