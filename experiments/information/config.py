"""The flags."""

import dataclasses

from experiments.harness import cli, common_flags, data_flags


@dataclasses.dataclass(frozen=True)
class Config(data_flags.SequencesConfig):
    """The flags."""

    seeds: list[int] = common_flags.seeds([0, 1, 2, 3, 4])
    cell: str = common_flags.cell("gru")
    order: str = cli.flag(
        "rows",
        "Order of reading: 8 rows or 64 pixels.",
        choices=common_flags.ORDERS,
        group="data",
    )
    features: int = common_flags.features(64, "Hidden units of each direction.")
    steps: int = common_flags.steps(420, "Training steps (14 per epoch).")
    ridge: float = cli.flag(
        1e-2,
        "Ridge penalty on the weights of the probes.",
        lower_bound=1e-6,
        upper_bound=1e12,
    )
