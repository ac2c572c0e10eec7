"""The flags."""

import dataclasses

from experiments.harness import common_flags
from experiments.harness.long_memory import flags


@dataclasses.dataclass(frozen=True)
class Config(flags.MemoryConfig):
    """The flags."""

    cells: list[str] = common_flags.cells(["elman", "orthogonal_rnn", "lstm", "gru"])
    inits: list[str] = common_flags.inits(["own", "chrono"])
    lengths: list[int] = flags.lengths([30, 100], "Numbers of blanks T.")
    steps: int = common_flags.steps(1500, "Training steps, if the task is not solved.")
