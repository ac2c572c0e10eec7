"""The text of `--help`: the question, the arguments, and the flags by group."""

import dataclasses
import inspect
import shutil
import textwrap
from collections.abc import Sequence
from typing import Literal, get_args, get_origin

from experiments.harness import parsers, positionals

FLAGFILE = "Read flags from a file, one per line."
RESUME = (
    "Resume the run in --results if it was interrupted; all other flags must be the "
    "same. What was trained is not trained again, and the results are those of a run "
    "that was not interrupted."
)
VERSION = "Print the versions of the packages."
Group = Literal["data", "model", "training", "measuring", "output", "devices"]


def text(
    question: str,
    name: str,
    classes: Sequence[type],
    keeps_results: bool = True,
) -> str:
    """The help of an experiment.

    Args:
        question: Docstring of its module: the question, and commands as examples.
        name: Name of the experiment.
        classes: Its `Config`, then dataclasses of the flags of every command.
        keeps_results: Whether it has the flags `--results` and `--resume`.

    Returns:
        Lines.
    """
    lines = [inspect.cleandoc(question)]
    config_class, *common = classes
    fields = dataclasses.fields(config_class)
    if arguments := list(filter(positionals.is_argument, fields)):
        lines += ["", "Arguments:"]
        for field in arguments:
            lines += _entry(positionals.placeholder(field), field.metadata["help"])
    groups: dict[str, list[str]] = {group: [] for group in get_args(Group)}
    _add_flags(config_class, groups)
    folder = f"Where results go; by default a new folder under results/{name}."
    if keeps_results:
        groups["output"] += _entry("--results=FOLDER", folder)
        groups["output"] += _entry("--resume", RESUME)
    for some in common:
        _add_flags(some, groups)
    if all(field.name != "learning_rate" for field in fields):
        groups["devices"] = []  # of commands that train
    for group, entries in groups.items():
        lines += ["", f"{group.capitalize()}:", *entries] if entries else []
    lines += ["", "Other:", *_entry("--flagfile=FILE", FLAGFILE)]
    lines += _entry("--version", VERSION)
    return "\n".join(lines)


def _add_flags(flags: type, groups: dict[str, list[str]]) -> None:
    """Add the flags of a dataclass to their groups."""
    defaults = flags()
    for field in dataclasses.fields(flags):
        if not positionals.is_argument(field):
            default = getattr(defaults, field.name)
            if isinstance(default, list):
                default = ",".join(str(item) for item in default)
            entry = _entry(f"--{field.name}={default}", _described(field))
            groups[field.metadata["group"]] += entry


def _described(field: dataclasses.Field) -> str:
    """The help of a flag, with the values that it takes."""
    text, several = field.metadata["help"], get_origin(field.type) is list
    if field.metadata["choices"]:
        names = ", ".join(field.metadata["choices"])
        text += f" {'Some' if several else 'One'} of {names}."
    if field.type == list[int]:
        text += " 0:4 is short for 0,1,2,3."
    for bound, what in (("lower_bound", "least"), ("upper_bound", "most")):
        if field.metadata[bound] is not None:
            text += f" At {what} {parsers.number(field.metadata[bound])}."
    if words := only_with(field):
        text += f" Only with {words}."
    return text


def only_with(field: dataclasses.Field) -> str:
    """The values of another flag with which a flag applies.

    Args:
        field: Field of a flag.

    Returns:
        Words; "" if the flag always applies.

    Example:
        >>> from experiments.harness import cli
        >>> only_with(cli.flag(1, "Models.", only={"what": ("study", "cost")}))
        '--what=study or --what=cost'
    """
    return " or ".join(
        f"--{name}={value}"
        for name, values in field.metadata["only"].items()
        for value in values
    )


def _entry(name: str, text: str) -> list[str]:
    """The lines of one flag, which fit into a terminal."""
    width = min(shutil.get_terminal_size().columns, 88) - 1
    indent = " " * 6
    return [
        f"  {name}",
        *textwrap.wrap(
            text,
            max(width, 40),
            initial_indent=indent,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        ),
    ]
