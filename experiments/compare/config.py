"""The arguments."""

import dataclasses

from experiments.harness import cli


@dataclasses.dataclass(frozen=True)
class Config:
    """The arguments."""

    runs: list[str] = cli.argument(
        "Folders of complete runs of one experiment, two or more. The first is the one "
        "that the others are compared with.",
        many=True,
        folder=True,
    )
