"""The flags."""

import dataclasses

from experiments.harness import cli, common_flags


@dataclasses.dataclass(frozen=True)
class Config:
    """The flags."""

    inputs: int = cli.flag(
        32, "Features of the input.", lower_bound=1, upper_bound=65_536, group="data"
    )
    features: int = common_flags.features(64)
