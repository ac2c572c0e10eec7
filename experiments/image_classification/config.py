"""The flags."""

import dataclasses

from experiments.harness import cli, common_flags, data_flags
from experiments.image_classification.references import (
    AUTO,
    MODELS,
    REFERENCES,
    by_data,
)

TOGETHER = (
    "learning_rate",
)  # networks that differ in nothing else train as one program


@dataclasses.dataclass(frozen=True)
class Config(data_flags.ImagesConfig):
    """The flags."""

    data: str = cli.flag(
        AUTO,
        f"{', '.join(REFERENCES)}; auto is idx if --data_dir is given, otherwise "
        f"digits. Or: {data_flags.OWN_IMAGES}",
        path=True,
        group="data",
    )
    data_dir: str = cli.flag(
        "",
        "Folder of IDX files, plain or gzipped, such as MNIST or Fashion-MNIST.",
        path=True,
        group="data",
    )
    model: str = cli.flag(
        AUTO,
        "Network; auto is the reference's: cnn, for mnist1d cnn_1d.",
        choices=(AUTO, *MODELS),
        group="model",
    )
    filters: list[int] = cli.flag(
        [0],
        "Filters of each convolution; " + by_data("filters"),
        repeats=True,
        upper_bound=4096,
        group="model",
    )
    kernel_size: int = cli.flag(
        0,
        "Kernel size along each axis; " + by_data("kernel_size"),
        lower_bound=0,
        upper_bound=1000,
        group="model",
    )
    padding: str = cli.flag(
        AUTO,
        "Padding of a cnn; auto is the reference's: same, for idx valid.",
        choices=(AUTO, "same", "valid"),
        group="model",
    )
    pool: str = cli.flag(
        AUTO,
        "Pooling after each convolution of a cnn; auto is max.",
        choices=(AUTO, "max", "mean", "lp", "none"),
        group="model",
    )
    hidden: list[int] = cli.flag(
        [0],
        "Units of the dense layers before the last; 0 for the defaults: 100,100 in a "
        "feed_forward, none in a cnn, 128 in a cnn for idx.",
        repeats=True,
        upper_bound=16_384,
        group="model",
    )
    init: str = cli.flag(
        AUTO,
        "Initializer of the kernels, by library or paper; auto is linen, in a cnn_1d "
        "torch.",
        choices=(AUTO, "linen", "he", "keras", "torch"),
        group="model",
    )
    learning_rate: float = common_flags.learning_rate(
        0.0, "Learning rate; " + by_data("learning_rate")
    )
    schedule: str = common_flags.schedule(
        "auto is the reference's: constant, for idx cosine."
    )
    seeds: list[int] = common_flags.seeds([0, 1, 2, 3, 4])
    clip_norm: float = common_flags.clip_norm(0.0)
    batch_size: int = cli.flag(
        0,
        "Images per step; " + by_data("batch_size"),
        lower_bound=0,
        upper_bound=1_000_000,
        group="training",
    )
    epochs: int = cli.flag(
        0,
        "Epochs; " + by_data("epochs"),
        lower_bound=0,
        upper_bound=1_000_000,
        group="training",
    )
    steps: int = cli.flag(
        0,
        "Training steps; 0 for the number that --epochs gives.",
        lower_bound=0,
        upper_bound=10_000_000,
        group="training",
    )
    describe: bool = cli.flag(
        False, "Print the layers of the network, without training.", group="output"
    )

    def built_in(self) -> tuple[str, ...]:
        """Names of built-in data."""
        return AUTO, *REFERENCES
