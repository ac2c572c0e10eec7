"""The process of a command: streams, signals, import path, last message.

All of it is set up before anything slow is imported, so that a mistake, or Ctrl-C, is
answered at once. A program that imports `experiments` as a library is left alone.
"""

import contextlib
import difflib
import os
import pathlib
import re
import sys
import tempfile
import time
import traceback
import types
import typing
from collections.abc import Iterable
from importlib.machinery import PathFinder

from experiments.harness import allocator, signals, streams

HERE = pathlib.Path(__file__).resolve().parent.parent
ROOT = HERE.parent
PACKAGES = (
    *("backflow", "jax", "jaxlib", "flax", "optax", "numpy", "scikit-learn"),
    *("jax-cuda12-plugin", "jax-cuda13-plugin", "libtpu"),
)
FAULT = 70  # EX_SOFTWARE of BSD's sysexits.h: a mistake of the program's own

STARTED = time.monotonic()
_began = False
_reported = False


class UsageError(Exception):
    """A user's mistake, in one sentence."""


def begin(module: str) -> None:
    """Make this process the command of a module.

    Args:
        module: Its full name; "experiments" for the list of all.
    """
    global _began
    if not _began:
        streams.open_all()  # first, or a pipe gets the number of a closed one
    signals.watch(module.rpartition(".")[2])
    if not _began:
        _began = True
        sys.excepthook = _unhandled
        # Figures are files: no backend for windows is needed, whatever is asked for.
        os.environ["MPLBACKEND"] = "agg"
        allocator.keep_memory()
        _order_path()
    if module not in ("experiments", "experiments.__main__"):
        _expect_experiment(signals.command)


def began() -> bool:
    """True if this process is a command."""
    return _began


def report_start() -> None:
    """Print the time until the first training step of the command, once."""
    global _reported
    if _began and not _reported:
        _reported = True
        streams.say(f"first step after {time.monotonic() - STARTED:.1f} s")


def leave(name: str, sentence: str, code: int) -> typing.NoReturn:
    """Say why a command ends, and end it.

    Args:
        name: Name of the experiment.
        sentence: Why.
        code: The exit code.
    """
    streams.say(f"{name}: {sentence}")
    sys.exit(code)


