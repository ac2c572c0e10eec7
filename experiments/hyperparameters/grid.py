"""Combinations of the values of an experiment's flags, and their scores."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.harness import cli


class Trial(NamedTuple):
    """One combination.

    Attributes:
        number: Index of the combination.
        values: Values of the flags in the grid, as text.
        given: Values of all flags that are given; flags of `--set` come first.
        config: `Config` of the experiment.
    """

    number: int
    values: dict[str, str]
    given: dict[str, str]
    config: Any

    @property
    def name(self) -> str:
        """Name, such as "learning_rate=0.001 filters=8,16"."""
        return " ".join(f"{name}={value}" for name, value in self.values.items())


def combinations(config_class: type, grid: str, fixed: str) -> list[Trial]:
    """Every combination of the grid's values, as a `Config` of the experiment.

    Args:
        config_class: Class of the experiment's flags.
        grid: Grid, in the format of the flag `--grid`.
        fixed: Values of other flags, in the format of `--set`.

    Returns:
        One trial per combination; the values of the last flag vary fastest.

    Raises:
        cli.UsageError: A flag does not exist, is given twice, or has an invalid value.
    """
    known = [field.name for field in dataclasses.fields(config_class)]
    axes = pairs("grid", grid, known)
    settings = pairs("set", fixed, known) if fixed else {}
    both = set(axes) & set(settings)
    if both:
        raise cli.UsageError(f"flag --set: {sorted(both)[0]} is in the grid")
    chosen = {name: alternatives(name, text) for name, text in axes.items()}
    trials = []
    for values in itertools.product(*chosen.values()):
        named = dict(zip(chosen, values, strict=True))
        given = {**settings, **named}
        flags = [f"--{name}={value}" for name, value in given.items()]
        config, _ = cli.parse(config_class, flags)
        trials.append(Trial(len(trials), named, given, config))
    return trials


def pairs(flag: str, text: str, known: Sequence[str]) -> dict[str, str]:
    """Parse a text of the form NAME=VALUE;NAME=VALUE.

    Args:
        flag: Name of the flag, for error messages.
        text: Text to parse.
        known: Known names.

    Returns:
        Values by name.

    Raises:
        cli.UsageError: The text has another form, or a name is unknown or given twice.

    Example:
        >>> pairs("grid", "rate=0.1,0.2; features=8", known=["rate", "features"])
        {'rate': '0.1,0.2', 'features': '8'}
    """
    values = {}
    for part in text.split(";"):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not (name and equals and value):
            raise cli.UsageError(
                f"flag --{flag}: expected NAME=VALUE;NAME=VALUE; got {part.strip()!r}"
            )
        if name not in known:
            raise cli.UsageError(
                f"flag --{flag}: the experiment has no flag {name!r}; expected one of "
                f"{', '.join(known)}"
            )
        if name in values:
            raise cli.UsageError(f"flag --{flag}: {name} is given twice")
        values[name] = value
    return values


def alternatives(name: str, text: str) -> list[str]:
    """The values of one flag, separated by bars if there are any, else by commas.

    Args:
        name: Name of the flag.
        text: Values of the flag.

    Returns:
        Values, at least one.

    Raises:
        cli.UsageError: A value is empty or given twice.

    Example:
        >>> alternatives("filters", "8|8,16"), alternatives("steps", "10,20")
        (['8', '8,16'], ['10', '20'])
    """
    values = [value.strip() for value in text.split("|" if "|" in text else ",")]
    if "" in values or len(set(values)) < len(values):
        raise cli.UsageError(
            f"flag --grid: expected different values of {name}; got {text!r}"
        )
    return values


class GridResult(NamedTuple):
    """Results of a grid search.

    Attributes:
        values: Values of the flags, one dictionary per combination.
        scores: Scores of each combination, [seeds]; nan where training diverged.
        best: Index of the best combination; None if all diverged.
        objective: "max" or "min": whether the largest or the smallest score is best.
        metric: Name of the scores, by which the best is selected.
        reported: Name of the metric that is reported for the best, if it is measured on
            other data.
        test: Values of this metric for the best, [seeds].
    """

    values: Sequence[dict[str, str]]
    scores: Sequence[np.ndarray]
    best: int | None
    objective: str
    metric: str
    reported: str | None = None
    test: np.ndarray | None = None
