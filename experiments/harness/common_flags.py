"""Flags that many experiments have, with the same bounds in each.

Each function returns a field of a `Config`, as `cli.flag` does.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from experiments.harness import cli, process

SEEDS = (
    "Seeds, each a separate model and order of the data. The progress bar of training "
    "shows means over the seeds."
)
MOST_STEPS = 10_000_000  # all are laid out beforehand
TEST, VALIDATION = "test", "validation"

# Names that flags take, written here because help and completion do not import JAX:
# keys of `train.OPTIMIZERS`, `probes.PROBES` and `nets.initializers.INITIALIZERS`,
# values of `train.SCHEDULES`, `train.fit.ON_NONFINITE` and `train.data.digits.ORDERS`,
# and the cells, which are one per file.
OPTIMIZERS = "adam", "adamw", "lion", "rmsprop", "sgd"
PROBES = "state_gradients", "gates", "lyapunov"
ORDERS = "pixels", "rows"
AUTO = "auto"
SCHEDULES = AUTO, "constant", "cosine", "linear"
ON_NONFINITE = "stop", "skip", "drop_member"
INITIALIZERS = (
    *("orthogonal", "linen", "nnx", "keras", "torch", "haiku", "equinox", "irnn"),
    "chrono",
)
CELLS = sorted(
    path.stem for path in process.ROOT.joinpath("nets", "cells").glob("[a-z]*.py")
)
OTHERS = "MODULE:NAME of your own or of a library, e.g. flax.linen:GRUCell"
_INITS = f"{', '.join(INITIALIZERS)}, chrono(STEPS); own for each cell's default."


def cells(default: list[str], help: str = "Cells to compare") -> Any:
    """Names of cells, as in `cells.named`."""
    help = f"{help}: names in nets.CELLS, or {OTHERS}."
    return cli.flag(default, help, values=CELLS, group="model")


def cell(default: str, help: str = "Cell") -> Any:
    """Name of a cell, as in `cells.named`."""
    help = f"{help}: a name in nets.CELLS, or {OTHERS}."
    return cli.flag(default, help, values=CELLS, group="model")


def init(default: str) -> Any:
    """Name of an initializer, as in `cells.initializer`."""
    help = f"Initializer: {_INITS}"
    return cli.flag(default, help, values=(*INITIALIZERS, "own"), group="model")


def inits(default: list[str]) -> Any:
    """Names of initializers, as in `cells.initializer`."""
    help = f"Initializers: {_INITS}"
    return cli.flag(default, help, values=(*INITIALIZERS, "own"), group="model")


def seeds(default: list[int], help: str = SEEDS) -> Any:
    """Seeds that `jax.random.key` distinguishes."""
    return cli.flag(default, help, upper_bound=2**32 - 1, group="model")


def check_seeds(seeds: Sequence[int]) -> None:
    """Raise a UsageError if a seed is out of range."""
    if not all(0 <= seed < 2**32 for seed in seeds):
        raise cli.UsageError(
            f"flag --seeds: expected integers from 0 to 2^32 - 1; got {seeds}"
        )


def features(
    default: int, help: str = "Hidden units.", least: int = 1, **options: Any
) -> Any:
    """Number of hidden units."""
    options |= {"lower_bound": least, "upper_bound": 16_384, "group": "model"}
    return cli.flag(default, help, **options)


def learning_rate(default: float, help: str = "Step size of the optimizer.") -> Any:
    """Step size of the optimizer."""
    return cli.flag(default, help, lower_bound=0.0, upper_bound=1e30, group="training")


def clip_norm(default: float) -> Any:
    """Largest norm of the gradient."""
    return cli.flag(
        default,
        "Largest norm of the gradient, 0 to clip nothing.",
        lower_bound=0.0,
        upper_bound=1e30,
        group="training",
    )


def batch_size(default: int, help: str = "Examples per step.", **options: Any) -> Any:
    """Number of examples in each training step."""
    options |= {"lower_bound": 1, "upper_bound": 1_000_000, "group": "training"}
    return cli.flag(default, help, **options)


def steps(default: int, help: str = "Training steps.") -> Any:
    """Number of training steps."""
    return cli.flag(
        default, help, lower_bound=1, upper_bound=MOST_STEPS, group="training"
    )


def schedule(help: str = "auto is the experiment's schedule.") -> Any:
    """Name of the schedule of the learning rate."""
    return cli.flag(
        AUTO,
        f"Schedule of the learning rate: constant, or decay to 0 by cosine or linear; "
        f"{help}",
        choices=SCHEDULES,
        group="training",
    )


def probe_every(default: int, help: str) -> Any:
    """Number of training steps between two measurements."""
    return cli.flag(
        default, help, lower_bound=1, upper_bound=MOST_STEPS, group="measuring"
    )


def tensorboard() -> Any:
    """Whether event files are written."""
    return cli.flag(
        False,
        "Write event files for TensorBoard, into the folder tensorboard of the results:"
        " per model the loss, the norm of the gradient, the learning rate, all "
        "measurements, and the gradient's norm over time as an image at each probe.",
        group="output",
    )


def save_every() -> Any:
    """Number of training steps between two saves."""
    return cli.flag(
        0,
        "Training steps between two saves of the parameters; 0 saves only the last.",
        lower_bound=0,
        upper_bound=MOST_STEPS,
        group="output",
    )


def checkpoint_every() -> Any:
    """Number of training steps between two checkpoints."""
    return cli.flag(
        0,
        "Least number of training steps between two checkpoints, from which --resume "
        "continues; 0 for a checkpoint every 30 seconds.",
        lower_bound=0,
        upper_bound=MOST_STEPS,
        group="output",
    )


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """Flags of every experiment that trains, a base class of its `Config`."""

    seeds: list[int] = seeds([0, 1, 2])
    optimizer: str = cli.flag(
        "adam", "From optax.", choices=OPTIMIZERS, group="training"
    )
    learning_rate: float = learning_rate(3e-3)
    clip_norm: float = clip_norm(1.0)
    batch_size: int = batch_size(64)
    steps: int = steps(840)
    schedule: str = schedule()
    warmup_steps: int = cli.flag(
        0,
        "Steps in which the learning rate rises from 0, with --schedule.",
        lower_bound=0,
        upper_bound=MOST_STEPS,
        group="training",
    )
    accumulate: int = cli.flag(
        1,
        "Steps whose gradients are averaged for one update.",
        lower_bound=1,
        upper_bound=MOST_STEPS,
        group="training",
    )
    average: float = cli.flag(
        0.0,
        "Decay of an exponential moving average of the parameters, which is measured "
        "in place of the last, below 1, e.g. 0.999; 0 for none.",
        lower_bound=0.0,
        upper_bound=1.0,
        group="training",
    )
    evaluate_every: int = cli.flag(
        0,
        "Training steps between two evaluations of the loss on the last fifth of the "
        "training set, which is then not trained on. The parameters with the smallest "
        "loss are measured. 0 for none.",
        lower_bound=0,
        upper_bound=MOST_STEPS,
        group="training",
    )
    patience: int = cli.flag(
        0,
        "Evaluations without a smaller loss after which a model stops to train, with "
        "--evaluate_every; 0 to train to the end.",
        lower_bound=0,
        upper_bound=MOST_STEPS,
        group="training",
    )
    on_nonfinite: str = cli.flag(
        "stop",
        "If a loss or a gradient is not finite: stop the run, skip the step, or "
        "drop_member, which trains the other models further.",
        choices=ON_NONFINITE,
        group="training",
    )
    save_every: int = save_every()
    checkpoint_every: int = checkpoint_every()
    evaluate_on: str = cli.flag(
        TEST,
        "Set that held-out numbers are measured on: the test set, or a validation set "
        "cut off the training set, to choose flags by.",
        choices=(TEST, VALIDATION),
    )
    tensorboard: bool = tensorboard()
