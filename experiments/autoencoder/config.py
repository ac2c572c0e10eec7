"""The flags."""

import dataclasses

from experiments.harness import cli, common_flags, data_flags


@dataclasses.dataclass(frozen=True)
class Config(data_flags.ImagesConfig):
    """The flags."""

    data: str = cli.flag(
        "",
        f"{data_flags.OWN_IMAGES} By default, handwritten digits.",
        path=True,
        group="data",
    )
    latent: list[int] = cli.flag(
        [8, 16], "Sizes of z to compare.", upper_bound=4096, group="model"
    )
    upsample: list[str] = cli.flag(
        ["nearest"],
        "Upsampling of the decoder, to compare; some of nearest, linear, transposed, "
        "unpool.",
        values=("nearest", "linear", "transposed", "unpool"),
        group="model",
    )
    filters: list[int] = cli.flag(
        [16, 32],
        "Filters of each block of the encoder; each block halves both sides.",
        repeats=True,
        upper_bound=4096,
        group="model",
    )
    kernel_size: int = cli.flag(
        3, "Width of every kernel.", lower_bound=1, group="model"
    )
    steps: int = common_flags.steps(2000, "Training steps (14 per epoch).")
    describe: bool = cli.flag(
        False, "Print the layers, without training.", group="output"
    )
