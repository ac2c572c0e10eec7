"""One run of an experiment: its folder, its end, its exit code."""

import dataclasses
import datetime
import pathlib
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import Any

import train
from experiments.harness import (
    devices,
    endings,
    folders,
    machine,
    process,
    processes,
    runs,
    shards,
    signals,
    streams,
)
from experiments.harness.cli import FigureFlags, LaunchFlags
from experiments.harness.fingerprints import fingerprint
from experiments.harness.process import UsageError


def launch(
    config: Any,
    run: Callable[..., None],
    folder: str | None,
    *,
    name: str,
    question: str,
    resume: bool,
    resumable: bool,
    figures: FigureFlags,
    launch_flags: LaunchFlags,
    keeps_results: bool = True,
) -> int:
    """Run an experiment, and report how it ended.

    Args:
        config: Its flags.
        run: `run(config, results)`.
        folder: Results folder; None for a new one under "results".
        name: Full name of the experiment's module.
        question: The question that it answers.
        resume: Whether to resume the run in the folder.
        resumable: Whether a run in the folder is kept, and refused without `resume`.
        figures: Form of its figures.
        launch_flags: Part of the study that it runs, its devices, other processes.
        keeps_results: Whether it has a results folder; without one, `run(config)` is
            called.

    Returns:
        The exit code.
    """
    short = name.rpartition(".")[2]
    results = None

    def left() -> str:
        return _left(results, name, folder)

    def at_stop() -> str:
        if results is not None:
            results.abandon()
        return left()

    signals.at_stop.append(at_stop)
    try:
        study = config
        if shard := shards.parse(launch_flags.shard):
            config = shards.narrowed(study, shard, short)
            folder = str(shards.folder(folder, shard))
        _start(launch_flags, trains=hasattr(config, "learning_rate"))
        if not keeps_results:
            run(config)
            return 0
        chosen = fresh_folder(short) if folder is None else folder
        settings = _settings(study, name) | ({"shard": str(shard)} if shard else {})
        extends = _extending(type(config))
        if resume and not extends and _nothing_left(chosen, settings):
            return _finished(pathlib.Path(chosen), " (complete already)")
        with (
            processes.writing(chosen, resume=resume) as place,
            runs.new_run(
                place,
                settings,
                question=question,
                resume=resume,
                extends=extends,
                resumable=resumable,
            ) as results,
        ):
            results.figures, results.launch = figures, launch_flags
            run(config, results)
        return _finished(results.folder)
    except BaseException as error:
        sentence, code = _failed(error, config, results, left)
    finally:
        signals.at_stop.remove(at_stop)
    streams.say(f"{short}: {sentence}")
    processes.leave(code)
    return code


def _finished(folder: pathlib.Path, remark: str = "") -> int:
    """Print the folder of the results, and leave with exit code 0."""
    if processes.first():
        print(f"Results: {_shown(folder)}{remark}")
    processes.leave(0)
    return 0


def _nothing_left(folder: str | pathlib.Path, settings: dict[str, Any]) -> bool:
    """Whether the run to resume is complete, as for a job that a scheduler restarts."""
    if runs.is_complete(folder, settings):
        return True
    path = pathlib.Path(folder)
    if processes.first() and not path.with_name(f"{path.name}.unfinished").exists():
        print(f"No run to resume in {folder}: a new run begins.", flush=True)
    return False


def _failed(
    error: BaseException,
    config: Any,
    results: runs.Run | None,
    left: Callable[[], str],
) -> tuple[str, int]:
    """Sentence and exit code for an error that ended the run."""
    match error:
        case SystemExit():
            raise error
        case UsageError() | train.DataError() | folders.ResultsError():
            return str(error), endings.REFUSED
        case train.NonFiniteError():
            return f"the run failed: {error}{_logged(results)}", endings.FAILED
        case OSError():
            return f"the run failed: {error}{left()}", endings.FAILED
        case signals.Stopped():
            return f"{signals.word(error.number)}{left()}", 128 + error.number
        case KeyboardInterrupt():
            return f"interrupted{left()}", 130
    if words := processes.lost(error):
        return f"{words}{left()}", endings.FAILED
    return _unexpected(error, config, results)


def _unexpected(error: BaseException, config: Any, results: Any) -> tuple[str, int]:
    """Sentence and exit code for an error whose traceback is kept."""
    sentence, code = endings.explain(error, config)
    folder = results if processes.first() else None  # the other folders are removed
    log = process.keep_traceback(error, folder and folder.path)
    logged = folder and str(folder.path) in log
    return f"{sentence} ({log})" + ("" if logged else _logged(folder)), code


def _start(flags: LaunchFlags, *, trains: bool) -> None:
    """Start JAX with its devices, and check that it can compute."""
    devices.start(flags, trains=trains)
    machine.check_backend()
    devices.check(flags)
    if trains:
        machine.check_promotion()
    machine.keep_compiled()


def _settings(config: Any, name: str) -> dict[str, Any]:
    """The settings of a command that config.json stores."""
    settings = {
        "experiment": name.rpartition(".")[2],
        "command": shlex.join(["python", "-m", name, *_repeatable(sys.argv[1:])]),
        "config": dataclasses.asdict(config),
    }
    if data := fingerprint(config):
        settings["data"] = data
    return settings


def _extending(config_class: type) -> list[str]:
    """The flags that may change when a run is resumed."""
    fields = dataclasses.fields(config_class)
    return [field.name for field in fields if field.metadata.get("extends")]


def _repeatable(arguments: Sequence[str]) -> list[str]:
    """The arguments without the results folder, so that they can be given again."""
    kept, place = [], False
    for argument in arguments:
        if not place and not re.fullmatch("--?results(=.*)?|--resume", argument, re.S):
            kept.append(argument)
        place = not place and argument in ("--results", "-results")
    return kept


def fresh_folder(name: str) -> pathlib.Path:
    """A folder for the results of a command that names none.

    Args:
        name: Name of the experiment.

    Returns:
        results/NAME/TIME, which does not exist.
    """
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


def _left(results: runs.Run | None, name: str, folder: str | None) -> str:
    """The folder of an incomplete run, and the command that resumes it."""
    if not processes.first():
        return ""
    return _logged(results) + _resuming(results, name, folder)


def _logged(results: runs.Run | None) -> str:
    """The folder of an incomplete run, as a parenthesis for a sentence."""
    if results is None or not results.path.exists():
        return ""
    return f" (what was logged is in {_shown(results.path)})"


def _resuming(results: runs.Run | None, name: str, folder: str | None) -> str:
    """The command that resumes an incomplete run, on a separate line."""
    if results is None or not results.path.exists():
        return ""
    words = [word for word in sys.argv[1:] if word != "--resume"]
    if folder is None:
        words.append(f"--results={_shown(results.folder)}")
    return "; to resume:\n" + shlex.join(["python", "-m", name, *words, "--resume"])
