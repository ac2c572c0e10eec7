"""The steps of the experiment."""

from experiments.adding.config import Config
from experiments.adding.references import REFERENCES
from experiments.harness.long_memory import claims, report, trainings
from experiments.harness.long_memory.tasks import TASKS
from experiments.harness.long_memory.trainings import Member
from experiments.harness.networks import Network
from experiments.harness.runs import Run

TASK = TASKS["adding"]
CHRONO = "Chrono initialization solves the adding problem in fewer steps"


def run(config: Config, results: Run) -> None:
    """Train all cells at all lengths, and publish the results."""
    curves, refused = report.measure(TASK, config, results)
    report.show(
        TASK,
        curves,
        refused,
        config,
        results,
        references=REFERENCES,
        caption=f"Adding problem; {trainings.setting(config)}",
        further=claims.sooner_claim(curves, "chrono", config.steps, CHRONO),
    )


def members(config: Config) -> dict[str, list[Member]]:
    """The members that shards divide, by the name of the training."""
    return trainings.members(TASK, config)


def reopen(config: Config) -> dict[str, Network]:
    """The networks that a run keeps, by the name of the training."""
    return trainings.reopen(TASK, config)
