"""The flags."""

import dataclasses

from experiments.harness import cli, common_flags

LEAST = 256  # steps of the shortest sequence


@dataclasses.dataclass(frozen=True)
class Config:
    """The flags."""

    cells: list[str] = common_flags.cells(["lstm"], "Cells to measure")
    inputs: int = cli.flag(
        32, "Features of the input.", lower_bound=1, upper_bound=65_536, group="data"
    )
    features: int = common_flags.features(64)
    batch_size: int = cli.flag(
        32, "Sequences at once.", lower_bound=1, upper_bound=65_536, group="data"
    )
    max_steps: int = cli.flag(
        16384,
        "Number of steps of the longest sequence.",
        lower_bound=2 * LEAST,
        upper_bound=2**20,
    )
