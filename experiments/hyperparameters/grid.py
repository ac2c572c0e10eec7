"""Every combination of the values of an experiment's flags."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

from experiments.harness import cli


class Trial(NamedTuple):
    """One combination.

    Attributes:
        number: Place among all.
        values: Values of the flags of the grid, as written.
        given: Values of all flags that are given, those of `--set` first.
        config: `Config` of the experiment.
    """

    number: int
    values: dict[str, str]
    given: dict[str, str]
    config: Any

    @property
    def name(self) -> str:
        """Such as "learning_rate=0.001 filters=8,16"."""
        return " ".join(f"{name}={value}" for name, value in self.values.items())


def combinations(config_class: type, grid: str, fixed: str) -> list[Trial]:
    """Every combination of the grid's values, as a `Config` of the experiment.

    Args:
        config_class: Of the experiment.
        grid: As in the flag.
        fixed: As in the flag `--set`.

    Returns:
        A trial a combination; the last flag's values vary fastest.

    Raises:
        cli.UsageError: A flag does not exist, is given twice, or has a value
            that it does not take.
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
    """What a text of NAME=VALUE;NAME=VALUE says.

    Args:
        flag: Where it stands, for the error.
        text: The text.
        known: The names that there are.

    Returns:
        The value of each name.

    Raises:
        cli.UsageError: It is no such text, or a name is unknown or there twice.

    Example:
        >>> pairs("grid", "rate=0.1,0.2; features=8", known=["rate", "features"])
        {'rate': '0.1,0.2', 'features': '8'}
    """
    found = {}
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
        if name in found:
            raise cli.UsageError(f"flag --{flag}: {name} is given twice")
        found[name] = value
    return found


def alternatives(name: str, text: str) -> list[str]:
    """The values of one flag: between bars if there are any, else between commas.

    Args:
        name: Of the flag.
        text: Its values.

    Returns:
        At least one.

    Raises:
        cli.UsageError: One is empty, or there twice.

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
