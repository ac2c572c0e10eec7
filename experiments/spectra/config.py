"""The flags."""

import dataclasses

from experiments.harness import cli, common_flags


@dataclasses.dataclass(frozen=True)
class Config:
    """The flags."""

    cells: list[str] = cli.flag(
        [
            *("elman", "irnn", "orthogonal_rnn", "antisymmetric_rnn", "lstm"),
            *("gru", "coupled_lstm", "mgu", "min_gru", "lru"),
        ],
        "Cells to compare: names in nets.CELLS, all for every cell that reads vectors, "
        f"or {common_flags.OTHERS}.",
        values=(*common_flags.CELLS, "all"),
        group="model",
    )
    inits: list[str] = common_flags.inits(["own", "keras", "torch", "haiku", "chrono"])
    features: int = cli.flag(
        32, "Hidden units.", lower_bound=1, upper_bound=4096, group="model"
    )
    inputs: int = cli.flag(
        8, "Features of the input.", lower_bound=1, upper_bound=65_536, group="data"
    )
    steps: int = cli.flag(
        300, "Steps of a sequence.", lower_bound=2, upper_bound=1_000_000, group="data"
    )
    warmup: int = cli.flag(
        100,
        "Steps before the measurement, so that states become stationary.",
        lower_bound=0,
        upper_bound=1_000_000,
    )
    batch_size: int = cli.flag(
        2,
        "Number of sequences over which the spectra are averaged.",
        lower_bound=1,
        upper_bound=65_536,
        group="data",
    )
    seeds: list[int] = common_flags.seeds(
        [0, 1, 2], "Seeds, each with separate parameters and sequences."
    )
