"""Completion of the command `backflow` in a shell, by argcomplete.

    eval "$(python -m experiments --completion=bash)"

The script runs `backflow` at each press of Tab, with variables that `complete` answers.
"""

import argparse
import dataclasses
import importlib
import os
import typing
from collections.abc import Callable, Sequence
from typing import Any

from experiments.harness import cli, positionals, process

SHELLS = "bash", "zsh", "fish", "powershell"


def script(shell: str) -> str:
    """The script that a shell evaluates to complete `backflow`.

    Args:
        shell: One of `SHELLS`.

    Returns:
        Its text.

    Raises:
        process.UsageError: There is no such shell, or argcomplete is not installed.

    Example:
        >>> "complete " in script("bash")
        True
    """
    if shell not in SHELLS:
        raise process.UsageError(
            f"flag --completion: expected one of {', '.join(SHELLS)}; got {shell!r}"
        )
    from argcomplete.shell_integration import shellcode

    return shellcode(["backflow"], shell=shell)


def complete() -> None:
    """Answer a shell that asks for completions, and exit; return if none asks."""
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete

        argcomplete.autocomplete(parser())


def parser() -> argparse.ArgumentParser:
    """The command line of `backflow`, as argcomplete reads it.

    Returns:
        A parser with one subparser per experiment. Commands are parsed by `cli.parse`.

    Example:
        >>> parser().parse_args(["gates", "--order=rows"]).order
        'rows'
    """
    whole = argparse.ArgumentParser("backflow", allow_abbrev=False)
    whole.add_argument("--version", action="store_true")
    _offer(whole.add_argument("--completion"), _choose(SHELLS))
    commands = whole.add_subparsers()
    for name, question in process.experiments().items():
        config = importlib.import_module(f"experiments.{name}").Config
        command = commands.add_parser(name, help=_plain(question), allow_abbrev=False)
        kinds: dict[str, Any] = {}
        for flags in (config, *cli.COMMON):
            for field in dataclasses.fields(flags):
                if field.name not in kinds:  # a `Config` may have a common flag
                    kinds[field.name] = typing.get_type_hints(flags)[field.name]
                    _add(command, field, kinds[field.name])
        if "results" not in kinds:
            _offer(command.add_argument("--results"), _directories)
        _offer(command.add_argument("--flagfile"), _files)
        command.add_argument("--version", action="store_true")
    return whole


def _add(command: argparse.ArgumentParser, field: dataclasses.Field, kind: Any) -> None:
    """Add one flag or positional argument of an experiment."""
    help = _plain(field.metadata["help"])
    if positionals.is_argument(field):
        count = "+" if field.metadata["many"] else None
        completer = _directories if field.metadata["folder"] else _files
        _offer(command.add_argument(field.name, help=help, nargs=count), completer)
    elif kind is bool:
        for name in (field.name, f"no{field.name}"):
            command.add_argument(f"--{name}", help=help, action="store_true")
    else:
        argument = command.add_argument(f"--{field.name}", help=help)
        if field.metadata["path"]:
            _offer(argument, _files)
        else:
            several = typing.get_origin(kind) is list
            _offer(argument, _choose(field.metadata["values"], several))


def _offer(argument: argparse.Action, completer: Callable[..., Sequence[str]]) -> None:
    """Set the function that completes an argument."""
    argument.completer = completer  # type: ignore[attr-defined]


def _choose(values: Sequence[Any], several: bool = False) -> Callable[..., list[str]]:
    """A completer for one of some values, or for a list; numbers have none."""

    def completer(prefix: str, **_: Any) -> list[str]:
        given = prefix.split(",")[:-1] if several else []
        rest = [str(value) for value in values if str(value) not in given]
        return [",".join([*given, value]) for value in rest]

    return completer


def _files(prefix: str, **_: Any) -> Sequence[str]:
    """A completer for the names of files."""
    from argcomplete.completers import FilesCompleter

    return FilesCompleter()(prefix)


def _directories(prefix: str, **_: Any) -> Sequence[str]:
    """A completer for the names of folders."""
    from argcomplete.completers import DirectoriesCompleter

    return list(DirectoriesCompleter()(prefix))


def _plain(text: str) -> str:
    """A help text without argparse's formats."""
    return text.replace("%", "%%")
