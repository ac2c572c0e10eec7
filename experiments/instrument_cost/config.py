"""The flags."""

import dataclasses

from experiments.harness import cli, common_flags


@dataclasses.dataclass(frozen=True)
class Config:
    """The flags."""

    cells: list[str] = common_flags.cells(["elman", "lstm", "gru"], "Cells to train")
    inputs: int = cli.flag(
        128, "Features of the input.", lower_bound=1, upper_bound=65_536, group="data"
    )
    features: int = common_flags.features(128)
    batch_size: int = cli.flag(
        32, "Sequences at once.", lower_bound=1, upper_bound=65_536, group="data"
    )
    time: int = cli.flag(
        100, "Steps of a sequence.", lower_bound=1, upper_bound=1_000_000, group="data"
    )
    repeats: int = cli.flag(
        30, "How often each is timed.", lower_bound=1, upper_bound=100_000
    )
    spectrum_features: int = cli.flag(
        256,
        "Units of the network whose Lyapunov spectrum is timed.",
        lower_bound=2,
        upper_bound=4096,
    )
    spectrum_time: int = cli.flag(
        1000, "Steps of this spectrum.", lower_bound=2, upper_bound=1_000_000
    )
    product_features: int = cli.flag(
        64,
        "Units of the network whose singular values are timed.",
        lower_bound=2,
        upper_bound=4096,
    )
    product_time: int = cli.flag(
        1000, "Steps of their product.", lower_bound=2, upper_bound=1_000_000
    )
