"""The flags."""

import dataclasses

from experiments.harness import cli, common_flags
from experiments.harness.common_flags import CELLS, OTHERS

LINEAR, MLP, CNN = FEED_FORWARD = "linear", "mlp", "cnn"
SAME_SHAPE = "elman", "lstm", "gru"  # with PyTorch's two biases and the GRU's units
ALL = "all"
IMAGES = "conv_gru", "conv_lstm"  # cells that read no vectors
POOLS = "none", "stride", "max", "mean", "l2"


@dataclasses.dataclass(frozen=True)
class Config(common_flags.TrainingConfig):
    """The flags."""

    models: list[str] = cli.flag(
        [*FEED_FORWARD, *SAME_SHAPE],
        f"Models: {', '.join(FEED_FORWARD)}; names in nets.CELLS, or {OTHERS}; all for "
        "every model and cell.",
        values=(*FEED_FORWARD, *CELLS, ALL),
        group="model",
    )
    pooling: bool = cli.flag(
        True,
        f"Also train a CNN with five kinds of pools ({', '.join(POOLS)}), on 1,000 "
        "sequences.",
        group="model",
    )
    seeds: list[int] = common_flags.seeds([0, 1, 2, 3])
    learning_rate: float = common_flags.learning_rate(1e-2)
    clip_norm: float = common_flags.clip_norm(0.0)
    batch_size: int = common_flags.batch_size(100, "Sequences per step.")
    steps: int = common_flags.steps(
        6001, "Training steps: the authors' loop of 6,000 steps takes one more."
    )
    probe_every: int = common_flags.probe_every(
        250, "Training steps between two measurements of the test accuracy."
    )
    recipe_steps: int = cli.flag(
        0,
        "Training steps of the authors' recipe in PyTorch that are timed for each "
        "model, one model after another, after equal parameters gave equal losses; -1 "
        "for the complete recipe, all steps of all seeds; 0 for none.",
        lower_bound=-1,
        upper_bound=common_flags.MOST_STEPS,
        group="measuring",
    )


def names(config: Config) -> list[str]:
    """Names of the models that the flags ask for.

    Args:
        config: The flags.

    Returns:
        Names without repetition.

    Example:
        >>> names(Config(models=["gru", "linear", "gru"]))
        ['gru', 'linear']
    """
    cells = [cell for cell in CELLS if cell not in (*SAME_SHAPE, *IMAGES)]
    every = [*FEED_FORWARD, *SAME_SHAPE, *cells]
    given = [every if name == ALL else [name] for name in config.models]
    return list(dict.fromkeys(name for some in given for name in some))
