"""The flags."""

import dataclasses

from experiments.harness import cli, common_flags

STUDY, LAYERS, GPU, COST, PARALLEL = WHAT = (
    *("study", "layers", "gpu", "cost", "parallel"),
)
CELLS = "elman", "lstm", "gru"  # cells that PyTorch has
ALL_LAYERS = *CELLS, "bidirectional_lstm", "stacked_lstm", "min_gru"
PEERS = "linen", "nnx", "haiku", "equinox", "keras", "torch"
PROGRAMS = "forward", "train"
ROUNDS = {STUDY: 7, LAYERS: 5, GPU: 3, COST: 3, PARALLEL: 3}
SECONDS = {STUDY: 0.5, LAYERS: 0.1, GPU: 0.05, COST: 0.1, PARALLEL: 0.05}
MINUTES = {GPU: 8.0, PARALLEL: 5.0}
SIZES = {
    LAYERS: [
        *("32x100x128x128", "64x784x1x128", "128x50x256x512"),
        *("1x1000x64x64", "16x200x32x32", "64x100x64x256"),
    ],
    GPU: [
        *("64x256x128x256", "128x512x256x512", "64x784x1x128", "256x1024x512x1024"),
    ],
}
MOST = 2**20  # of each number of a size


def _only(*parts: str) -> dict[str, tuple[str, ...]]:
    """The parts of the experiment that a flag applies to."""
    return {"what": parts}


@dataclasses.dataclass(frozen=True)
class Config:
    """The flags."""

    what: str = cli.flag(
        STUDY,
        "Programs to time: steps of a study; layers next to other libraries; layers on "
        "a GPU; layers as the work grows; or layers in parallel over time.",
        choices=WHAT,
    )
    cells: list[str] = cli.flag(
        list(CELLS),
        "Cells to train, or to measure.",
        choices=CELLS,
        group="model",
        only=_only(STUDY, COST),
    )
    members: list[int] = cli.flag(
        [1, 3, 16, 64],
        "Numbers of models that are trained together.",
        lower_bound=1,
        upper_bound=4096,
        only=_only(STUDY),
    )
    layers: list[str] = cli.flag(
        [],
        "Layers to time; by default all, on a GPU those of one cell, in parallel gru "
        "and min_gru.",
        choices=ALL_LAYERS,
        group="model",
        only=_only(LAYERS, GPU, PARALLEL),
    )
    sizes: list[str] = cli.flag(
        [],
        "Sizes to time, each BATCHxTIMExINPUTSxFEATURES; by default six sizes "
        "(layers), four (gpu), or as many as the device has time for (parallel).",
        values=SIZES[LAYERS],
        group="data",
        only=_only(LAYERS, GPU, PARALLEL),
    )
    programs: list[str] = cli.flag(
        list(PROGRAMS),
        "The forward pass alone; a train step: forward, and the gradients by "
        "parameters and inputs.",
        choices=PROGRAMS,
        only=_only(LAYERS, GPU, PARALLEL),
    )
    peers: list[str] = cli.flag(
        list(PEERS),
        "Other libraries that are timed.",
        choices=PEERS,
        only=_only(LAYERS, GPU),
    )
    features: int = common_flags.features(64, only=_only(STUDY, COST))
    batch_size: int = common_flags.batch_size(
        64, "Sequences per step.", only=_only(STUDY, COST)
    )
    time: int = cli.flag(
        64,
        "Steps of a sequence.",
        lower_bound=1,
        upper_bound=1_000_000,
        group="data",
        only=_only(STUDY, COST),
    )
    most_steps: int = cli.flag(
        65_536,
        "Steps of the longest sequence that is scanned in parallel.",
        lower_bound=100,
        upper_bound=MOST,
        group="data",
        only=_only(GPU, COST),
    )
    rounds: int = cli.flag(
        0,
        "Rounds in which every contender is timed; 0 for 7 (study), 5 (layers) or 3.",
        lower_bound=0,
        upper_bound=1000,
    )
    seconds: float = cli.flag(
        0.0,
        "Time for which a contender runs in each round; 0 for 0.5 (study), 0.05 (gpu, "
        "parallel) or 0.1.",
        lower_bound=0.0,
        upper_bound=3600.0,
    )
    minutes: float = cli.flag(
        -1.0,
        "Minutes after which no further program is started; -1 for 8 (gpu) or 5 "
        "(parallel).",
        lower_bound=-1.0,
        upper_bound=10_000.0,
        only=_only(GPU, PARALLEL),
    )
    overhead_steps: int = cli.flag(
        400,
        "Steps of the trainings with and without checkpoints and logging that are "
        "compared; 0 for none.",
        lower_bound=0,
        upper_bound=common_flags.MOST_STEPS,
        only=_only(STUDY),
    )


def complete(config: Config) -> Config:
    """The flags, with the defaults that depend on `--what`.

    Args:
        config: The flags.

    Returns:
        The flags, whose rounds, seconds, minutes, sizes and layers are set.

    Raises:
        UsageError: A size is not four numbers.
    """
    for size in config.sizes:
        parse(size)
    some = {GPU: [*CELLS, "min_gru"], PARALLEL: ["gru", "min_gru"]}
    layers = some.get(config.what, ALL_LAYERS)
    minutes = MINUTES.get(config.what, 0.0) if config.minutes < 0 else config.minutes
    return dataclasses.replace(
        config,
        rounds=config.rounds or ROUNDS[config.what],
        seconds=config.seconds or SECONDS[config.what],
        minutes=minutes,
        sizes=config.sizes or SIZES.get(config.what, []),
        layers=config.layers or list(layers),
    )


def parse(size: str) -> tuple[int, int, int, int]:
    """The numbers of a size.

    Args:
        size: BATCHxTIMExINPUTSxFEATURES.

    Returns:
        Four positive integers.

    Raises:
        UsageError: The text is not a size.

    Example:
        >>> parse("32x100x128x64")
        (32, 100, 128, 64)
    """
    words = size.split("x")
    if len(words) == 4 and all(w.isascii() and w.isdecimal() for w in words):
        batch, time, inputs, features = map(int, words)
        if all(1 <= number <= MOST for number in (batch, time, inputs, features)):
            return batch, time, inputs, features
    raise cli.UsageError(
        "flag --sizes: expected BATCHxTIMExINPUTSxFEATURES, positive integers such as "
        f"32x100x128x128; got {size!r}"
    )
