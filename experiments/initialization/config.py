"""The flags."""

import dataclasses

from experiments.harness import cli, common_flags


@dataclasses.dataclass(frozen=True)
class Config:
    """The flags."""

    cells: list[str] = common_flags.cells(["lstm"], "Cells to measure")
    inits: list[str] = common_flags.inits(
        ["linen", "nnx", "keras", "torch", "equinox", "haiku", "orthogonal", "chrono"]
    )
    features: int = cli.flag(
        128, "Hidden units.", lower_bound=1, upper_bound=4096, group="model"
    )
    inputs: int = cli.flag(
        32, "Features of the input.", lower_bound=1, upper_bound=65_536, group="data"
    )
    steps: int = cli.flag(
        100,
        "Steps of the sequence.",
        lower_bound=1,
        upper_bound=1_000_000,
        group="data",
    )
    seeds: list[int] = common_flags.seeds(
        [0, 1, 2, 3, 4], "Seeds, each with separate parameters and a separate sequence."
    )
