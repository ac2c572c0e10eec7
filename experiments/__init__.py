"""The experiments; `python -m experiments.NAME --help` describes one of them."""

import os
import sys


def _asked() -> str | None:
    """The module of this package that Python runs as a command.

    None in any other program, such as a notebook or a test. Nothing is imported to find
    out, so that signals are handled as early as possible.
    """
    if sys.argv[:1] == ["-m"]:  # Python is still looking for the module
        words = sys.orig_argv
        for i, word in enumerate(words[1:], 1):
            if word[:1] == "-" and word[-1:] == "m" and word[1:].isalpha():
                name = words[i + 1]
                return name if name.partition(".")[0] == __name__ else None
        return None
    folder, file = os.path.split(os.path.realpath(sys.argv[0] if sys.argv else ""))
    here = os.path.dirname(os.path.realpath(__file__))
    if folder == here and file.endswith(".py"):
        return f"{__name__}.{file.removesuffix('.py')}"
    if os.path.dirname(folder) == here and file == "__main__.py":
        return f"{__name__}.{os.path.basename(folder)}"
    return None


def _here() -> str | None:
    """The working folder; None if it has been removed."""
    try:
        return os.getcwd()
    except OSError:
        return None


def _look_here_last() -> None:
    """Search the working folder last, and never the folder of this package.

    `python -m` searches the working folder first. A file `train.py` of the user would
    then replace the package `train`, and a file `json.py` that of Python. Cells in the
    working folder are still found.
    """
    ours = os.path.dirname(os.path.realpath(__file__))
    first = os.path.realpath(sys.path[0]) if sys.path else ours
    if first == ours:
        sys.path.pop(0)
    elif sys.argv[:1] == ["-m"] and sys.path[0] == _here() != os.path.dirname(ours):
        sys.path.append(sys.path.pop(0))


if (_name := _asked()) is not None:
    _look_here_last()

    from experiments.harness import signals, streams

    streams.open_all()  # first, or a pipe gets the number of a closed stream
    signals.watch(_name.rpartition(".")[2])

    from experiments.harness import process

    process.begin(_name)
