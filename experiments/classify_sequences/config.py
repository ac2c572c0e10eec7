"""The flags."""

import dataclasses

from experiments.harness import cli, common_flags, data_flags

DATA = "digits", "mnist1d"  # built in


@dataclasses.dataclass(frozen=True)
class Config(data_flags.SequencesConfig):
    """The flags."""

    data: str = cli.flag(
        "digits",
        f"{', '.join(DATA)}, or: {data_flags.OWN_SEQUENCES}",
        path=True,
        group="data",
    )
    task: str = data_flags.task()
    order: str = cli.flag(
        "rows",
        "Steps of a digit: 64 pixels or 8 rows (not for other data).",
        choices=common_flags.ORDERS,
        group="data",
    )
    bidirectional: bool = cli.flag(
        False, "Compare with reading from both ends.", group="model"
    )
    cells: list[str] = common_flags.cells(["elman", "lstm", "gru"])
    seeds: list[int] = common_flags.seeds([0, 1, 2, 3, 4])
    features: int = common_flags.features(
        64, "Hidden units of each direction.", least=2
    )
    learning_rate: float = common_flags.learning_rate(3e-3)
    linear_rate: float = common_flags.learning_rate(
        1e-2,
        "Step size for the linear model. At the step size of the nets it would not "
        "converge in as many steps, and would not be a fair baseline.",
    )
    batch_size: int = common_flags.batch_size(64, "Sequences per step.")
    steps: int = common_flags.steps(840)
    probe_every: int = common_flags.probe_every(
        40, "Training steps between two measurements of the held-out accuracy."
    )

    def built_in(self) -> tuple[str, ...]:
        """Names of built-in data."""
        return DATA
