"""Signals that end a command, and the commands that it has started.

A training ends between two of its steps, and saves its state. Everything else ends at
once.
"""

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import subprocess

SIGNALS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "hung up"}
PATIENCE = 20.0  # seconds in which a training has to end after a signal
ECHO = 1.0  # seconds: a terminal and `timeout` send a signal to all processes, twice

# What a signal is answered with, after its name: each returns words for the sentence.
at_stop: list[Callable[[], str]] = []
_stopping: list[int] = []
_requested = 0  # number of the signal that asks a training to end
_patient = False  # whether a training reads it
command = ""  # its name, once signals are watched
_children: "list[subprocess.Popen]" = []


class Stopped(KeyboardInterrupt):
    """A training ended because of a signal, and its state is saved.

    Attributes:
        number: Number of the signal.
    """

    def __init__(self, number: int):
        super().__init__(number)
        self.number = number


@contextlib.contextmanager
def awaiting_end() -> Iterator[Callable[[], int]]:
    """A context in which a signal does not end the process at once.

    Yields:
        Function that returns the number of the signal that came, or 0. It has to be
        called often: from its first call on, the process ends `PATIENCE` seconds after
        a signal, or at a second signal. Before, as during compilation, it ends at once.
        Whoever reads a number ends the process.
    """

    def requested() -> int:
        global _patient
        _patient = True
        return _requested

    global _patient
    try:
        yield requested
    finally:
        _patient = bool(_requested)


def run(words: Sequence[str], **options: Any) -> int:
    """Run a command and wait for its end; a signal to this process ends it, too.

    Args:
        words: Words of its command line.
        **options: As in `subprocess.Popen`.

    Returns:
        Its exit code.
    """
    import subprocess

    with subprocess.Popen(words, **options) as child:
        _children.append(child)
        try:
            child.communicate()
        except BaseException:
            child.terminate()
            raise
        finally:
            _children.remove(child)
    while _stopping:  # this process ends in a moment, by the signal that ended that
        time.sleep(1)
    return child.returncode


def watch(name: str) -> None:
    """End the process at once at a signal, whatever the main thread does.

    A handler in Python waits until the main thread returns from compiled code. The
    exception that it raises may then appear anywhere, and JAX ignores exceptions in its
    callbacks. Therefore C writes the number of the signal into a pipe, and a thread
    that reads the pipe ends the process.

    Args:
        name: Name of the command, with which the message begins.
    """
    global command
    watched, command = command, name
    if watched or os.name != "posix":
        return  # Windows has Ctrl-C alone, which is a KeyboardInterrupt there
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    # First, or a signal between its handler and this would be lost.
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    heard = []
    for kind in SIGNALS:
        number = getattr(signal, kind)
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, lambda *_: None)
            signal.siginterrupt(number, False)
            heard.append(number)

    def wait() -> None:
        while True:
            (number,) = os.read(reader, 1)
            if number in heard:
                _ask(number, reader, heard)
                _stop(number)

    threading.Thread(target=wait, name="signals", daemon=True).start()


def word(number: int) -> str:
    """The participle for a signal, from its number."""
    return SIGNALS[signal.Signals(number).name]


def _ask(number: int, reader: int, heard: Collection[int]) -> None:
    """Ask a training to end; return if it does not, or at a second signal."""
    global _requested
    _requested, began = number, time.monotonic()
    while _patient and (left := began + PATIENCE - time.monotonic()) > 0:
        if select.select([reader], [], [], min(left, 0.1))[0]:
            (second,) = os.read(reader, 1)
            if second in heard and time.monotonic() - began > ECHO:
                return


def _stop(number: int) -> None:
    """End this process and its children after a signal."""
    _stopping.append(number)
    children = list(_children)
    try:
        for child in children:
            with contextlib.suppress(OSError):
                child.terminate()
        words = []
        for ask in list(at_stop):
            with contextlib.suppress(Exception):
                words.append(ask())
        line = "\n" if os.isatty(2) else ""  # after a progress bar
        text = f"{line}{command}: {word(number)}{''.join(words)}\n"
        with contextlib.suppress(OSError):
            os.write(2, text.encode("utf-8", "backslashreplace"))
        for child in children:
            with contextlib.suppress(Exception):
                child.wait(timeout=PATIENCE)
    finally:
        # Without the end that Python makes, in which XLA's threads would crash.
        os._exit(128 + number)
