"""Streams that take any character, and never fail."""

import contextlib
import io
import os
import sys
import typing
from collections.abc import Iterator


def say(sentence: str) -> None:
    """Write a line to standard error; ignore errors.

    Args:
        sentence: Text to print.
    """
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"{sentence}\n")
        sys.stderr.flush()


def open_all() -> None:
    """Open standard input, output and error, if closed, and accept any character."""
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
    """A stream that may be closed, full, or unable to encode a character."""

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

    def is_file(self) -> bool:
        """True for the standard output that Python flushes at its end."""
        return self._stream is sys.__stdout__

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding


@contextlib.contextmanager
def forgiving() -> Iterator[None]:
    """A context in which printing never fails.

    If the reader of the output has ended, as `head` does, the rest is not printed.
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
    if out.error is not None and out.is_file():
        # Or Python complains, at its end, of what it still holds back.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


class _NoTerminal(_Forgiving):
    """A stream that is no terminal, so that it shows no progress bar."""

    def isatty(self) -> bool:
        return False


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """A context in which nothing is printed except messages on standard error."""
    with (
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(_NoTerminal(sys.stderr)),  # type: ignore[type-var]
    ):
        yield
