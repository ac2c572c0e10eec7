"""The flags."""

import dataclasses

from experiments.harness import common_flags, memory_flags


@dataclasses.dataclass(frozen=True)
class Config(memory_flags.MemoryConfig):
    """The flags."""

    cells: list[str] = common_flags.cells(["elman", "irnn", "lstm", "gru"])
    inits: list[str] = common_flags.inits(["own", "chrono"])
    lengths: list[int] = memory_flags.lengths(
        [100, 200], "Steps of a sequence, at least 2."
    )
    steps: int = common_flags.steps(4000, "Training steps, if the task is not solved.")
