"""The flags."""

import dataclasses

from experiments.harness import cli, common_flags


@dataclasses.dataclass(frozen=True)
class Config:
    """The flags."""

    cells: list[str] = cli.flag(
        [
            *("elman", "irnn", "cornn", "lstm", "gru", "minimal_rnn", "min_gru", "lru"),
            *("rg_lru", "delta_net"),
        ],
        "Cells: names in nets.CELLS, all for every cell that reads vectors, or "
        f"{common_flags.OTHERS}.",
        values=(*common_flags.CELLS, "all"),
        group="model",
    )
    inits: list[str] = common_flags.inits(
        ["own", "keras", "torch", "haiku", "irnn", "chrono"]
    )
    features: list[int] = cli.flag(
        [16], "Numbers of hidden units.", lower_bound=1, upper_bound=4096, group="model"
    )
    seeds: list[int] = common_flags.seeds([0, 1, 2])
    learning_rates: list[float] = cli.flag(
        [3e-3, 1e-2, 3e-2],
        "Step sizes of the optimizer. Each cell is trained with the best of them, for "
        "each task: chosen with its first initialization, seed and number of units.",
        lower_bound=1e-30,
        upper_bound=1e30,
        group="training",
    )
    clip_norm: float = common_flags.clip_norm(1.0)
    batch_size: int = common_flags.batch_size(16)
    adding_length: int = cli.flag(
        100,
        "Steps of a sequence of the adding problem.",
        lower_bound=2,
        upper_bound=100_000,
        group="data",
    )
    order_length: int = cli.flag(
        55,
        "Steps of the longest sequence of the temporal order problem, a multiple of "
        "11; 110 in the paper.",
        lower_bound=11,
        upper_bound=110_000,
        group="data",
    )
    copy_length: int = cli.flag(
        20,
        "Blanks of a sequence of the copy memory problem, which has 20 more steps.",
        lower_bound=1,
        upper_bound=100_000,
        group="data",
    )
    adding_steps: int = common_flags.steps(
        800, "Training steps for the adding problem, at most."
    )
    order_steps: int = common_flags.steps(
        400, "Training steps for the temporal order problem, at most."
    )
    copy_steps: int = common_flags.steps(
        400, "Training steps for the copy memory problem, at most."
    )
    evaluate_every: int = cli.flag(
        50,
        "Training steps between two evaluations on held-out sequences.",
        lower_bound=1,
        upper_bound=common_flags.MOST_STEPS,
        group="training",
    )
    checkpoint_every: int = common_flags.checkpoint_every()
    rows: list[str] = cli.flag(
        [],
        "Files atlas.csv of earlier runs, to draw the atlas of their rows without "
        "measuring any. Files of different cells are joined.",
        path=True,
        group="data",
    )
