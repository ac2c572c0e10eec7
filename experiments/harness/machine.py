"""The machine of a run: a backend that starts, memory, and versions."""

import contextlib
import datetime
import os
import pathlib
import platform
import subprocess
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import jax
import optax

from experiments.harness import process

COPIES = 4  # of the parameters while they are trained: gradient, and Adam's two moments


def check_backend() -> None:
    """Check that JAX can compute, before any file is written.

    Raises:
        process.UsageError: JAX does not start.
    """
    if process.began() and "XLA_FLAGS" in os.environ:
        _check_flags_of_xla()
    try:
        jax.devices()
        jax.numpy.zeros(())
    except Exception as error:  # of any type, from the backend
        why = process.sentence(error) if str(error) else "it finds no such device"
        raise process.UsageError(
            f"JAX cannot start with {process.variables() or 'this installation'}: {why}"
        ) from error


def _check_flags_of_xla() -> None:
    """Start JAX in a separate process, as XLA ends a process whose flags it refuses."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", "import jax; jax.devices()"],
        capture_output=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "0"},
        check=False,
    )
    if done.returncode and b"XLA_FLAGS" in done.stderr:
        lines = done.stderr.decode("utf-8", "replace").splitlines()
        message = next(line for line in lines if "XLA_FLAGS" in line)
        raise process.UsageError(
            f"XLA refuses XLA_FLAGS={os.environ['XLA_FLAGS']}: "
            f"{message.partition('] ')[2] or message}"
        )


def check_promotion() -> None:
    """Check that optax can train under strict promotion of dtypes, if it is set.

    Raises:
        process.UsageError: It does not support it.
    """
    if jax.config.values["jax_numpy_dtype_promotion"] != "strict":
        return
    weight, optimizer = jax.numpy.zeros(()), optax.adam(1.0)
    try:
        jax.eval_shape(optimizer.update, weight, optimizer.init(weight))
    except jax.dtypes.TypePromotionError as error:
        raise process.UsageError(
            "JAX_NUMPY_DTYPE_PROMOTION=strict: optax's optimizers do not support it, "
            "and this experiment trains; unset it"
        ) from error


def memory() -> int:
    """Number of bytes available for arrays, on the device or in the process."""
    device = jax.local_devices()[0]
    if device.platform != "cpu":
        with contextlib.suppress(Exception):
            return int((device.memory_stats() or {})["bytes_limit"])
    limits = [2**63 - 1]
    with contextlib.suppress(ValueError, OSError, AttributeError):
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit > 0:  # not RLIM_INFINITY
            limits.append(limit)
    with contextlib.suppress(OSError, ValueError):  # "max" is no number
        limits.append(int(pathlib.Path("/sys/fs/cgroup/memory.max").read_text()))
    return min(limits)


def need(bytes: float, what: str, flags: str) -> None:
    """Refuse arrays that do not fit in memory, before they are allocated.

    Args:
        bytes: Least number of bytes needed.
        what: Name of the arrays, in the plural.
        flags: Flags that determine their size.

    Raises:
        process.UsageError: The machine has fewer bytes.

    Example:
        >>> need(1e18, "the weights", "--features")
        Traceback (most recent call last):
        experiments.harness.process.UsageError: flag --features: the weights ...
    """
    there = memory()
    if bytes > there:
        raise process.UsageError(
            f"flag {flags}: {what} need {bytes / 1e9:.4g} GB of memory; this machine "
            f"has {there / 1e9:.4g} GB"
        )


def keep_compiled() -> None:
    """Keep compiled programs on the disk, so that the next run need not compile."""
    cache = os.path.expanduser(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    if jax.config.values["jax_compilation_cache_dir"] is None and cache[0] != "~":
        folder = str(pathlib.Path(cache) / "backflow")
        jax.config.update("jax_compilation_cache_dir", folder)
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        # Small programs, too: there are dozens before the first step.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    # On a full disk the program runs without its cache.
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation")


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """A context in which orbax does not wait for other processes of the run."""
    if jax.process_count() == 1:
        yield
        return
    from unittest import mock

    from orbax.checkpoint.experimental import v1 as ocp

    # Its options do not cover one step, which compares the folders of all processes.
    from orbax.checkpoint.experimental.v1._src.saving import execution

    here = jax.process_index()
    options = ocp.options.MultiprocessingOptions(
        primary_host=here, active_processes={here}
    )
    with (
        ocp.Context(multiprocessing_options=options),
        mock.patch.object(execution, "_check_directory_consistency"),
    ):
        yield


def environment() -> dict[str, Any]:
    """The environment of a run, on which the results depend apart from the flags.

    Returns:
        The time, the git commit, the versions of packages, the device and the machine.
    """
    device = jax.devices()[0]
    return {
        "started": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "commit": _commit(),
        "versions": process.versions(),
        "device": f"{device.platform}: {device.device_kind}",
        "devices": jax.device_count(),
        "processes": jax.process_count(),
        "machine": platform.platform(),
    }


def _commit() -> str | None:
    """The commit of the project, with "-dirty" if files differ; None without git."""
    project = pathlib.Path(__file__).parents[2]
    if not (project / ".git").exists():
        return None
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=project, capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.strip() or None
