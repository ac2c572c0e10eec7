"""The flags."""

import dataclasses

from experiments.harness import cli, common_flags


@dataclasses.dataclass(frozen=True)
class Config(common_flags.TrainingConfig):
    """The flags."""

    cell: str = common_flags.cell("gru")
    seeds: list[int] = common_flags.seeds([0, 1, 2, 3])
    features: int = common_flags.features(
        64, "Hidden units of each direction.", least=2
    )
    length: int = cli.flag(
        64, "Letters per window.", lower_bound=2, upper_bound=100_000, group="data"
    )
    batch_size: int = common_flags.batch_size(32, "Windows per step.")
    steps: int = common_flags.steps(600, "Training steps (95 per epoch).")
