"""Published numbers next to measured ones: rows of the kind "published"."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from experiments.harness.claims import INCONCLUSIVE, REFUTED, SUPPORTED
from experiments.harness.common_flags import VALIDATION
from experiments.harness.intervals import interval
from experiments.harness.runs import Run

KIND = "published"
TRAINING = (  # flags of `TrainingConfig` that change the numbers
    *("optimizer", "learning_rate", "clip_norm", "batch_size", "steps", "schedule"),
    *("warmup_steps", "accumulate", "average", "evaluate_every", "patience"),
)


class Published(NamedTuple):
    """A published number.

    Attributes:
        setting: The quantity and its setting, in words unique in an experiment.
        published: The number.
        source: Its source.
        tolerance: Largest deviation of the mean of a measurement that reproduces it;
            None if there is no such judgment.
        unit: Unit of the number; empty for none.
    """

    setting: str
    published: float
    source: str
    tolerance: float | None = None
    unit: str = ""


def as_default(config: Any, *names: str) -> bool:
    """Whether networks are trained as an experiment does by default.

    A number from another training, a shorter one for example, says nothing about a
    published one.

    Args:
        config: The flags, a `TrainingConfig`.
        names: Names of further flags on which the numbers depend.

    Returns:
        Whether the flags of the training, and those named, have their default values.

    Example:
        >>> from experiments.mnist1d import Config
        >>> as_default(Config(seeds=[7])), as_default(Config(steps=2))
        (True, False)
    """
    default = type(config)()
    return all(
        getattr(config, name) == getattr(default, name) for name in (*TRAINING, *names)
    )


def compare(
    number: Published,
    values: Float[np.ndarray, " seeds"] | Sequence[float],
    seconds: float | None = None,
) -> dict[str, Any]:
    """Compare a published number with those measured.

    Args:
        number: The published number.
        values: Measured numbers, one per seed.
        seconds: Duration of the measurement, if it is only a part of the run.

    Returns:
        Entries of a row: those of the number; the mean over seeds as `measured`, its 95
        % interval as `low` and `high`; `seeds`, their number; `deviation` of the mean;
        `within`, whether it is within the tolerance; and `seconds`.

    Example:
        >>> row = compare(Published("GRU", 91.0, "a paper", 2.0, "%"), [90.0, 92.5])
        >>> row["measured"], row["deviation"], row["within"]
        (91.25, 0.25, True)
    """
    mean, low, high = interval(values)
    deviation, tolerance = mean - number.published, number.tolerance
    return {
        **number._asdict(),
        "measured": mean,
        "low": low,
        "high": high,
        "seeds": len(values),
        "deviation": deviation,
        "within": None if tolerance is None else bool(abs(deviation) <= tolerance),
        "seconds": seconds,
    }


def outcome(row: Mapping[str, Any]) -> str:
    """Outcome of the claim that a published number is reproduced.

    Args:
        row: A row of `compare`, of a number with a tolerance.

    Returns:
        `SUPPORTED` if the mean is within the tolerance, `REFUTED` if the whole interval
        is outside, `INCONCLUSIVE` otherwise.

    Example:
        >>> number = Published("GRU", 91.0, "a paper", 2.0, "%")
        >>> values = [90.0, 93.0], [80.0, 96.0], [1.0, 2.0]
        >>> [outcome(compare(number, of_seeds)) for of_seeds in values]
        ['supported', 'inconclusive', 'refuted']
    """
    if row["within"]:
        return SUPPORTED
    least = row["published"] - row["tolerance"]
    most = row["published"] + row["tolerance"]
    outside = row["high"] < least or row["low"] > most
    return REFUTED if outside else INCONCLUSIVE


def log(
    results: Run,
    number: Published,
    values: Float[np.ndarray, " seeds"] | Sequence[float],
    seconds: float | None = None,
) -> None:
    """Log the comparison of a published number with those measured.

    Args:
        results: Run that gets a row of the kind "published", which
            `experiments.published` collects; none if it measures on a validation set.
        number: As in `compare`.
        values: As in `compare`.
        seconds: As in `compare`.
    """
    if results.metadata.get("config", {}).get("evaluate_on") != VALIDATION:
        results.log(kind=KIND, **compare(number, values, seconds))
