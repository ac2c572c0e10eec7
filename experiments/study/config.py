"""The flags."""

import dataclasses

from experiments.harness import cli, common_flags, data_flags

AXES = "learning_rate", "clip_norm", "gain", "forget_bias", "dropout"  # of the grid


@dataclasses.dataclass(frozen=True)
class Config(data_flags.SequencesConfig):
    """The flags."""

    cells: list[str] = common_flags.cells(["elman", "lstm", "gru"])
    init: str = common_flags.init("own")
    order: str = cli.flag(
        "pixels",
        "Steps of a digit: 64 pixels or 8 rows.",
        choices=common_flags.ORDERS,
        group="data",
    )
    features: int = common_flags.features(32)
    learning_rate: list[float] = cli.flag(  # pyright: ignore[reportIncompatibleVariableOverride]
        [1e-3, 1e-2, 1e-1],
        "Step sizes of the optimizer.",
        lower_bound=1e-30,
        upper_bound=1e30,
        group="training",
    )
    clip_norm: list[float] = cli.flag(  # pyright: ignore[reportIncompatibleVariableOverride]
        [1.0],
        "Largest norms of the gradient, 0 to clip nothing.",
        lower_bound=0.0,
        upper_bound=1e30,
        group="training",
    )
    gain: list[float] = cli.flag(
        [0.5, 1.0, 1.5],
        "Factors of the recurrent weights w_h at the start.",
        lower_bound=0.0,
        upper_bound=1e6,
        group="model",
    )
    forget_bias: list[float] = cli.flag(
        [0.0, 1.0],
        "Biases of the forget gate at the start, for cells that take one: lstm, "
        "min_lstm.",
        upper_bound=1e6,
        group="model",
    )
    dropout: list[float] = cli.flag(
        [0.0],
        "Rates of dropout on the output that the classifier reads, below 1.",
        lower_bound=0.0,
        upper_bound=0.999,
        group="training",
    )
    seeds: list[int] = common_flags.seeds([0, 1, 2, 3])
    steps: int = common_flags.steps(252, "Training steps (14 are an epoch).")
    on_nonfinite: str = cli.flag(
        "drop_member",
        "If a loss or a gradient is not finite: stop the run, skip the step, or "
        "drop_member, which trains the other members further.",
        choices=common_flags.ON_NONFINITE,
        group="training",
    )
    trained_accuracy: float = cli.flag(
        0.5,
        "Held-out accuracy from which a setting counts as trained.",
        lower_bound=0.0,
        upper_bound=1.0,
    )
