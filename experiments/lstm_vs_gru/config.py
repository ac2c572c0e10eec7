"""The flags."""

import dataclasses

from experiments.harness import cli, common_flags, data_flags

STEPS_PER_ROUND = 10  # training steps that are timed together


@dataclasses.dataclass(frozen=True)
class Config(data_flags.SequencesConfig):
    """The flags."""

    data: str = cli.flag(
        "", f"In place of --tasks. {data_flags.OWN_SEQUENCES}", path=True, group="data"
    )
    task: str = data_flags.task()
    tasks: list[str] = cli.flag(
        ["digits", "mnist1d", "words"],
        "Tasks to learn: digits, mnist1d, words.",
        group="data",
    )
    seeds: list[int] = common_flags.seeds([0, 1, 2, 3, 4])
    features: int = common_flags.features(32, "Hidden units of the LSTM.")
    learning_rate: float = common_flags.learning_rate(
        1e-2, "Initial step size; it falls to 0 by a cosine schedule."
    )
    batch_size: int = common_flags.batch_size(32)
    steps: int = common_flags.steps(
        400,
        "Training steps for words; digits takes 2 times as many and mnist1d 6 times as "
        "many, so that each converges.",
    )
    timing_rounds: int = cli.flag(
        12,
        f"Rounds of timing, each of {STEPS_PER_ROUND} steps per model.",
        lower_bound=1,
        upper_bound=100_000,
    )
