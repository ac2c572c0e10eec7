"""The flags."""

import dataclasses

from experiments.harness import cli, common_flags

ATTACHED, TPU = PLATFORMS = "attached", "tpu"
DEFAULT_TOPOLOGY = "v5e:2x2"
CHIPS = ["1x1", "2x1", "1x2"]
MOST_TIME = 2**24  # steps of a sequence


@dataclasses.dataclass(frozen=True)
class Config:
    """The flags."""

    cells: list[str] = common_flags.cells(["lstm"], "Cells to train")
    features: list[int] = cli.flag(
        [64, 256], "Hidden units.", lower_bound=1, upper_bound=65_536, group="model"
    )
    inputs: int = cli.flag(
        1, "Features of the input.", lower_bound=1, upper_bound=65_536, group="data"
    )
    classes: int = cli.flag(
        10, "Classes of the sequences.", lower_bound=2, upper_bound=65_536, group="data"
    )
    time: list[int] = cli.flag(
        [256, 1024],
        "Steps of the sequences.",
        lower_bound=1,
        upper_bound=MOST_TIME,
        group="data",
    )
    examples: int = cli.flag(
        1000,
        "Training examples, all of which lie on the chips.",
        lower_bound=1,
        upper_bound=2**24,
        group="data",
    )
    batch_size: list[int] = cli.flag(
        [64], "Examples per step.", lower_bound=1, upper_bound=2**24, group="training"
    )
    members: int = cli.flag(
        4,
        "Models (seeds and settings) that train in one program.",
        lower_bound=1,
        upper_bound=1_000_000,
        group="training",
    )
    chips: list[str] = cli.flag(
        [],
        "Chips, as STUDYxDATA: members are divided over STUDY chips, the examples of a "
        f"step over DATA chips. By default {', '.join(CHIPS)}, as far as there are "
        "chips.",
        values=CHIPS,
        group="training",
    )
    platform: str = cli.flag(
        ATTACHED,
        "Platform to compile for: that of the attached devices, or TPU, without one "
        "(pip install libtpu).",
        choices=PLATFORMS,
    )
    topology: str = cli.flag(
        "",
        f"Topology with --platform=tpu, e.g. v6e:4x4; by default {DEFAULT_TOPOLOGY}.",
        values=(DEFAULT_TOPOLOGY, "v5e:4x4", "v6e:2x2", "v5p:2x2x1", "v4:2x2x1"),
    )
