"""Parsers of flags: those of absl, with the bounds of a field and plain messages.

A `ValueError` becomes absl's "flag --NAME=VALUE: ..."; where VALUE may be long, as in a
list, the parser raises a separate `UsageError`.
"""

import dataclasses
import math
import os
import re
import typing
from typing import Any

from absl import flags

from experiments.harness.process import UsageError, nearest

NAMES = {int: "integers", float: "numbers", str: "words"}
MOST_ITEMS = 1000  # of a list
RANGE = re.compile(r"(-?\d+):(-?\d+)", re.ASCII)


def define(
    values: flags.FlagValues, field: dataclasses.Field, kind: Any, default: Any
) -> None:
    """Define the flag of one field.

    Args:
        values: Flags that gain one.
        field: Made by `cli.flag`.
        kind: Type of the field.
        default: Value of the flag if it is not given.
    """
    name, help = field.name, field.metadata["help"]
    if kind is bool:
        flag = flags.BooleanFlag(name, default, help)
        flag.parser = Boolean()
        flags.DEFINE_flag(flag, values)
    else:
        flags.DEFINE(_parser(field, kind), name, default, help, flag_values=values)


def _parser(field: dataclasses.Field, kind: Any) -> flags.ArgumentParser:
    """The parser of a field that is no bool."""
    # By keyword, as absl keeps parsers that are made by position.
    if kind is int:
        return Integer(field=field)
    if kind is float:
        return Float(field=field)
    if kind is not str:
        return List(field=field, item=typing.get_args(kind)[0])
    if field.metadata["choices"] is not None:
        return Choice(field=field)
    if field.metadata["path"]:
        return Path(name=field.name)
    return Text(name=field.name)


class Boolean(flags.BooleanParser):
    """True or false."""

    def parse(self, argument: str | int) -> bool:
        """Convert one value."""
        try:
            return super().parse(argument)
        except ValueError:
            raise ValueError("expected true or false") from None


class Integer(flags.IntegerParser):
    """An integer within the bounds of a field."""

    def __init__(self, field: dataclasses.Field):
        low = field.metadata["lower_bound"]
        super().__init__(lower_bound=low)
        self.field = field
        if low and low > 1:  # absl's text, "integer >= 2", has no article
            self.syntactic_help = f"an integer of at least {number(low)}"

    def convert(self, argument: int | str) -> int:
        """Convert one value."""
        try:
            return super().convert(argument)
        except ValueError:
            raise ValueError(f"no integer: {argument!r}") from None

    def parse(self, argument: str | int) -> int:
        """Convert one value and check the bounds."""
        value = super().parse(argument)
        _check_bounds(self.field, value)
        return value


class Float(flags.FloatParser):
    """A finite number within the bounds of a field."""

    def __init__(self, field: dataclasses.Field):
        low = field.metadata["lower_bound"]
        super().__init__(lower_bound=low)
        self.field = field
        if low:  # absl's text, "number >= 0.5", has no article
            self.syntactic_help = f"a number of at least {number(low)}"

    def convert(self, argument: float | str) -> float:
        """Convert one value."""
        try:
            return super().convert(argument)
        except ValueError:
            raise ValueError(f"no number: {argument!r}") from None

    def parse(self, argument: str | float) -> float:
        """Convert one value and check the bounds."""
        value = super().parse(argument)
        if not math.isfinite(value):
            raise UsageError(
                f"flag --{self.field.name}: expected a finite number; got {value}"
            )
        _check_bounds(self.field, value)
        return value


class Text(flags.ArgumentParser):
    """A text that may be part of a file name."""

    def __init__(self, name: str):
        super().__init__()
        self.name = name

    def parse(self, argument: str) -> str:
        """Check one value."""
        check_text(f"flag --{self.name}", argument)
        return argument


class Choice(flags.ArgumentParser):
    """One of the choices of a field."""

    def __init__(self, field: dataclasses.Field):
        super().__init__()
        self.field = field

    def parse(self, argument: str) -> str:
        """Check one value."""
        _check_choice(self.field, "one", argument)
        return argument


class Path(Text):
    """A path; "~" becomes the home folder, which not every shell does."""

    def parse(self, argument: str) -> str:
        """Check and expand one value."""
        path = os.path.expanduser(super().parse(argument))
        if path.startswith("~") and not os.path.lexists(path):
            raise UsageError(
                f"flag --{self.name}: there is no home folder for "
                f"{path.split(os.sep)[0]!r}"
            )
        return path


