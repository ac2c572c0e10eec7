"""The argument and the flags."""

import dataclasses

from experiments.harness import cli


@dataclasses.dataclass(frozen=True)
class Config:
    """The flags."""

    shards: str = cli.argument("Folder that the shards share.", folder=True)
    results: str = cli.flag(
        "",
        "Folder of the merged run; by default the folder merged in that of the shards.",
        path=True,
        group="output",
    )
