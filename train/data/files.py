"""Opening the user's files without waiting, with one kind of exception."""

import errno
import os
import pathlib
import stat
from typing import BinaryIO

MOST = 2**32  # bytes of a file that is read as a whole


def expanded(path: str | bytes | os.PathLike) -> pathlib.Path:
    """A path with ~ as the home folder.

    Args:
        path: Any path.

    Returns:
        The path; ~ stays in it if there is no home folder.

    Example:
        >>> expanded("~/data").name, expanded(b"data").name
        ('data', 'data')
    """
    return pathlib.Path(os.path.expanduser(os.fsdecode(path)))


def opened(path: pathlib.Path) -> BinaryIO:
    """A regular file, open for reading.

    A pipe is not waited for, and a device such as /dev/zero, which has no end, is not
    read.

    Args:
        path: The file.

    Returns:
        The open file, in bytes.

    Raises:
        OSError: There is no such file, it may not be read, its name has a NUL in it, it
            is no regular file, or it has more than 4 GiB.

    Example:
        >>> with opened(pathlib.Path(__file__)) as file:
        ...     len(file.read(3))
        3
    """
    try:
        found = path.stat()
    except (OSError, ValueError):
        found = None  # which opening it says better
    if found and not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        raise OSError(errno.EINVAL, "a pipe or a device, not a regular file")
    if found and stat.S_ISREG(found.st_mode) and found.st_size > MOST:
        raise OSError(errno.EFBIG, f"{found.st_size} bytes, more than {MOST}")
    try:
        return path.open("rb")
    except ValueError:
        raise OSError(errno.EINVAL, "a name with a NUL in it") from None
