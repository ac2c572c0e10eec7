"""The flags."""

import dataclasses

from experiments.harness import cli, common_flags, data_flags

INITS = "orthogonal", "lecun", "he", "torch"


@dataclasses.dataclass(frozen=True)
class Config(data_flags.SequencesConfig):
    """The flags."""

    depth: int = cli.flag(
        0,
        "Number of layers or steps, at least 2; each step reads 64 / depth pixels. 0 "
        "for 64; of --data, for the number of its steps.",
        lower_bound=0,
        group="model",
    )
    widths: list[int] = cli.flag(
        [32, 128],
        "Units of a layer, or of the state.",
        lower_bound=1,
        upper_bound=16_384,
        group="model",
    )
    inits: list[str] = cli.flag(
        list(INITS),
        f"Initializers of the matrices: {', '.join(INITS)}.",
        group="model",
    )
    trained_width: int = cli.flag(
        32,
        "Width of the nets that are trained, one of --widths.",
        lower_bound=1,
        group="training",
    )
    trained_inits: list[str] = cli.flag(
        ["orthogonal", "he", "torch"],
        "Initializers of the nets that are trained, among --inits; or none.",
        values=(*INITS, "none"),
        group="training",
    )
    seeds: list[int] = common_flags.seeds([0, 1, 2, 3, 4])
    learning_rate: float = common_flags.learning_rate(
        3e-3, "Step size for recurrent nets."
    )
    feed_forward_rate: float = common_flags.learning_rate(
        3e-4, "Step size for feed-forward nets; deep ones need a smaller step size."
    )
    steps: int = common_flags.steps(280, "Training steps (14 are an epoch).")