def experiments() -> dict[str, str]:
    """Every experiment, and the question that it asks: its first line.

    Returns:
        From the name to the question, of all modules that can be run.

    Example:
        >>> "gates" in experiments(), "harness" in experiments()
        (True, False)
    """
    questions = {}
    for path in sorted(HERE.glob("*/__main__.py")):
        text = path.with_name("__init__.py").read_text(encoding="utf-8")
        question = re.match(r'r?"""(.+)', text)
        questions[path.parent.name] = question[1].strip() if question else ""
    return questions


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on.

    Returns:
        From the name to the version; accelerators only if they are installed.

    Example:
        >>> sorted(versions())[:3]
        ['backflow', 'flax', 'jax']
    """
    import importlib.metadata  # 30 ms, which other commands do not need
    import platform

    numbers = {}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            numbers[name] = importlib.metadata.version(name)
    return numbers | {"python": platform.python_version()}


def versions_text() -> str:
    """The versions, one per line.

    Returns:
        Lines.

    Example:
        >>> versions_text().splitlines()[0].split()[0]
        'backflow'
    """
    return "\n".join(f"{package} {number}" for package, number in versions().items())


def nearest(word: str, words: Iterable[str]) -> str:
    """The end of a sentence on a word that is not known.

    Args:
        word: The word.
        words: The words that are known.

    Returns:
        The known word that is nearest; "" if none is near.

    Example:
        >>> nearest("lsmt", ["gru", "lstm"]), nearest("x", ["gru"])
        ('; did you mean lstm?', '')
    """
    close = difflib.get_close_matches(word, list(words), 1)
    return f"; did you mean {close[0]}?" if close else ""


def keep_traceback(error: BaseException, folder: pathlib.Path | None = None) -> str:
    """Write where an exception came from to a file.

    Args:
        error: The exception.
        folder: Where; by default, or if it is not there, among the temporary files.

    Returns:
        The name of the file, in words for a sentence.
    """
    text = "".join(traceback.format_exception(error))
    text = f"{' '.join(sys.orig_argv)}\nPython {sys.version}\n\n{text}"
    data = text.encode("utf-8", "backslashreplace")
    with contextlib.suppress(OSError):
        if folder is not None and folder.is_dir():
            file = folder / "traceback.txt"
            file.write_bytes(data)
            return f"the traceback is in {file}"
    with contextlib.suppress(OSError):
        handle, name = tempfile.mkstemp(prefix="backflow-", suffix=".txt")
        with open(handle, "wb") as file:
            file.write(data)
        return f"the traceback is in {name}"
    return "no traceback could be written to a file"


def sentence(error: BaseException, most: int = 300) -> str:
    r"""The message of an exception, in one line of moderate length.

    Example:
        >>> sentence(ValueError("one line\n  and another"))
        'ValueError: one line and another'
    """
    text = " ".join(str(error).split())
    if len(text) > most:
        text = text[: most - 3] + "..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def variables() -> str:
    """The variables of the environment that JAX and XLA read, as a shell has them."""
    parts = [
        f"{name}={value}"
        for name, value in sorted(os.environ.items())
        if re.match("JAX_|XLA_|CUDA_VISIBLE", name)
        and name not in ("JAX_COMPILATION_CACHE_DIR",)
    ]
    return " ".join(parts)


def _unhandled(
    kind: type[BaseException],
    error: BaseException,
    trace: types.TracebackType | None,
) -> None:
    """Report an exception that came before `cli.main` could handle it."""
    if isinstance(error, KeyboardInterrupt):
        streams.say(f"{signals.command}: interrupted")
        os._exit(130)
    text, code = _why_not_imported(error, trace)
    streams.say(f"{signals.command}: {text}")
    os._exit(code)


def _why_not_imported(
    error: BaseException, trace: types.TracebackType | None
) -> tuple[str, int]:
    """A sentence and an exit code, for an exception of importing."""
    last = ""
    for frame, _ in traceback.walk_tb(trace):
        last = frame.f_code.co_filename
    log = keep_traceback(error)
    if re.search(r"[/\\]jax[/\\]_src[/\\]config\.py$", last) and variables():
        return f"JAX does not accept its environment, {variables()}: {error}", 2
    if isinstance(error, ModuleNotFoundError):
        return f"{error}: the installation is not complete ({log})", 1
    return f"cannot start: {sentence(error)} ({log})", FAULT


def _order_path() -> None:
    """Find one's own cells in the working folder, and our packages where we are."""
    here = _working_folder()
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)
    for name in ("nets", "train"):
        spec = PathFinder.find_spec(name)
        origin = pathlib.Path((spec and spec.origin) or "").resolve()
        if origin != ROOT / name / "__init__.py":
            hides = f"{origin} hides" if spec and spec.origin else "nothing is found as"
            leave(
                signals.command,
                f"{hides} the package {name!r} of backflow ({ROOT / name}); rename it, "
                "or take its folder out of PYTHONPATH",
                2,
            )


def _working_folder() -> str:
    """The working folder, which may have been removed."""
    try:
        return os.getcwd()
    except OSError:
        leave(signals.command, "the working folder has been removed; enter another", 2)


def _expect_experiment(name: str) -> None:
    """Refuse a name that is not an experiment."""
    names = experiments()
    if name in names:
        return
    file = HERE.joinpath(*name.split("."))
    is_part = file.is_dir() or file.with_suffix(".py").is_file()
    what = "a part of experiments, not an experiment" if is_part else "no experiment"
    close = difflib.get_close_matches(name, names, 1)
    names = ", ".join(names)
    hint = f"did you mean {close[0]}?" if close else f"expected one of {names}"
    leave(name, f"this is {what}; {hint}", 2)
