"""From a `Config` to a command: its fields become absl flags.

Flags are defined when `main` runs, in a set of their own, not at import: so experiments
can be imported together, and by pytest.
"""

import dataclasses
import difflib
import pathlib
import pkgutil
import re
import sys
import typing
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags

from experiments.harness import parsers, positionals, process, streams, usage
from experiments.harness.fields import argument as argument
from experiments.harness.fields import flag as flag
from experiments.harness.process import UsageError

FLAGS = "results", "help", "version", "flagfile"  # of every command


@dataclasses.dataclass(frozen=True)
class FigureFlags:
    """Flags of every command: the form of its figures."""

    figures: list[str] = flag(
        ["png"],
        "Formats of the figures; a PNG is always written.",
        choices=("png", "pdf", "svg"),
        group="output",
    )
    style: str = flag(
        "screen",
        "Style of the figures: for the screen, or for one column (3.25 inches) or two "
        "columns of a paper.",
        choices=("screen", "paper", "paper_wide"),
        group="output",
    )


@dataclasses.dataclass(frozen=True)
class LaunchFlags:
    """Flags of every command: the part of the study that it runs, and where."""

    devices: int = flag(
        0,
        "Devices of each process that train: cores of the CPU, or accelerators. 0 is "
        "all of them.",
        lower_bound=0,
        upper_bound=1024,
        group="devices",
    )
    coordinator: str = flag(
        "",
        "HOST:PORT at which process 0 of several answers; or auto in a job of SLURM, "
        "Open MPI or Kubernetes, or on a TPU pod.",
        values=("auto",),
        group="devices",
    )
    num_processes: int = flag(
        0, "Number of processes that share each batch.", lower_bound=0, group="devices"
    )
    process_id: int = flag(
        -1, "Number of this process, counted from 0.", lower_bound=-1, group="devices"
    )
    shard: str = flag(
        "",
        "Train only the members (seeds, and in study their settings) of shard I of N, "
        "counted from 0, such as 0/8; "
        "merge joins the shards in --results.",
        group="devices",
    )


COMMON = FigureFlags, LaunchFlags  # a `Config` may have a flag of the same name


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
    return parse_all(config_class, arguments)[:2]


def parse_all(
    config_class: type, arguments: Sequence[str]
) -> tuple[Any, str | None, FigureFlags, LaunchFlags]:
    """A `Config`, and the flags of every command, from command-line arguments.

    Args:
        config_class: A dataclass whose fields are made by `flag`.
        arguments: As in `sys.argv[1:]`.

    Returns:
        The config, and the value of `--results`, as from `parse`; the form of the
        figures; and how the command is run.

    Raises:
        UsageError: A flag or value is not allowed.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Config:
        ...     seed: int = flag(0, "Seed of the model.")
        >>> parse_all(Config, ["--figures=pdf,svg", "--style=paper"])[2]
        FigureFlags(figures=['pdf', 'svg'], style='paper')
    """
    values = flags.FlagValues()
    fields = [
        f for f in dataclasses.fields(config_class) if not positionals.is_argument(f)
    ]
    for some in (config_class, *COMMON):
        defaults, kinds = some(), typing.get_type_hints(some)
        for field in dataclasses.fields(some):
            if not (positionals.is_argument(field) or field.name in values):
                default = getattr(defaults, field.name)
                parsers.define(values, field, kinds[field.name], default)
    if "results" not in values:
        folder = parsers.Folder(name="results")
        flags.DEFINE(folder, "results", None, "", flag_values=values)
    flags.DEFINE_boolean("help", False, "", short_name="h", flag_values=values)
    flags.DEFINE_boolean("helpfull", False, "", flag_values=values)
    try:
        rest = values(["", *arguments])[1:]
    except flags.UnrecognizedFlagError as error:
        raise UsageError(_unknown(error.flagname, list(values))) from None
    except (flags.CantOpenFlagFileError, UnicodeError, ValueError, OSError) as error:
        cause = error.__context__ or error  # without absl's own prefix
        raise UsageError(
            f"flag --flagfile: expected a file of text in UTF-8; got {cause}"
        ) from None
    except flags.Error as error:
        raise UsageError(" ".join(str(error).split())) from None
    if values["help"].value or values["helpfull"].value:
        return None, None, FigureFlags(), LaunchFlags()
    given = {field.name: values[field.name].value for field in fields}
    given |= positionals.assign(config_class, rest)
    _check_applies([field for field in fields if values[field.name].present], given)

    def common(some: type) -> Any:
        return some(**{f.name: values[f.name].value for f in dataclasses.fields(some)})

    figures, launch = common(FigureFlags), common(LaunchFlags)
    return config_class(**given), values["results"].value, figures, launch


