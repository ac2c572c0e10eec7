"""From a `Config` to a command: its fields become absl flags.

Flags are defined when `main` runs, in a set of their own, not at import: so experiments
can be imported together, and by pytest.
"""

import dataclasses
import datetime
import inspect
import pathlib
import re
import shlex
import sys
import typing
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags

import train
from experiments.harness import (
    endings,
    folders,
    machine,
    parsers,
    process,
    runs,
    signals,
    streams,
)
from experiments.harness.process import UsageError


def flag(
    default: Any,
    help: str,
    *,
    lower_bound: float | None = None,
    upper_bound: float | None = None,
    choices: Sequence[str] | None = None,
    path: bool = False,
    repeats: bool = False,
    extends: bool = False,
) -> Any:
    """A field of a `Config` that is a flag of the same name.

    Args:
        default: Its default: a bool, an int, a float, a string, or a list of these.
        help: One sentence.
        lower_bound: The least number allowed, in a list too.
        upper_bound: The largest: above it a run would fill any memory, or never end.
        choices: The only strings allowed.
        path: True for the name of a file or folder, in which "~" is the home folder.
        repeats: True if a list may hold a value twice, as sizes of layers do.
        extends: True if the value may change when a run is resumed, even a complete
            one, to which that adds.

    Returns:
        A dataclass field.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Config:
        ...     features: int = flag(64, "Hidden units.", lower_bound=1)
        >>> parse(Config, ["--features=8"])
        (Config(features=8), None)
    """
    return dataclasses.field(
        default_factory=lambda: list(default) if isinstance(default, list) else default,
        metadata={
            "help": help,
            "lower_bound": lower_bound,
            "upper_bound": upper_bound,
            "path": path,
            "choices": choices,
            "repeats": repeats,
            "extends": extends,
        },
    )


def parse(config_class: type, arguments: Sequence[str]) -> tuple[Any, str | None]:
    """A `Config` from command-line arguments.

    Args:
        config_class: A dataclass whose fields are made by `flag`.
        arguments: As in `sys.argv[1:]`.

    Returns:
        The config, and the value of `--results`; None and None if help is asked for.

    Raises:
        UsageError: A flag or value is not allowed.
    """
    values = flags.FlagValues()
    fields = dataclasses.fields(config_class)
    kinds, defaults = typing.get_type_hints(config_class), config_class()
    for field in fields:
        default = getattr(defaults, field.name)
        parsers.define(values, field, kinds[field.name], default)
    folder = parsers.Folder(name="results")
    flags.DEFINE(folder, "results", None, "", flag_values=values)
    flags.DEFINE_boolean("help", False, "", short_name="h", flag_values=values)
    flags.DEFINE_boolean("helpfull", False, "", flag_values=values)
    try:
        rest = values(["", *arguments])[1:]
    except (flags.CantOpenFlagFileError, UnicodeError, ValueError, OSError) as error:
        cause = error.__context__ or error  # without absl's own prefix
        raise UsageError(
            f"flag --flagfile: expected a file of text in UTF-8; got {cause}"
        ) from None
    except flags.Error as error:
        raise UsageError(" ".join(str(error).split())) from None
    if values["help"].value or values["helpfull"].value:
        return None, None
    if rest:
        raise UsageError(f"expected flags only, --name=value; got {rest[0]!r}")
    given = {field.name: values[field.name].value for field in fields}
    return config_class(**given), values["results"].value


def main(
    config_class: type,
    run: Callable[[Any, runs.Run], None],
    *,
    resumable: bool = False,
) -> None:
    """Run an experiment as a command, and exit.

    The exit code is 0; 2 for a user's mistake; 1 for a run that failed; 70 for a fault
    of this project; 128 and its number after a signal. Each prints one sentence on
    standard error. What was not expected leaves its traceback in a file.

    Args:
        config_class: The experiment's `Config`.
        run: `run(config, results)`.
        resumable: Whether `run` goes on from what an interrupted run has logged, which
            the flag `--resume` asks for; from a complete one if some flag `extends` it.
    """
    # The package, which has the question, for the `Config` of its `experiment`.
    module = sys.modules[config_class.__module__.removesuffix(".experiment")]
    spec = module.__spec__
    name = spec.name if spec else pathlib.Path(str(module.__file__)).stem
    if pathlib.Path(str(getattr(module, "__file__", ""))).parent == process.HERE:
        name = f"experiments.{name.rpartition('.')[2]}"  # as a script it is less
    if config_class.__module__ == "__main__":
        process.begin(name)
    with streams.forgiving():
        code = _run(config_class, run, module, name, resumable)
    if code:
        sys.exit(code)


