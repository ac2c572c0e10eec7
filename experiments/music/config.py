"""The flags."""

import dataclasses

from experiments.harness import cli, common_flags


@dataclasses.dataclass(frozen=True)
class Config(common_flags.TrainingConfig):
    """The flags."""

    data_dir: str = cli.flag(
        "", "Folder that holds JSB_Chorales.mat.", path=True, group="data"
    )
    cells: list[str] = common_flags.cells(["elman", "lstm", "gru"])
    parameters: int = cli.flag(
        20_000,
        "Parameters of each network; the number of units is chosen to match.",
        lower_bound=1000,
        upper_bound=100_000_000,
        group="model",
    )
    input_dropout: float = cli.flag(
        0.1,
        "Dropout rate of the inputs (one mask per piece).",
        lower_bound=0.0,
        group="training",
    )
    recurrent_dropout: float = cli.flag(
        0.2,
        "Dropout rate of the recurrent inputs (one mask per piece).",
        lower_bound=0.0,
        group="training",
    )
    learning_rate: float = common_flags.learning_rate(
        1e-2, "Initial learning rate, with cosine decay to 0."
    )
    batch_size: int = common_flags.batch_size(8, "Pieces per step.")
    steps: int = common_flags.steps(600, "Training steps (28 per epoch).")
    probe_every: int = common_flags.probe_every(
        30, "Training steps between evaluations on the validation pieces."
    )
    piece: int = cli.flag(
        0,
        "Number of the test piece that a network continues, from 0.",
        lower_bound=0,
        upper_bound=1_000_000,
    )
    prompt_steps: int = cli.flag(
        16,
        "Number of its steps that the network is given.",
        lower_bound=1,
        upper_bound=1_000_000,
    )
    generated_steps: int = cli.flag(
        48,
        "Number of steps that the network generates.",
        lower_bound=1,
        upper_bound=100_000,
    )
    temperature: float = cli.flag(
        1.0,
        "Temperature of the sampling; below 1, likely keys are preferred.",
        lower_bound=0.0,
        upper_bound=1e6,
    )