def _check_applies(fields: Sequence[dataclasses.Field], given: dict[str, Any]) -> None:
    """Refuse a flag that would be ignored, because of the value of another flag."""
    for field in fields:
        for other, some in field.metadata["only"].items():
            if given[other] not in some:
                raise UsageError(
                    f"flag --{field.name} applies only with {usage.only_with(field)}; "
                    f"got --{other}={given[other]}"
                )


def _check_once(arguments: Sequence[str]) -> None:
    """Refuse a flag that is given twice, as one of the two would be ignored."""
    given = []
    for word in arguments:
        if word == "--":
            return
        match = re.match(r"--?([A-Za-z]\w*)(?:=|$)", word, re.S)
        if match and match[1] not in ("flagfile", "undefok"):
            if match[1] in given:
                raise UsageError(f"flag --{match[1]} is given twice; give it once")
            given.append(match[1])


def _unknown(name: str, names: Sequence[str]) -> str:
    """A sentence for a flag that does not exist."""
    close = difflib.get_close_matches(name, [*names, *FLAGS], 1)
    hint = f"did you mean --{close[0]}?" if close else "--help lists all flags"
    return f"unknown flag --{name}; {hint}"


def main(
    config_class: type,
    run: str | Callable[..., None],
    *,
    resumable: bool = False,
    keeps_results: bool = True,
) -> None:
    """Run an experiment as a command, and exit.

    The exit code is 0; 2 for a user's mistake; 1 for a run that failed; 70 for a fault
    of this project; 128 and its number after a signal. Each prints one sentence on
    standard error. What was not expected leaves its traceback in a file.

    Args:
        config_class: The experiment's `Config`.
        run: `run(config, results)`, a function; or "package.module:function", which is
            imported once the flags are right, so that help and mistakes need no JAX.
            It is `run(config)` if the command keeps no results.
        resumable: Whether an interrupted run is kept for `--resume`, and refused
            without. By default the next run of that name sets its folder aside. If some
            flag `extends` the run, `run` logs only what it adds when it is resumed.
        keeps_results: Whether the command has a folder of results, and `--resume`.
    """
    # The package, which has the question, for the `Config` of one of its modules.
    place = config_class.__module__
    module = sys.modules[re.sub(r"\.(config|experiment)$", "", place)]
    spec = module.__spec__
    name = spec.name if spec else pathlib.Path(str(module.__file__)).stem
    if pathlib.Path(str(getattr(module, "__file__", ""))).parent == process.HERE:
        name = f"experiments.{name.rpartition('.')[2]}"  # as a script it is less
    if place == "__main__":
        process.begin(name)
    with streams.forgiving():
        code = _answer(config_class, run, module, name, resumable, keeps_results)
    if code:
        sys.exit(code)


def _answer(
    config_class: type, run: Any, module: Any, name: str, resumable: bool, kept: bool
) -> int:
    """Read the flags, then help or run; return the exit code."""
    short = name.rpartition(".")[2]
    arguments = sys.argv[1:]
    if "--version" in arguments:
        print(process.versions_text())
        return 0
    resume = kept and "--resume" in arguments
    arguments = [a for a in arguments if not (resume and a == "--resume")]
    try:
        if process.began():  # not a call from Python, which may append flags
            _check_once(arguments)
        config, folder, figures, launch_flags = parse_all(config_class, arguments)
        if resume and config is not None and folder is None:
            raise UsageError("flag --resume: name the run to resume with --results")
    except UsageError as error:
        streams.say(f"{short}: {error}")
        return 2
    if config is None:
        question = module.__doc__ or short
        classes = (config_class, *COMMON) if kept else (config_class,)
        print(usage.text(question, short, classes, kept))
        return 0
    from experiments.harness import launch  # JAX, which takes seconds

    return launch.launch(
        config,
        pkgutil.resolve_name(run) if isinstance(run, str) else run,
        folder,
        name=name,
        question=module.__doc__ or short,
        resume=resume,
        resumable=resumable,
        keeps_results=kept,
        figures=figures,
        launch_flags=launch_flags,
    )
