"""The flags."""

import dataclasses

from experiments.harness import cli, common_flags


@dataclasses.dataclass(frozen=True)
class Config(common_flags.TrainingConfig):
    """The flags."""

    remedies: list[str] = cli.flag(
        ["clip", "pascanu", "flossing", "h_detach", "identity", "orthogonal", "chrono"],
        "Remedies: clip, pascanu, flossing, h_detach, identity, orthogonal, chrono.",
        group="training",
    )
    features: int = common_flags.features(32)
    length: int = cli.flag(
        50, "Steps of a sequence.", lower_bound=3, upper_bound=100_000, group="data"
    )
    examples: int = cli.flag(
        4096,
        "Number of training sequences.",
        lower_bound=1,
        upper_bound=1_000_000,
        group="data",
    )
    steps: int = common_flags.steps(250)
    clip_norm: float = cli.flag(
        0.3,
        "Largest norm of the gradient after `clip`.",
        lower_bound=1e-6,
        upper_bound=1e30,
        group="training",
    )
    pascanu_weight: float = cli.flag(
        0.01,
        "Weight of the penalty Omega in the loss.",
        lower_bound=0.0,
        upper_bound=1e12,
        group="training",
    )
    flossing_weight: float = cli.flag(
        1.0,
        "Weight of the squared exponents in the loss.",
        lower_bound=0.0,
        upper_bound=1e12,
        group="training",
    )
    exponents: int = cli.flag(
        4,
        "Number of exponents that flossing penalizes.",
        lower_bound=1,
        group="training",
    )
    detach_rate: float = cli.flag(
        0.5,
        "Probability that h-detach stops the gradient at a step.",
        lower_bound=0.0,
        group="training",
    )
