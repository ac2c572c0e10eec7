"""The flags."""

import dataclasses

from experiments.harness import cli, common_flags

CELLS = "elman", "lstm", "gru"  # cells that PyTorch has


@dataclasses.dataclass(frozen=True)
class Config:
    """The flags."""

    what: str = cli.flag("study", "Program to time.", choices=("study",))
    cells: list[str] = cli.flag(
        list(CELLS), "Cells to train.", choices=CELLS, group="model"
    )
    members: list[int] = cli.flag(
        [1, 3, 16, 64],
        "Numbers of models that are trained together.",
        lower_bound=1,
        upper_bound=4096,
    )
    features: int = common_flags.features(64)
    batch_size: int = common_flags.batch_size(64, "Sequences per step.")
    time: int = cli.flag(
        64, "Steps of a sequence.", lower_bound=1, upper_bound=1_000_000, group="data"
    )
    rounds: int = cli.flag(
        7, "Rounds in which every contender is timed.", lower_bound=1, upper_bound=1000
    )
    seconds: float = cli.flag(
        0.5,
        "Time for which a contender runs in each round.",
        lower_bound=0.0,
        upper_bound=3600.0,
    )
    overhead_steps: int = cli.flag(
        400,
        "Steps of the trainings with and without checkpoints and logging that are "
        "compared; 0 for none.",
        lower_bound=0,
        upper_bound=common_flags.MOST_STEPS,
    )
