"""Positional arguments of a command: fields made by `cli.argument`."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from experiments.harness.parsers import check_text
from experiments.harness.process import UsageError


def is_argument(field: dataclasses.Field) -> bool:
    """True for a positional argument, False for a flag."""
    return "argument" in field.metadata


def assign(config_class: type, words: Sequence[str]) -> dict[str, Any]:
    """Assign the words that are not flags to the positional arguments.

    Args:
        config_class: A `Config`.
        words: Words of the command line.

    Returns:
        Values, from the names of the fields.

    Raises:
        UsageError: There are too few or too many words.
    """
    fields = [f for f in dataclasses.fields(config_class) if is_argument(f)]
    rest, given = list(words), {}
    for field in fields:
        name, many = placeholder(field), field.metadata["many"]
        count = len(rest) if many else 1
        taken, rest = rest[:count], rest[count:]
        if not taken or "" in taken:
            what = field.metadata["help"].partition(". ")[0].rstrip(".")
            raise UsageError(f"expected {name} ({what}); got none")
        for value in taken:
            check_text(name, value)
        given[field.name] = taken if many else taken[0]
    if rest:
        names = " ".join(map(placeholder, fields))
        only = f"only {names} and flags" if fields else "flags only"
        raise UsageError(f"expected {only}, --name=value; got {rest[0]!r}")
    return given


def placeholder(field: dataclasses.Field) -> str:
    """A positional argument in a usage line, such as "RUN" or "RUNS..."."""
    return field.name.upper() + ("..." if field.metadata["many"] else "")
