"""Checks of the values of flags that absl does not make."""

import dataclasses
import math
import os
import typing
from typing import Any

from experiments.harness.process import UsageError

NAMES = {int: "integers", float: "numbers", str: "words"}
MOST_ITEMS = 1000  # of a list


def checked(field: dataclasses.Field, kind: Any, value: Any) -> Any:
    """A value as absl has parsed it, checked.

    Args:
        field: Made by `cli.flag`.
        kind: Its type.
        value: A value of it; of a list, texts.

    Returns:
        The value, the items of a list converted.

    Raises:
        UsageError: It is not allowed.
    """
    name = field.name
    if kind is float and not math.isfinite(value):
        raise UsageError(f"flag --{name}: expected a finite number; got {value}")
    if kind is str:
        return path(name, value) if field.metadata["path"] else _text(name, value)
    if typing.get_origin(kind) is not list:
        return _bounded(field, kind, value)
    (item,) = typing.get_args(kind)
    whole = ",".join(value)
    try:
        items = [item(text) for text in value]
    except ValueError:
        raise UsageError(
            f"flag --{name}: expected {NAMES[item]} separated by commas; got {whole!r}"
        ) from None
    if not items or "" in items:
        raise UsageError(
            f"flag --{name}: expected values separated by commas; got {whole!r}"
        )
    if len(items) > MOST_ITEMS:
        raise UsageError(
            f"flag --{name}: expected at most {MOST_ITEMS} values; got {len(items)}"
        )
    low = field.metadata["lower_bound"]
    for one in items:
        if item is float and not math.isfinite(one):
            raise UsageError(f"flag --{name}: expected finite numbers; got {one}")
        if low is not None and one < low:
            raise UsageError(
                f"flag --{name}: expected {NAMES[item]} of at least {low}; got {one}"
            )
        _text(name, one) if item is str else _bounded(field, item, one)
    twice = [item for item in items if items.count(item) > 1]
    if twice and not field.metadata["repeats"]:
        raise UsageError(f"flag --{name}: {twice[0]} stands there twice")
    return items


def _bounded(field: dataclasses.Field, kind: Any, value: Any) -> Any:
    """A number that is not above its bound."""
    high, low = field.metadata["upper_bound"], field.metadata["lower_bound"]
    if kind not in NAMES or high is None:
        return value
    if value > high:
        raise UsageError(
            f"flag --{field.name}: expected at most {number(high)}; got {value}"
        )
    if low is None and value < -high:  # of either sign
        raise UsageError(
            f"flag --{field.name}: expected at least {number(-high)}; got {value}"
        )
    return value


def number(bound: float) -> str:
    """A bound, in figures that can be read.

    Args:
        bound: An integer or not.

    Returns:
        Its text.

    Example:
        >>> number(10_000), number(0.5)
        ('10,000', '0.5')
    """
    return f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"


def _text(name: str, value: str) -> str:
    """A text that a file's name may be made of."""
    if "\0" in value:
        raise UsageError(f"flag --{name}: expected text without a NUL; got {value!r}")
    return value


def path(name: str, value: str) -> str:
    """A path in which "~" has become the home folder, which not every shell does.

    Args:
        name: Name of the flag.
        value: As it was given.

    Returns:
        The path.

    Raises:
        UsageError: There is no such home folder.
    """
    found = os.path.expanduser(_text(name, value))
    if found.startswith("~") and not os.path.lexists(found):
        raise UsageError(
            f"flag --{name}: there is no home folder for {found.split(os.sep)[0]!r}"
        )
    return found
