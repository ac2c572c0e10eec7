"""The flags."""

import dataclasses

from experiments.harness import cli, common_flags


@dataclasses.dataclass(frozen=True)
class Config(common_flags.TrainingConfig):
    """The flags."""

    photograph: str = cli.flag(
        "china",
        "Photograph to convolve.",
        choices=("china", "flower"),
        group="data",
    )
    digits: list[int] = cli.flag(
        [0, 4, 7],
        "Digits to convolve: numbers from 0 to 1796 in scikit-learn's set.",
        group="data",
    )
    filters: int = cli.flag(
        4, "Filters of the trained network.", lower_bound=1, group="model"
    )
    pool: str = cli.flag(
        "mean",
        "Global pooling before the last layer.",
        choices=("mean", "max"),
        group="model",
    )
    seeds: list[int] = common_flags.seeds(
        [0, 1, 2, 3, 4], "Seeds; each is a separate network and order of the data."
    )
    learning_rate: float = common_flags.learning_rate(1e-2)
    batch_size: int = common_flags.batch_size(64, "Strokes per step.")
    steps: int = common_flags.steps(1000, "Training steps (6 per epoch).")
