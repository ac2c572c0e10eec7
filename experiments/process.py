"""The process of a command: its streams, its signals, its path, its last word.

All of it is set up before anything slow is imported, so that a mistake, or Ctrl-C, is
answered at once. A program that imports `experiments` as a library is left alone.
"""

import contextlib
import io
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import PathFinder

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
SIGNALS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "hung up"}
FAULT = 70  # EX_SOFTWARE of BSD's sysexits.h: a mistake of the program's own

# What a signal is answered with, beside its name: each returns words for the sentence.
at_stop: list[Callable[[], str]] = []
_children: list[subprocess.Popen] = []
_began: list[str] = []  # the name of the command


class UsageError(Exception):
    """A user's mistake, in one sentence."""


def asked() -> str | None:
    """The module that Python was asked to run as a command, if it is one of ours.

    Returns:
        Its full name, as "experiments.gates"; None in any other program, such as a
        notebook or a test.
    """
    if sys.argv[:1] == ["-m"]:  # Python is still looking for the module
        name, _ = _module_and_flags()
        return name if name.partition(".")[0] == "experiments" else None
    script = pathlib.Path(sys.argv[0] if sys.argv else "").resolve()
    if script.parent == HERE and script.suffix == ".py":
        return f"experiments.{script.stem}"
    return None


def begin(module: str) -> None:
    """Make this process the command of a module.

    Args:
        module: Its full name; "experiments" for the list of all.
    """
    first = not _began
    _began[:] = [module.rpartition(".")[2]]
    if first:
        _open_streams()
        sys.excepthook = _unhandled
        _watch_signals()
        # Figures are files: no backend for windows is needed, whatever is asked for.
        os.environ["MPLBACKEND"] = "agg"
        _order_path()
    if module not in ("experiments", "experiments.__main__"):
        _expect_experiment(_began[0])
        early = sys.argv[:1] == ["-m"]
        _expect_once(_module_and_flags()[1] if early else sys.argv[1:])


def began() -> bool:
    """Whether this process is a command."""
    return bool(_began)


def say(sentence: str) -> None:
    """Write a line to standard error, which may be closed or written to by others."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"{sentence}\n")
        sys.stderr.flush()


def leave(name: str, sentence: str, code: int) -> typing.NoReturn:
    """Say why a command ends, and end it.

    Args:
        name: Of the experiment.
        sentence: Why.
        code: The exit code.
    """
    say(f"{name}: {sentence}")
    sys.exit(code)


def run(command: Sequence[str], **options: typing.Any) -> int:
    """Run another command to its end, which a signal to this one ends too.

    Args:
        command: Words.
        **options: As in `subprocess.Popen`.

    Returns:
        Its exit code.
    """
    with subprocess.Popen(command, **options) as child:
        _children.append(child)
        try:
            child.communicate()
        except BaseException:
            child.terminate()
            raise
        finally:
            _children.remove(child)
    return child.returncode


def experiments() -> dict[str, str]:
    """Every experiment, and the question that it asks: its first line.

    Returns:
        From the name to the question, of all modules that can be run.

    Example:
        >>> "gates" in experiments(), "decay" in experiments()
        (True, False)
    """
    found = {}
    for path in sorted(HERE.glob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "\n    launch.main(" in text:
            question = re.match(r'r?"""(.+)', text)
            found[path.stem] = question[1].strip() if question else ""
    return found


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
    r"""What an exception says, in one line of moderate length.

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
    found = [
        f"{name}={value}"
        for name, value in sorted(os.environ.items())
        if re.match("JAX_|XLA_|CUDA_VISIBLE", name)
        and name not in ("JAX_COMPILATION_CACHE_DIR",)
    ]
    return " ".join(found)


def _open_streams() -> None:
    """Have standard input, output and error, which take any character."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:  # closed: the next file would get its number, and the output
            os.open(os.devnull, os.O_RDWR)
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is None:
            stream = open(number, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace", line_buffering=True)


class _Forgiving(io.TextIOBase):
    """A stream that may be closed, full, or unable to say a character."""

    def __init__(self, stream: typing.TextIO):
        self._stream = stream
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        if self.error is None:
            try:
                self._write(text)
            except OSError as error:
                self.error = error
            except ValueError:  # it is closed
                self.error = OSError("it is closed")
        return len(text)

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
        except UnicodeEncodeError:
            encoding = self._stream.encoding or "ascii"
            plain = text.encode(encoding, "backslashreplace").decode(encoding)
            self._stream.write(plain)

    def flush(self) -> None:
        if self.error is None:
            try:
                self._stream.flush()
            except OSError as error:
                self.error = error
            except ValueError:
                self.error = OSError("it is closed")

    def isatty(self) -> bool:
        return self.error is None and self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding


@contextlib.contextmanager
def forgiving_streams() -> Iterator[None]:
    """Within, nothing fails because of how it is shown.

    Who reads the output may have gone, as `head` does; then the rest is not shown.
    """
    out = _Forgiving(sys.stdout)
    with (
        contextlib.redirect_stdout(out),  # type: ignore[type-var]
        contextlib.redirect_stderr(_Forgiving(sys.stderr)),  # type: ignore[type-var]
    ):
        try:
            yield
        finally:
            out.flush()
            if out.error is not None and not isinstance(out.error, BrokenPipeError):
                say(f"standard output cannot be written: {out.error}")
    if out.error is not None and began():
        # Or Python complains, at its end, of what it still holds back.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _watch_signals() -> None:
    """End at once at a signal, whatever the main thread does.

    Python's own handlers wait until the main thread is back from compiled code, and an
    exception that they raise may come out in the midst of anything: JAX swallows one
    that reaches its callbacks. So C writes the signal's number into a pipe, and a
    thread that reads it ends the process.
    """
    if os.name != "posix":
        return  # Windows has Ctrl-C alone, which is a KeyboardInterrupt there
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    heard = []
    for name in SIGNALS:
        number = getattr(signal, name)
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, lambda *_: None)
            signal.siginterrupt(number, False)
            heard.append(number)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def wait() -> None:
        while True:
            (number,) = os.read(reader, 1)
            if number in heard:
                _stop(number)

    threading.Thread(target=wait, name="signals", daemon=True).start()


