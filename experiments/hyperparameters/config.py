"""The flags."""

import dataclasses

from experiments.harness import cli, process

AUTO = "auto"


@dataclasses.dataclass(frozen=True)
class Config:
    """The flags."""

    experiment: str = cli.flag(
        "image_classification",
        "Name of an experiment, or package.module.",
        values=tuple(process.experiments()),
    )
    grid: str = cli.flag(
        "learning_rate=3e-4,1e-3,3e-3,1e-2;filters=8|8,16|16,32",
        'Flags and their values, "NAME=VALUE,VALUE;NAME=VALUE|VALUE"; values separated '
        "by | may be lists.",
    )
    set: str = cli.flag(
        "steps=140;seeds=0,1,2",
        'Values of other flags of the experiment, "NAME=VALUE;..."; defaults for flags '
        "that it does not have are ignored.",
    )
    metric: str = cli.flag(
        AUTO,
        "Metric to select by, which the experiment logs; auto is the test accuracy, or "
        "the main metric of an experiment without one.",
    )
    objective: str = cli.flag(
        "max",
        "Whether to maximize or minimize the metric that --metric names; not used with "
        "auto.",
        choices=("max", "min"),
    )
    where: str = cli.flag(
        "",
        'Rows of the log that count, "NAME=VALUE;...", such as "cell=lstm"; by default '
        "all. Several rows per seed are averaged.",
    )
