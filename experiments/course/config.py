"""The flags."""

import dataclasses

from experiments.course.lessons import ALL
from experiments.harness import cli


@dataclasses.dataclass(frozen=True)
class Config:
    """The flags."""

    lessons: list[str] = cli.flag(
        [lesson.experiment for lesson in ALL],
        "Experiments to run, in this order; more of them may be added with --resume.",
        extends=True,
    )
    data_dir: str = cli.flag(
        "",
        "A folder with JSB_Chorales.mat; without it there is no lesson on music, which "
        "may be added with --resume.",
        extends=True,
        path=True,
        group="data",
    )
    flags: str = cli.flag(
        "", 'Flags for all of them, such as "--seeds=0 --steps=10", for a trial.'
    )
