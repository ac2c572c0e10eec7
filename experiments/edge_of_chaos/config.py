"""The flags."""

import dataclasses

from experiments.harness import cli, common_flags


@dataclasses.dataclass(frozen=True)
class Config:
    """The flags."""

    features: list[int] = cli.flag(
        [100, 400], "Numbers of units N.", upper_bound=10_000, group="model"
    )
    gains: list[float] = cli.flag(
        [0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.8, 2, 2.5, 3],
        "Gains g, in ascending order.",
        upper_bound=1e6,
        group="model",
    )
    spectra: list[float] = cli.flag(
        [0.7, 1.3, 3],
        "Gains at which all exponents of the first network are drawn.",
        upper_bound=1e6,
    )
    steps: int = cli.flag(
        1500, "Steps, including the warmup.", lower_bound=20, upper_bound=1_000_000
    )
    warmup: int = cli.flag(
        500,
        "Steps that are left out of the mean.",
        lower_bound=0,
        upper_bound=1_000_000,
    )
    seeds: list[int] = common_flags.seeds(
        [0, 1, 2, 3, 4], "Seeds, each with a separate W."
    )
