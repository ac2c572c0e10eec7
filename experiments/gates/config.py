"""The flags."""

import dataclasses

from experiments.harness import cli, common_flags, data_flags


@dataclasses.dataclass(frozen=True)
class Config(data_flags.SequencesConfig):
    """The flags."""

    biases: list[float] = cli.flag(
        [-5.0, 0.0, 3.0, 5.0],
        "Values b; each clamps the forget gate at sigmoid(b).",
        upper_bound=1e6,
        group="model",
    )
    task: str = data_flags.task()
    order: str = cli.flag(
        "pixels",
        "Steps of a digit: 64 pixels or 8 rows.",
        choices=common_flags.ORDERS,
        group="data",
    )
    seeds: list[int] = common_flags.seeds([0, 1, 2, 3, 4])
    features: int = common_flags.features(32)
    learning_rate: float = common_flags.learning_rate(1e-2)
    steps: int = common_flags.steps(700, "Training steps (14 are an epoch).")
    digit: int = cli.flag(
        0, "Index of the held-out example to draw; 0 is the first.", lower_bound=0
    )
