"""The flags."""

import dataclasses

from experiments.harness import cli, common_flags, memory_flags


@dataclasses.dataclass(frozen=True)
class Config(memory_flags.MemoryConfig):
    """The flags."""

    cells: list[str] = common_flags.cells(["elman", "lstm_1997", "lstm", "gru"])
    inits: list[str] = common_flags.inits(["orthogonal", "torch", "chrono"])
    lengths: list[int] = memory_flags.lengths(
        [110],
        "Symbols of the longest sequences, multiples of 11; the paper has 110, and the "
        "shortest have 100.",
    )
    steps: int = common_flags.steps(3000, "Training steps, if the task is not solved.")
    evaluate_every: int = memory_flags.evaluate_every(50)
    original_sequences: int = cli.flag(
        60_000,
        "Sequences that the network of the paper learns from, one per step, if it does "
        "not solve the task; 0 to leave it out.",
        lower_bound=0,
        upper_bound=common_flags.MOST_STEPS,
        group="training",
    )
