"""The flags."""

import dataclasses

from experiments.harness import cli, common_flags


@dataclasses.dataclass(frozen=True)
class Config(common_flags.TrainingConfig):
    """The flags."""

    cell: str = common_flags.cell("lstm", "Cell of encoder and decoder")
    attention: list[str] = cli.flag(
        ["with", "without"],
        "Models to train: with, without.",
        group="model",
    )
    bidirectional: bool = cli.flag(
        True, "Read the source in both directions.", group="model"
    )
    features: int = common_flags.features(64, "Hidden units of each direction.")
    embedding: int = cli.flag(
        32,
        "Size of the character embeddings.",
        lower_bound=1,
        upper_bound=16_384,
        group="model",
    )
    beam: int = cli.flag(
        4, "Sequences that beam search keeps, at most 100.", lower_bound=1
    )
    examples: int = cli.flag(
        50_000, "Dates to train on.", lower_bound=1, upper_bound=1_000_000, group="data"
    )
    held_out: int = cli.flag(
        2600, "Dates to test on.", lower_bound=1, upper_bound=100_000, group="data"
    )
    date: str = cli.flag("", "Your dates to translate, separated by semicolons.")
    learning_rate: float = common_flags.learning_rate(
        1e-2, "Peak learning rate, after a twelfth of the steps; it decays to 0."
    )
    batch_size: int = common_flags.batch_size(32, "Dates per step.")
    steps: int = common_flags.steps(1200)
