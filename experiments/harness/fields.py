"""Fields of a `Config`: flags and positional arguments of a command."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.harness import usage


def flag(
    default: Any,
    help: str,
    *,
    group: usage.Group = "measuring",
    lower_bound: float | None = None,
    upper_bound: float | None = None,
    choices: Sequence[str] | None = None,
    values: Sequence[str] = (),
    path: bool = False,
    repeats: bool = False,
    extends: bool = False,
    only: Mapping[str, Sequence[str]] | None = None,
) -> Any:
    """A field of a `Config` that is a flag of the same name.

    Args:
        default: Its default: a bool, an int, a float, a string, or a list of these.
        help: One sentence.
        group: Heading under which `--help` shows it. The default is for a quantity
            that only this experiment varies or measures.
        lower_bound: The least number allowed, in a list too.
        upper_bound: The largest: above it a run would fill any memory, or never end.
        choices: The only strings allowed.
        values: Strings that shell completion offers; by default the choices, or the
            items of the default.
        path: True for the name of a file or folder, in which "~" is the home folder.
        repeats: True if a list may hold a value twice, as sizes of layers do.
        extends: True if the value may change when a run is resumed, even a complete
            one, to which that adds.
        only: Name of another flag, and its values with which this flag applies. With
            other values it is refused.

    Returns:
        A dataclass field.

    Example:
        >>> from experiments.harness import cli
        >>> @dataclasses.dataclass(frozen=True)
        ... class Config:
        ...     features: int = flag(64, "Hidden units.", lower_bound=1)
        >>> cli.parse(Config, ["--features=8"])
        (Config(features=8), None)
    """
    return dataclasses.field(
        default_factory=lambda: list(default) if isinstance(default, list) else default,
        metadata={
            "help": help,
            "group": group,
            "lower_bound": lower_bound,
            "upper_bound": upper_bound,
            "path": path,
            "choices": choices,
            "values": values
            or choices
            or (default if isinstance(default, list) else ()),
            "repeats": repeats,
            "extends": extends,
            "only": dict(only or {}),
        },
    )


def argument(help: str, *, many: bool = False, folder: bool = False) -> Any:
    """A field of a `Config` that is a positional argument, which must be given.

    Args:
        help: One sentence.
        many: True for a list of one or more; no argument can follow it.
        folder: True if shell completion offers folders only.

    Returns:
        A dataclass field.

    Example:
        >>> from experiments.harness import cli
        >>> @dataclasses.dataclass(frozen=True)
        ... class Config:
        ...     run: str = argument("Folder of a run.")
        ...     seed: int = flag(0, "Seed of the model.")
        >>> cli.parse(Config, ["results/a", "--seed=1"])
        (Config(run='results/a', seed=1), None)
    """
    return dataclasses.field(
        default_factory=list if many else str,
        metadata={"help": help, "argument": True, "many": many, "folder": folder},
    )