class Folder(Path):
    """A path that is not empty."""

    def parse(self, argument: str) -> str:
        """Check and expand one value."""
        if not argument:
            raise UsageError(f"flag --{self.name}: expected a folder; got ''")
        return super().parse(argument)


class List(flags.ListParser):
    """Values separated by commas, each within the bounds of a field.

    In a list of integers, "0:16" is a range: 0, 1, ..., 15.
    """

    def __init__(self, field: dataclasses.Field, item: type):
        super().__init__()
        self.field, self.item = field, item

    def parse(self, argument: str | list) -> list:
        """Convert and check all values."""
        if isinstance(argument, list):  # the default
            return argument
        name = self.field.name
        try:
            items = [v for text in super().parse(argument) for v in self._items(text)]
        except ValueError:
            raise UsageError(
                f"flag --{name}: expected {NAMES[self.item]} separated by commas; got "
                f"{argument!r}"
            ) from None
        if not items or "" in items:
            raise UsageError(
                f"flag --{name}: expected values separated by commas; got {argument!r}"
            )
        self._check_count(len(items))
        for value in items:
            self._check(value)
        repeated = [value for value in items if items.count(value) > 1]
        if repeated and not self.field.metadata["repeats"]:
            raise UsageError(f"flag --{name}: {repeated[0]} is given twice")
        return items

    def _items(self, text: str) -> list:
        """The value of a text, or all values of a range."""
        ends = RANGE.fullmatch(text) if self.item is int else None
        if ends is None:
            return [self.item(text)]
        first, stop = map(int, ends.groups())
        if first >= stop:
            raise UsageError(
                f"flag --{self.field.name}: expected a range that ends above its "
                f"start, as 0:16 for the integers 0 to 15; got {text!r}"
            )
        self._check_count(stop - first)  # before a list is made
        return list(range(first, stop))

    def _check_count(self, count: int) -> None:
        """Refuse too many values."""
        if count > MOST_ITEMS:
            raise UsageError(
                f"flag --{self.field.name}: expected at most {MOST_ITEMS} values; got "
                f"{count}"
            )

    def _check(self, value: Any) -> None:
        """Refuse one value."""
        name, low = self.field.name, self.field.metadata["lower_bound"]
        if self.field.metadata["choices"]:
            _check_choice(self.field, "some", value)
        if self.item is str:
            return check_text(f"flag --{name}", value)
        if self.item is float and not math.isfinite(value):
            raise UsageError(f"flag --{name}: expected finite numbers; got {value}")
        if low is not None and value < low:
            raise UsageError(
                f"flag --{name}: expected {NAMES[self.item]} of at least {low}; got "
                f"{value}"
            )
        return _check_bounds(self.field, value)


def check_text(what: str, value: str) -> None:
    """Refuse a text that no file's name can contain.

    Args:
        what: The flag or argument.
        value: Its text.

    Raises:
        UsageError: The text has a NUL.
    """
    if "\0" in value:
        raise UsageError(f"{what}: expected text without a NUL; got {value!r}")


def _check_choice(field: dataclasses.Field, count: str, value: str) -> None:
    """Refuse a word that is not a choice of a field, and name the nearest."""
    choices = field.metadata["choices"]
    if value in choices:
        return
    raise UsageError(
        f"flag --{field.name}: expected {count} of {', '.join(choices)}; got "
        f"{value!r}{nearest(value, choices)}"
    )


def _check_bounds(field: dataclasses.Field, value: float) -> None:
    """Refuse a number above the upper bound of a field, or far below zero."""
    high, low = field.metadata["upper_bound"], field.metadata["lower_bound"]
    if high is None:
        return
    if value > high:
        raise UsageError(
            f"flag --{field.name}: expected at most {number(high)}; got {value}"
        )
    if low is None and value < -high:  # of either sign
        raise UsageError(
            f"flag --{field.name}: expected at least {number(-high)}; got {value}"
        )


def number(bound: float) -> str:
    """A bound in readable figures.

    Args:
        bound: An integer or not.

    Returns:
        Text of the number.

    Example:
        >>> number(10_000), number(0.5)
        ('10,000', '0.5')
    """
    return f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"
