"""Flags of the user's data: base classes of the `Config` of an experiment.

The classes import no JAX, as `experiments.harness.common_flags`.
"""

import dataclasses
from typing import Any

from experiments.harness import cli, common_flags

# Names of `train.data`, written here because help is printed without importing JAX.
SEQUENCES, IMAGES = "sequences", "images"
CLASSIFY, REGRESS = TASKS = "classify", "regress"
LABEL = "label"

OWN_SEQUENCES = (
    "Your own sequences: FILE.npz (x [examples, time, features], y; optional lengths, "
    "x_test, y_test, lengths_test); FILE.ts of the UCR and UEA archives; FILE.csv or "
    ".tsv, long (columns example, time, features, label; one row per step) or wide "
    "(one example per row); or a folder with NAME_TRAIN.ts and NAME_TEST.ts."
)
OWN_IMAGES = (
    "Your own images: FILE.npz (x [examples, height, width] or [examples, height, "
    "width, channels], y; optional x_test, y_test), or a folder with one folder of "
    "images per class, in train/ and test/ or without these."
)


def task() -> Any:
    """Flag of the task, for experiments that also predict real targets."""
    return cli.flag(
        CLASSIFY,
        "Task on --data: classes, or real targets (squared error; R2 and RMSE in place "
        "of accuracy).",
        choices=TASKS,
        group="data",
    )


@dataclasses.dataclass(frozen=True)
class OwnDataConfig(common_flags.TrainingConfig):
    """Flags of the user's sequences and images."""

    test_fraction: float = cli.flag(
        0.2,
        "Share of --data to test on, of each class, if the data have no test part.",
        lower_bound=0.001,
        upper_bound=0.999,
        group="data",
    )
    split_seed: int = cli.flag(
        0,
        "Seed of the split of --data into a training and a test part.",
        lower_bound=0,
        upper_bound=2**32 - 1,
        group="data",
    )
    standardize: bool = cli.flag(
        False,
        "Give each feature of --data mean 0 and standard deviation 1, by the training "
        "part (and real targets).",
        group="data",
    )

    def built_in(self) -> tuple[str, ...]:
        """Names of built-in data that `--data` takes."""
        return ()

    def own(self) -> str:
        """The file or folder of the user's own data; "" for built-in data."""
        name = getattr(self, "data", "")
        return "" if name in self.built_in() else name


@dataclasses.dataclass(frozen=True)
class SequencesConfig(OwnDataConfig):
    """Flags of an experiment on sequences."""

    data: str = cli.flag(
        "",
        OWN_SEQUENCES + " By default, handwritten digits.",
        path=True,
        group="data",
    )
    label: str = cli.flag(
        LABEL,
        "Column of the label in a .csv or .tsv file: its name; or first, or last, of a "
        "file without header.",
        group="data",
    )

    def kind(self) -> str:
        """The kind of the data."""
        return SEQUENCES


@dataclasses.dataclass(frozen=True)
class ImagesConfig(OwnDataConfig):
    """Flags of an experiment on images."""

    image_size: int = cli.flag(
        0,
        "Height and width to which the images of a folder are resized; 0 to keep their "
        "size.",
        lower_bound=0,
        upper_bound=4096,
        group="data",
    )

    def kind(self) -> str:
        """The kind of the data."""
        return IMAGES
