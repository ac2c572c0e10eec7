"""The flags."""

import dataclasses

from experiments.harness import cli, common_flags


@dataclasses.dataclass(frozen=True)
class Config(common_flags.TrainingConfig):
    """The flags."""

    seeds: list[int] = common_flags.seeds([0, 1, 2, 3, 4])
    cell: str = common_flags.cell("gru")
    features: int = common_flags.features(128)
    components: int = cli.flag(
        20,
        "Gaussians in the mixture.",
        lower_bound=1,
        upper_bound=10_000,
        group="model",
    )
    temperatures: list[float] = cli.flag(
        [1.0, 0.5, 0.1],
        "Temperatures: 1 draws as learned, less than 1 draws likelier rows.",
        upper_bound=1e6,
    )
    samples_per_label: int = cli.flag(
        50, "Drawings per label and seed.", lower_bound=2, upper_bound=10_000
    )
    learning_rate: float = common_flags.learning_rate(1e-2)
    steps: int = common_flags.steps(800, "Training steps (14 per epoch).")
