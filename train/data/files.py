"""Open and read the user's files: no waiting for pipes, one error per failure."""

import errno
import os
import pathlib
import stat
from io import BufferedReader

from train.data.errors import DataError

MOST = 2**32  # largest file in bytes, as files are read as a whole


def expanded(path: str | bytes | os.PathLike) -> pathlib.Path:
    """Expand ~ in a path to the home folder.

    Args:
        path: Any path.

    Returns:
        The path; ~ is kept if there is no home folder.

    Example:
        >>> expanded("~/data").name, expanded(b"data").name
        ('data', 'data')
    """
    return pathlib.Path(os.path.expanduser(os.fsdecode(path)))


def opened(path: pathlib.Path) -> BufferedReader:
    """Open a regular file for reading.

    Pipes and devices are refused: a pipe may block forever, and a device such as
    /dev/zero has no end.

    Args:
        path: Path of the file.

    Returns:
        The open file, in binary mode.

    Raises:
        OSError: The file is missing, unreadable, not a regular file, or larger than
            4 GiB, or its name contains a NUL.

    Example:
        >>> with opened(pathlib.Path(__file__)) as file:
        ...     len(file.read(3))
        3
    """
    try:
        status = path.stat()
    except (OSError, ValueError):
        status = None  # opening the file gives the better message
    if status and not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        raise OSError(errno.EINVAL, "a pipe or a device, not a regular file")
    if status and stat.S_ISREG(status.st_mode) and status.st_size > MOST:
        raise OSError(errno.EFBIG, f"{status.st_size} bytes, more than {MOST}")
    try:
        return path.open("rb")
    except ValueError:
        raise OSError(errno.EINVAL, "a name with a NUL in it") from None


def read(path: str | bytes | os.PathLike, hint: str) -> bytes:
    """Read a file as a whole.

    Args:
        path: Path of the file; ~ is the home folder.
        hint: Remedy for the message, such as "name a text file in UTF-8".

    Returns:
        The bytes.

    Raises:
        DataError: The file is missing, unreadable, not a regular file, or larger than
            4 GiB.

    Example:
        >>> len(read(__file__, "name a file")) == os.path.getsize(__file__)
        True
    """
    path = expanded(path)
    try:
        with opened(path) as file:
            return file.read()
    except FileNotFoundError:
        raise DataError(f"{path}: the file does not exist; {hint}") from None
    except IsADirectoryError:
        raise DataError(f"{path}: expected a file; got a folder; {hint}") from None
    except OSError as error:
        raise DataError(
            f"{path}: expected a readable file; got {error.strerror or error}; {hint}"
        ) from None


def read_text(path: str | bytes | os.PathLike, hint: str) -> str:
    """Read a file in UTF-8.

    Args:
        path: Path of the file; ~ is the home folder.
        hint: As in `read`.

    Returns:
        The text, with line feeds as line ends, without a byte order mark.

    Raises:
        DataError: As in `read`, or the file is not in UTF-8.

    Example:
        >>> "def read_text" in read_text(__file__, "name a file")
        True
    """
    path = expanded(path)
    try:
        # Some editors write a byte order mark, which is not part of the text.
        text = read(path, hint).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: expected text in UTF-8; got the byte {error.object[error.start]} "
            f"at position {error.start}; save the file as UTF-8"
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")
