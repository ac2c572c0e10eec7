"""The flags."""

import dataclasses

from experiments.harness import common_flags, memory_flags


@dataclasses.dataclass(frozen=True)
class Config(memory_flags.MemoryConfig):
    """The flags."""

    cells: list[str] = common_flags.cells(["elman", "orthogonal_rnn", "lstm", "gru"])
    inits: list[str] = common_flags.inits(["own", "chrono"])
    lengths: list[int] = memory_flags.lengths([30, 100], "Numbers of blanks T.")
    steps: int = common_flags.steps(1500, "Training steps, if the task is not solved.")