def _stop(number: int) -> None:
    """The end of a process that got a signal."""
    try:
        for child in list(_children):
            with contextlib.suppress(OSError):
                child.terminate()
        words = []
        for ask in list(at_stop):
            with contextlib.suppress(Exception):
                words.append(ask())
        word = SIGNALS[signal.Signals(number).name]
        line = "\n" if os.isatty(2) else ""  # a bar may stand there
        text = f"{line}{_began[0]}: {word}{''.join(words)}\n"
        with contextlib.suppress(OSError):
            os.write(2, text.encode("utf-8", "backslashreplace"))
        for child in list(_children):
            with contextlib.suppress(Exception):
                child.wait(timeout=5)
    finally:
        # Without the end that Python makes, in which XLA's threads would crash.
        os._exit(128 + number)


def _unhandled(
    kind: type[BaseException],
    error: BaseException,
    trace: types.TracebackType | None,
) -> None:
    """What is said of an exception that came before `launch.main` could handle it."""
    if isinstance(error, KeyboardInterrupt):
        say(f"{_began[0]}: interrupted")
        os._exit(130)
    text, code = _why_not_imported(error, trace)
    say(f"{_began[0]}: {text}")
    os._exit(code)


def _why_not_imported(
    error: BaseException, trace: types.TracebackType | None
) -> tuple[str, int]:
    """A sentence and an exit code, for an exception of importing."""
    last = ""
    for frame, _ in traceback.walk_tb(trace):
        last = frame.f_code.co_filename
    told = keep_traceback(error)
    if re.search(r"[/\\]jax[/\\]_src[/\\]config\.py$", last) and variables():
        return f"JAX does not accept its environment, {variables()}: {error}", 2
    if isinstance(error, ModuleNotFoundError):
        return f"{error}: the installation is not complete ({told})", 1
    return f"cannot start: {sentence(error)} ({told})", FAULT


def _order_path() -> None:
    """Look for modules here first, and in the working folder last.

    `python -m` looks there first: a `train.py` of the user's would be taken for ours, a
    `json.py` for Python's. One's own cells are still found there.
    """
    here = os.getcwd() if _exists_here() else None
    first = sys.path[0] if sys.path else None
    script = first is not None and first and pathlib.Path(first).resolve() == HERE
    if first in ("", here) and here != str(ROOT):
        sys.path.append(sys.path.pop(0))
    elif script:
        sys.path.pop(0)
    if here is not None and here not in sys.path and "" not in sys.path:
        sys.path.append(here)
    for name in ("nets", "train"):
        spec = PathFinder.find_spec(name)
        origin = pathlib.Path((spec and spec.origin) or "").resolve()
        if origin != ROOT / name / "__init__.py":
            hides = f"{origin} hides" if spec and spec.origin else "nothing is found as"
            leave(
                _began[0],
                f"{hides} the package {name!r} of backflow ({ROOT / name}); rename it, "
                "or take its folder out of PYTHONPATH",
                2,
            )


def _exists_here() -> bool:
    """Whether the working folder has not been removed."""
    try:
        return bool(os.getcwd())
    except OSError:
        leave(_began[0], "the working folder has been removed; enter another", 2)


def _expect_experiment(name: str) -> None:
    """Refuse a part of an experiment, and what is none."""
    text = ""
    with contextlib.suppress(OSError, ValueError):
        text = (HERE / f"{name}.py").read_text(encoding="utf-8")
    if "\n    launch.main(" in text:
        return
    what = "a part of experiments, and none itself" if text else "no experiment"
    leave(name, f"this is {what}; expected one of {', '.join(experiments())}", 2)


def _module_and_flags() -> tuple[str, list[str]]:
    """The word after `-m`, and those after it."""
    words = sys.orig_argv
    for i, word in enumerate(words[1:], 1):
        if found := re.fullmatch("-[bBdEhiIOPqsSuvx]*m(.*)", word, re.S):
            rest = [found[1], *words[i + 1 :]] if found[1] else words[i + 1 :]
            return rest[0], rest[1:]
    return "", []


def _expect_once(arguments: Sequence[str]) -> None:
    """Refuse a flag that is given twice, as one of the two would be ignored."""
    given = []
    for argument in arguments:
        if argument == "--":
            return
        found = re.match(r"--?([A-Za-z]\w*)(?:=|$)", argument, re.S)
        if found and found[1] not in ("flagfile", "undefok"):
            if found[1] in given:
                leave(_began[0], f"flag --{found[1]} is given twice; give it once", 2)
            given.append(found[1])
