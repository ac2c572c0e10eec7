"""The arguments."""

import dataclasses

from experiments.harness import cli


@dataclasses.dataclass(frozen=True)
class Config:
    """The arguments."""

    runs: list[str] = cli.argument(
        "Folders of complete runs that compare with published numbers, one or more. A "
        "run of --shard is no complete one.",
        many=True,
        folder=True,
    )
