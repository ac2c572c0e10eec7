"""The arguments and flags."""

import dataclasses

from experiments.harness import cli, shards

CLUSTERS = "slurm", "local"


@dataclasses.dataclass(frozen=True)
class Config:
    """The flags."""

    command: list[str] = cli.argument(
        "Name of an experiment and its flags, after -- .", many=True
    )
    shards: int = cli.flag(
        8,
        "Number of shards, at most one per member of the study.",
        lower_bound=1,
        upper_bound=shards.MOST,
        group="output",
    )
    results: str = cli.flag(
        "",
        "Folder that all shards share, on a disk that all machines share; by default a "
        "new folder under results.",
        path=True,
        group="output",
    )
    cluster: str = cli.flag(
        "slurm",
        "Where the jobs run: local is this machine, all jobs at once.",
        choices=CLUSTERS,
        group="output",
    )
    timeout_min: int = cli.flag(
        60,
        "Minutes until a job is stopped and queued again.",
        lower_bound=1,
        upper_bound=1_000_000,
        group="output",
    )
    timeouts: int = cli.flag(
        20,
        "Number of times that a job may run out of time.",
        lower_bound=0,
        upper_bound=1_000_000,
        group="output",
    )
    parameters: list[str] = cli.flag(
        [],
        "Other parameters of a job, NAME=VALUE as submitit has them, such as "
        "gpus_per_node=1,slurm_partition=gpu.",
        group="output",
    )
