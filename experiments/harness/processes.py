"""Several processes that train together, by `jax.distributed`."""

import contextlib
import ctypes
import errno
import os
import pathlib
import re
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.harness import signals, streams
from experiments.harness.cli import LaunchFlags
from experiments.harness.process import UsageError

AUTO = "auto"
JOIN = 120  # seconds in which all processes must have started
SILENCE = 30  # seconds after which a process that does not answer has ended
FAILED = 1  # exit code
# Errors of a collective operation whose other processes have ended.
LOST = re.compile(r"gloo|nccl|heartbeat|coordination service|connection reset", re.I)

_stage = ""  # "join", "run" or "end", once there are several processes
_handlers: list[Any] = []  # C calls them, so they must live


class Place(NamedTuple):
    """The processes, and the number of this one; None if the cluster knows them.

    Attributes:
        address: Host and port of process 0.
        number: Number of processes.
        here: Number of this process.
    """

    address: str | None = None
    number: int | None = None
    here: int | None = None


def parse(flags: LaunchFlags) -> Place | None:
    """The processes that the flags name.

    Args:
        flags: The flags.

    Returns:
        Their place; None for a single process.

    Raises:
        UsageError: A flag is missing or wrong.

    Example:
        >>> parse(LaunchFlags(coordinator="here:1234", num_processes=2, process_id=1))
        Place(address='here:1234', number=2, here=1)
    """
    address, count, index = flags.coordinator, flags.num_processes, flags.process_id
    if address in ("", AUTO):
        for name, value in (("num_processes", count > 0), ("process_id", index >= 0)):
            if value:
                raise UsageError(
                    f"flag --{name}: expected --coordinator=HOST:PORT with it; got "
                    f"{address or 'none'}"
                )
        return Place() if address else None
    port = re.fullmatch(r".+:(\d{1,5})", address)
    if not port or not 0 < int(port[1]) < 2**16:
        raise UsageError(f"flag --coordinator: expected HOST:PORT; got {address!r}")
    if count < 1:
        raise UsageError(
            "flag --num_processes: expected the number of processes, which "
            "--coordinator needs"
        )
    if not 0 <= index < count:
        raise UsageError(
            f"flag --process_id: expected 0 to {count - 1}, below --num_processes; got "
            f"{index}"
        )
    if index == 0:
        _check_port(int(port[1]))
    return Place(address, count, index)


def _check_port(port: int) -> None:
    """Check that a port is free, without which JAX crashes."""
    family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    with socket.socket(family) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("", port))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            why = "is in use" if taken else f"cannot be opened ({error.strerror})"
            raise UsageError(
                f"flag --coordinator: port {port} of this machine {why}; name another"
            ) from None


def join(place: Place) -> None:
    """Join the other processes, before JAX's backend starts.

    Args:
        place: The processes.

    Raises:
        UsageError: No cluster is detected, or JAX has started already.
    """
    global _stage
    _stage = "join"
    _at_abort(lambda: _why(place))
    if jax.config.values["jax_cpu_collectives_implementation"] in (None, "none"):
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(
            place.address,
            place.number,
            place.here,
            cluster_detection_method=None if place.address is None else "deactivate",
            initialization_timeout=JOIN,
            heartbeat_timeout_seconds=SILENCE,
        )
    except (ValueError, RuntimeError) as error:
        why = " ".join(str(error).split())
        if place.address is None and "should be defined" in why:
            raise UsageError(
                "flag --coordinator: expected a job of SLURM, Open MPI or Kubernetes, "
                "or a TPU pod, to be detected; found none, so name HOST:PORT, with "
                "--num_processes and --process_id"
            ) from None
        raise UsageError(f"flag --coordinator: {why}") from None
    _stage = "run"


def several() -> bool:
    """True if this process is one of several."""
    return bool(_stage)


def first() -> bool:
    """True in the process that writes: the only one, or process 0."""
    return not _stage or jax.process_index() == 0


def lost(error: BaseException) -> str:
    """A sentence for an error that another process has caused by its end.

    Args:
        error: The error.

    Returns:
        The sentence; "" for another error.

    Example:
        >>> lost(ValueError("Gloo all-reduce failed"))
        ''
    """
    if not _stage or not LOST.search(str(error)):
        return ""
    return "the run failed: another process ended, or cannot be reached"


def agree(value: int) -> bool:
    """Whether a number is the same in all processes, which wait for each other.

    Args:
        value: The number.

    Returns:
        True if it is.
    """
    from jax.experimental import multihost_utils

    return len(np.unique(multihost_utils.process_allgather(np.array(value)))) == 1


@contextlib.contextmanager
def writing(
    folder: str | pathlib.Path, *, resume: bool
) -> Iterator[str | pathlib.Path]:
    """The results folder of this process: only that of process 0 is kept.

    The other processes print nothing.

    Args:
        folder: Folder of the results.
        resume: Whether the run in it is resumed.

    Yields:
        The folder, or a temporary one.

    Raises:
        UsageError: The run that is resumed cannot be read by all processes.
    """
    if not several():
        yield folder
        return
    path = pathlib.Path(folder)
    there = [p for p in (path, path.with_name(f"{path.name}.unfinished")) if p.exists()]
    if resume and not agree(len(there)):
        raise UsageError(
            f"flag --resume: expected a folder that all processes can read; got {path}"
        )
    with contextlib.ExitStack() as stack:
        if not first():
            temporary = pathlib.Path(tempfile.mkdtemp())

            def remove() -> str:
                shutil.rmtree(temporary, ignore_errors=True)
                return ""

            stack.callback(remove)
            signals.at_stop.append(remove)
            for run in there if resume else ():
                shutil.copytree(run, temporary / run.name)
            folder = temporary / path.name
            stack.enter_context(streams.silent())
        if resume:
            agree(0)  # before process 0 writes, the others have their copies
        yield folder


def leave(code: int) -> None:
    """End this process of several: with the others, or at once if it failed.

    Args:
        code: The exit code.
    """
    global _stage
    if not _stage:
        return
    if code == 0:
        _stage = "end"
        with contextlib.suppress(Exception):
            jax.distributed.shutdown()  # waits for the others
        return
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)  # or JAX would wait for the others, which wait for this one


def _why(place: Place) -> str:
    """Why JAX has ended this process."""
    if _stage == "join":
        return (
            f"the run failed: not all processes have met at {place.address} within "
            f"{JOIN} seconds; check --coordinator, and that process 0 to "
            f"{(place.number or 1) - 1} are running"
        )
    return "the run failed: another process ended, or cannot be reached"


def _at_abort(text: Callable[[], str]) -> None:
    """End with a sentence if JAX ends this process.

    If another process ends, or does not answer, JAX calls `abort` from a thread. Python
    runs its handlers of signals too late for this, in the main thread. (Functions in
    Python that JAX would call instead crash.)
    """
    if os.name != "posix":
        return

    def ended(number: int) -> None:
        if _stage == "end":  # this process is complete
            os._exit(0)
        words = [text()]
        for ask in list(signals.at_stop):
            with contextlib.suppress(Exception):
                words.append(ask())
        text_bytes = f"{signals.command}: {''.join(words)}\n".encode()
        os.write(2, text_bytes)
        os._exit(FAILED)

    handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(ended)
    _handlers.append(handler)
    ctypes.CDLL(None).signal(int(signal.SIGABRT), handler)
