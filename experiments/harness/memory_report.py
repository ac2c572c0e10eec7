"""The whole of an experiment on a task that needs a long memory."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from experiments.harness import memory_claims, memory_figures, memory_study
from experiments.harness.claims import Claim
from experiments.harness.long_memory import Task
from experiments.harness.memory_claims import Reference
from experiments.harness.memory_study import Curve
from experiments.harness.plotting import Plot
from experiments.harness.report import publish
from experiments.harness.runs import Run

COUNTED = (
    "In the mean of the steps to solve, a model that did not solve the task counts "
    "with all its steps: a lower bound."
)


def measure(task: Task, config: Any, results: Run) -> tuple[list[Curve], list[str]]:
    """Train all cells of the flags at all lengths.

    Args:
        task: The task.
        config: As in `memory_study.check`.
        results: The run.

    Returns:
        The curves; and one sentence for each initialization that a cell does not take.
    """
    memory_study.check(task, config)
    studies, refused = memory_study.studies(task, config)
    curves = [
        curve
        for study in studies
        for curve in memory_study.run(task, study, config, results)
    ]
    for sentence in refused:
        results.log(kind="refused", why=sentence)
    return curves, refused


def show(
    task: Task,
    curves: Sequence[Curve],
    refused: Sequence[str],
    config: Any,
    results: Run,
    *,
    references: Sequence[Reference],
    caption: str,
    claims: Sequence[Claim] = (),
    compared: Sequence[dict[str, Any]] = (),
    figures: Mapping[str, Plot] | None = None,
    panel: Callable[[int], str] = "T = {}".format,
) -> None:
    """Publish the curves, and their comparison with published numbers.

    Args:
        task: The task.
        curves: The curves.
        refused: As `measure` returns them.
        config: The flags.
        results: The run.
        references: Published and earlier numbers.
        caption: Setting of the run, for the figure.
        claims: Further claims.
        compared: Further rows of the kind "published", which are logged already.
        figures: Further figures.
        panel: Name of a length.
    """
    if results.launch.shard:  # it may have no curve with all seeds
        count = sum(len(curve.seeds) for curve in curves)
        publish(results, answer=f"Members trained: {count}.", findings=refused)
        return
    rows = [*memory_claims.compare(curves, references, config, results), *compared]
    tables = {"Results": memory_figures.table(task, curves, config.batch_size)}
    if rows:
        tables["Published and measured"] = memory_claims.table(rows)
    answer = memory_claims.answer(curves)
    plot = memory_figures.draw(task, curves, answer.rstrip("."), caption, panel)
    publish(
        results,
        answer=answer,
        figures={f"{task.name}.png": plot, **(figures or {})},
        tables=tables,
        claims=[
            *memory_claims.claim(rows),
            *claims,
            *memory_claims.gradient_claim(curves, config.steps),
        ],
        findings=[COUNTED, *refused],
    )
