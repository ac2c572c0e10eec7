"""The steps of the experiment."""

from experiments.adding.config import Config
from experiments.adding.references import REFERENCES
from experiments.harness import memory_claims, memory_report, memory_study
from experiments.harness.long_memory import TASKS
from experiments.harness.memory_study import Member
from experiments.harness.networks import Network
from experiments.harness.runs import Run

TASK = TASKS["adding"]
CHRONO = "Chrono initialization solves the adding problem in fewer steps"


def run(config: Config, results: Run) -> None:
    """Train all cells at all lengths, and publish the results."""
    curves, refused = memory_report.measure(TASK, config, results)
    memory_report.show(
        TASK,
        curves,
        refused,
        config,
        results,
        references=REFERENCES,
        caption=f"Adding problem; {memory_study.setting(config)}",
        claims=memory_claims.sooner_claim(curves, "chrono", config.steps, CHRONO),
    )


def members(config: Config) -> dict[str, list[Member]]:
    """The members that shards divide, by the name of the training."""
    return memory_study.members(TASK, config)


def reopen(config: Config) -> dict[str, Network]:
    """The networks that a run keeps, by the name of the training."""
    return memory_study.reopen(TASK, config)
