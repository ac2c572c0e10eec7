"""The steps of the experiment."""

from typing import Any

import numpy as np

from experiments.harness import (
    memory_claims,
    memory_report,
    memory_study,
    published,
    shards,
)
from experiments.harness.long_memory import TASKS
from experiments.harness.memory_study import Member
from experiments.harness.networks import Network
from experiments.harness.plotting import Plot
from experiments.harness.runs import Run
from experiments.temporal_order import figures
from experiments.temporal_order import networks as original
from experiments.temporal_order.config import Config
from experiments.temporal_order.references import ORIGINAL, REFERENCES

TASK = TASKS["temporal_order"]
SOONER = "Orthogonal recurrent weights solve temporal order in fewer steps"


def run(config: Config, results: Run) -> None:
    """Train all cells, and the network of the paper, and publish the results."""
    curves, refused = memory_report.measure(TASK, config, results)
    rows, plots = [], {}
    if config.original_sequences:
        shard = shards.parse(results.launch.shard)
        seeds = shards.select(config.seeds, shard)
        learned = original.train(TASK, seeds, config, results)
        if shard is None:
            rows, plots = show_original(learned, config, results)
    memory_report.show(
        TASK,
        curves,
        refused,
        config,
        results,
        references=REFERENCES,
        caption=f"Temporal order, task 6a; {memory_study.setting(config)}",
        claims=memory_claims.sooner_claim(curves, "orthogonal", config.steps, SOONER),
        compared=rows,
        figures=plots,
        panel="at most {} symbols".format,
    )


def members(config: Config) -> dict[str, list[Member]]:
    """The members that shards divide, by the name of the training."""
    divided = memory_study.members(TASK, config)
    if config.original_sequences:
        divided[original.NAME] = [Member(seed, "own", 0) for seed in config.seeds]
    return divided


def reopen(config: Config) -> dict[str, Network]:
    """The networks that a run keeps, by the name of the training."""
    rebuilt = memory_study.reopen(TASK, config)
    if config.original_sequences:
        rebuilt[original.NAME] = original.reopen(TASK, config.evaluate_on)
    return rebuilt


def show_original(
    learned: original.Original, config: Config, results: Run
) -> tuple[list[dict[str, Any]], dict[str, Plot]]:
    """Compare the network of the paper with its published number, and draw it.

    Returns:
        The row of the comparison, and the figure by the name of its file.
    """
    for i, seed in enumerate(config.seeds):
        results.log(
            kind="original",
            seed=seed,
            solved_sequences=int(learned.solved[i]) or None,
            wrong=learned.wrong[i].min(),
            log_norms=learned.profile[i],
        )
    counts = np.where(learned.solved > 0, learned.solved, config.original_sequences)
    rows = []
    if config.original_sequences >= ORIGINAL.published + (ORIGINAL.tolerance or 0):
        published.log(results, ORIGINAL, counts)
        rows = [published.compare(ORIGINAL, counts)]
    return rows, {"original.png": figures.draw_original(learned)}
