"""Results folders: checked before a run, and locked during the run."""

import errno
import os
import pathlib
import tempfile
from typing import Any

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None

LONGEST = 64  # characters, as no file of a run has a name as long
FULL = errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)


class ResultsError(Exception):
    """The results folder cannot be used."""


def place(folder: str | pathlib.Path) -> pathlib.Path:
    """The path of the results folder.

    Args:
        folder: Path that the user gave.

    Returns:
        An absolute path that is not a link.

    Raises:
        ResultsError: No folder can be made there, or renamed.
    """
    path = pathlib.Path(os.path.abspath(folder))
    if "\0" in str(path):
        raise unusable(path, ValueError("embedded null byte"))
    try:
        if path.is_symlink() and not path.exists():
            raise ResultsError(
                f"results folder {path} is a link to what is not there; remove it, or "
                "name another"
            )
        path = path.resolve() if path.is_symlink() else path
        here = pathlib.Path.cwd()
        mounted = path.is_mount()
    except (OSError, ValueError, RuntimeError) as error:  # a NUL, links in a circle
        raise unusable(path, error) from None
    if not path.name:
        raise ResultsError(f"expected a folder for the results; got {str(path)!r}")
    if here.is_relative_to(path) or mounted:
        what = "a mounted disk" if mounted else "the working folder or around it"
        raise ResultsError(
            f"results folder {path} is {what}, which cannot be renamed; name a new one "
            "inside it"
        )
    return path


def unusable(folder: pathlib.Path, error: Exception) -> ResultsError:
    """The error for a folder that cannot be used.

    Args:
        folder: The folder.
        error: Error of the system.

    Returns:
        An exception to raise.
    """
    name = getattr(error, "filename", None)
    why = f"{getattr(error, 'strerror', None) or error}{f': {name}' if name else ''}"
    return ResultsError(
        f"results folder {_short(folder)} cannot be written: {_short(why)}; name "
        "another"
    )


def _short(text: Any) -> str:
    """A text whose middle is left out if it is long."""
    text = str(text)
    return text if len(text) <= 200 else f"{text[:90]}...{text[-90:]}"


def expect_long_names(folder: pathlib.Path) -> None:
    """Check that a folder takes long names: write such a file, and remove it.

    Args:
        folder: The folder.

    Raises:
        OSError: The file cannot be written.
    """
    file = folder / ("x" * LONGEST)
    file.touch()
    file.unlink()


def lock(folder: pathlib.Path) -> int:
    """Lock a folder until this process ends or closes the lock.

    Args:
        folder: A folder that exists; it may be renamed while it is locked.

    Returns:
        A file descriptor; -1 where there are no locks.

    Raises:
        ResultsError: A different run has locked the folder.
    """
    if fcntl is None:
        return -1
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        taken = os.fstat(handle).st_ino != folder.stat().st_ino  # renamed meanwhile
    except (BlockingIOError, FileNotFoundError):
        taken = True
    except OSError:  # a file system without locks
        os.close(handle)
        return -1
    if taken:
        os.close(handle)
        raise ResultsError(
            f"results folder {folder} exists already, and another run writes to it; "
            "wait for its end, or name another"
        )
    return handle


def unlock(handle: int) -> None:
    """Release the lock of a folder.

    Args:
        handle: Result of `lock`.
    """
    if handle >= 0:
        os.close(handle)


def set_aside(path: pathlib.Path) -> None:
    """Rename the folder of an earlier run, by adding the first free number.

    Args:
        path: The folder.
    """
    count = 1
    while (aside := path.with_name(f"{path.name}.{count}")).exists():
        count += 1
    path.replace(aside)


def write(file: pathlib.Path, text: str) -> None:
    """Write a file atomically.

    Args:
        file: File to write or to replace.
        text: Its content.
    """
    draft = file.with_name(file.name + ".draft")
    draft.write_text(text, encoding="utf-8")
    draft.replace(file)


def reserve(folder: pathlib.Path, count: int) -> None:
    """Check that so many bytes fit on the disk, where it can be checked.

    Args:
        folder: Folder on the disk, which is made if it does not exist.
        count: Number of bytes.

    Raises:
        OSError: They do not fit.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            os.posix_fallocate(file.fileno(), 0, count)
        except OSError as error:
            if error.errno in FULL:  # or the file system reserves nothing
                raise