def _run(config_class: type, run: Any, module: Any, name: str, resumable: bool) -> int:
    """Run it, and return the exit code."""
    short = name.rpartition(".")[2]
    results = config = None

    def at_stop() -> str:
        if results is None:
            return ""
        results.abandon()
        return _left(results)

    signals.at_stop.append(at_stop)
    try:
        arguments = sys.argv[1:]
        resume = resumable and "--resume" in arguments
        arguments = [a for a in arguments if not (resume and a == "--resume")]
        config, folder = parse(config_class, arguments)
        if config is None:
            print(_help(module, short, config_class, resumable))
            return 0
        if resume and folder is None:
            raise UsageError("flag --resume: name the run to resume with --results")
        machine.check_backend()
        if hasattr(config, "learning_rate"):  # it trains
            machine.check_promotion()
        machine.keep_compiled()
        folder = _fresh_folder(short) if folder is None else folder
        with runs.new_run(
            folder,
            _settings(config, name),
            question=module.__doc__ or short,
            resume=resume,
            extends=_extending(config_class),
            resumable=resumable,
        ) as results:
            run(config, results)
        print(f"Results: {_shown(results.folder)}")
        return 0
    except (UsageError, train.DataError, folders.ResultsError) as error:
        sentence, code = str(error), endings.REFUSED
    except (train.NonFiniteError, OSError) as error:
        sentence, code = f"the run failed: {error}{_left(results)}", endings.FAILED
    except KeyboardInterrupt:
        sentence, code = f"interrupted{_left(results)}", 130
    except SystemExit:
        raise
    except BaseException as error:
        sentence, code = endings.explain(error, config)
        log = process.keep_traceback(error, results and results.path)
        logged = results and str(results.path) in log
        sentence += f" ({log})" + ("" if logged else _left(results))
    finally:
        signals.at_stop.remove(at_stop)
    streams.say(f"{short}: {sentence}")
    return code


def _settings(config: Any, name: str) -> dict[str, Any]:
    """The settings of a command that config.json stores."""
    settings = {
        "experiment": name.rpartition(".")[2],
        "command": shlex.join(["python", "-m", name, *_repeatable(sys.argv[1:])]),
        "config": dataclasses.asdict(config),
    }
    if hasattr(config, "fingerprint"):  # of the user's own data
        settings["data"] = config.fingerprint()
    return settings


def _extending(config_class: type) -> list[str]:
    """The flags that may change when a run is resumed."""
    fields = dataclasses.fields(config_class)
    return [field.name for field in fields if field.metadata["extends"]]


def _repeatable(arguments: Sequence[str]) -> list[str]:
    """The arguments without the results folder, so that they can be given again."""
    kept, place = [], False
    for argument in arguments:
        if not place and not re.fullmatch("--?results(=.*)?|--resume", argument, re.S):
            kept.append(argument)
        place = not place and argument in ("--results", "-results")
    return kept


def _fresh_folder(name: str) -> pathlib.Path:
    """results/NAME/TIME, a folder that does not exist."""
    now = datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    parent = pathlib.Path("results") / name
    count, folder = 1, parent / now
    while folder.exists() or folder.with_name(folder.name + ".unfinished").exists():
        count, folder = count + 1, parent / f"{now}_{count + 1}"
    return folder


def _shown(path: pathlib.Path) -> str:
    """A path, relative to the working folder if it is inside."""
    here = pathlib.Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _left(results: runs.Run | None) -> str:
    """The folder of an incomplete run, as a parenthesis for a sentence."""
    if results is None or not results.path.exists():
        return ""
    return f" (what was logged is in {_shown(results.path)})"


def _help(module: Any, name: str, config_class: type, resumable: bool) -> str:
    """The question that the experiment asks, and its flags."""
    lines = [inspect.cleandoc(module.__doc__ or name), "", "Flags:"]
    defaults = config_class()
    for field in dataclasses.fields(config_class):
        default = getattr(defaults, field.name)
        if isinstance(default, list):
            default = ",".join(str(item) for item in default)
        lines += [f"  --{field.name}={default}", f"      {field.metadata['help']}"]
        if field.metadata["choices"]:
            lines[-1] += f" One of {', '.join(field.metadata['choices'])}."
        for bound, what in (("lower_bound", "least"), ("upper_bound", "most")):
            if field.metadata[bound] is not None:
                lines[-1] += f" At {what} {parsers.number(field.metadata[bound])}."
    if resumable:
        lines += [
            "  --resume",
            "      Go on with the run in --results, if it was interrupted.",
        ]
    lines += [
        "  --results=FOLDER",
        f"      Where results go; by default a new folder under results/{name}.",
        "  --flagfile=FILE",
        "      Read flags from a file, one per line.",
    ]
    return "\n".join(lines)
