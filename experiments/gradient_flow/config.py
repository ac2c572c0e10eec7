"""The flags."""

import dataclasses

from experiments.harness import cli, common_flags, data_flags


@dataclasses.dataclass(frozen=True)
class Config(data_flags.SequencesConfig):
    """The flags."""

    cells: list[str] = common_flags.cells(["elman", "lstm", "gru"])
    init: str = common_flags.init("own")
    task: str = data_flags.task()
    order: str = cli.flag(
        "pixels",
        "Steps of a digit: 64 pixels or 8 rows.",
        choices=common_flags.ORDERS,
        group="data",
    )
    bidirectional: bool = cli.flag(False, "Read from both ends.", group="model")
    features: int = common_flags.features(64, "Hidden units of each direction.")
    batch_size: int = common_flags.batch_size(64, "Sequences per step.")
    steps: int = common_flags.steps(840, "Training steps (14 are an epoch).")
    probes: list[str] = cli.flag(
        list(common_flags.PROBES),
        f"Measurements during training: {', '.join(common_flags.PROBES)}; or none.",
        values=(*common_flags.PROBES, "none"),
    )
    probe_every: int = common_flags.probe_every(
        40, "Training steps between two measurements."
    )
