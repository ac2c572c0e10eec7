"""Open the user's files: no waiting for pipes, and OSError for every failure."""

import errno
import os
import pathlib
import stat
from typing import BinaryIO

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


def opened(path: pathlib.Path) -> BinaryIO:
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
