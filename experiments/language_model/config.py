"""The flags."""

import dataclasses

from experiments.harness import cli, common_flags

NEAR = 8  # characters of the short context


@dataclasses.dataclass(frozen=True)
class Config(common_flags.TrainingConfig):
    """The flags."""

    text_file: str = cli.flag(
        "",
        "Text file in UTF-8; by default, Python's own documentation.",
        path=True,
        group="data",
    )
    cells: list[str] = common_flags.cells(["elman", "lstm", "gru"])
    features: int = common_flags.features(128)
    length: int = cli.flag(
        64,
        "Characters per window.",
        lower_bound=NEAR,
        upper_bound=100_000,
        group="data",
    )
    batch_size: int = common_flags.batch_size(8, "Windows per step.")
    steps: int = common_flags.steps(600)
    learning_rate: float = common_flags.learning_rate(
        8e-3, "Initial learning rate; it decays to a tenth of it."
    )
    temperatures: list[float] = cli.flag(
        [0.5, 0.8, 1.0],
        "Temperatures of the samples; 0 takes the most likely character each time.",
        upper_bound=1e6,
    )
    sample_length: int = cli.flag(
        300, "Characters per sample.", lower_bound=1, upper_bound=1_000_000
    )
    prompt: str = cli.flag(
        "", "Prompt of the samples; by default, the start of the held-out text."
    )
