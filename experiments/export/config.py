"""The arguments and flags."""

import dataclasses

from experiments.harness import cli, common_flags

FORMATS = "safetensors", "torch_names", "keras"
FIRST = -1  # the first seed of the run


@dataclasses.dataclass(frozen=True)
class Config:
    """The flags."""

    run: str = cli.argument("Folder of a complete run.", folder=True)
    file: str = cli.argument("File to write.")
    to: str = cli.flag("safetensors", "Format of the file.", choices=FORMATS)
    cell: str = cli.flag(
        "", "Name of the network, such as lstm; not needed if the run has only one."
    )
    seed: int = cli.flag(
        FIRST,
        "Seed of the network; -1 for the first.",
        lower_bound=FIRST,
        upper_bound=2**32 - 1,
    )
    step: int = cli.flag(
        0,
        "Training step of the parameters, if the run kept several; 0 for the last.",
        lower_bound=0,
        upper_bound=common_flags.MOST_STEPS,
    )
