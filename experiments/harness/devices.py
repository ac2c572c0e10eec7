"""Devices of a command: cores of the CPU, accelerators, and several processes.

JAX reads the number of devices and the other processes when its backend starts.
"""

import os
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh

from experiments.harness import process, processes
from experiments.harness.cli import LaunchFlags
from experiments.harness.process import UsageError

AXES = "study", "data"

# Threads of XLA if batches may be divided: devices that add their gradients block
# threads, and wait for ever if there are no more threads than devices. Otherwise there
# are as many threads as cores, as more threads make a step take 1.5 times as long.
THREADS = 64


def start(flags: LaunchFlags, *, trains: bool) -> None:
    """Set the devices, before JAX's backend starts; join the other processes.

    Args:
        flags: The flags.
        trains: Whether the command trains.

    Raises:
        UsageError: A flag is wrong, or the other processes are not found.

    Example:
        >>> start(LaunchFlags(devices=2), trains=False)
        Traceback (most recent call last):
        experiments.harness.process.UsageError: flag --devices: this command ...
    """
    asked = [name for name in ("devices", "coordinator") if getattr(flags, name)]
    if asked and not trains:
        raise UsageError(f"flag --{asked[0]}: this command does not train; remove it")
    where = processes.parse(flags)
    if process.began() and trains:  # else JAX may have started, with its own devices
        _set_count(flags)
    if where is not None:
        processes.join(where)


def _set_count(flags: LaunchFlags) -> None:
    """Set the number of devices that JAX will have in this process."""
    forced = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if flags.devices or not (forced or jax.config.values["jax_num_cpu_devices"] > 0):
        jax.config.update("jax_num_cpu_devices", flags.devices or cores())
        if flags.devices or flags.coordinator:
            os.environ.setdefault("NPROC", str(THREADS))  # read by XLA
    if flags.devices and flags.coordinator != "auto":
        for name in ("jax_cuda_visible_devices", "jax_rocm_visible_devices"):
            if jax.config.values[name] == "all":
                jax.config.update(name, ",".join(map(str, range(flags.devices))))


def cores() -> int:
    """Number of physical cores that this process may use.

    Returns:
        A number, at least 1. It considers the affinity of the process and limits of
        its control group.

    Example:
        >>> cores() >= 1
        True
    """
    from joblib.externals import loky  # 0.1 s, unless scikit-learn is used

    return loky.cpu_count(only_physical_cores=True)


def check(flags: LaunchFlags) -> None:
    """Check the number of devices, after the backend has started.

    Args:
        flags: The flags.

    Raises:
        UsageError: There are fewer devices.
    """
    there = jax.local_devices()
    if process.began() and flags.devices and len(there) != flags.devices:
        raise UsageError(
            f"flag --devices: expected {len(there)}, the number of {there[0].platform} "
            f"devices, or 0; got {flags.devices}"
        )


def mesh(
    members: int, batch_size: int, flags: LaunchFlags | None = None
) -> Mesh | None:
    """The devices that train a number of models.

    Members of a study are divided among devices of each process. Batches are divided
    among processes, and among devices only if `--devices` is given: small batches are
    slower on several devices.

    Args:
        members: Number of models.
        batch_size: Examples per step.
        flags: The flags.

    Returns:
        A mesh with the axes "study" and "data"; None for one device.

    Raises:
        UsageError: The batch cannot be divided among the processes.

    Example:
        >>> mesh(1, 64) is None
        True
    """
    count, local = jax.process_count(), jax.local_device_count()
    if batch_size % count:
        raise UsageError(
            f"flag --batch_size: expected a multiple of {count}, the number of "
            f"processes; got {batch_size}"
        )
    study, data = shape(
        members, batch_size // count, local, divide=bool(flags and flags.devices)
    )
    if study * data * count == 1:
        return None
    if count == 1:
        there = jax.local_devices()[: study * data]
        kinds: Any = (AxisType.Auto, AxisType.Auto)
        return jax.make_mesh((study, data), AXES, axis_types=kinds, devices=there)
    # All members are in every process, and the batches are divided among processes.
    rows = [
        [d for d in jax.devices() if d.process_index == index][: study * data]
        for index in range(count)
    ]
    grid = np.array(rows).reshape(count, study, data).swapaxes(0, 1)
    return Mesh(grid.reshape(study, count * data), AXES)


def shape(
    members: int, batch_size: int, devices: int, *, divide: bool
) -> tuple[int, int]:
    """Numbers of devices among which members and batches are divided.

    Args:
        members: Number of models.
        batch_size: Examples per step.
        devices: Number of devices.
        divide: Whether a batch may be divided.

    Returns:
        The numbers of devices of the axes "study", the fewest with equally little work,
        and "data", among the rest.

    Example:
        >>> shape(3, 64, 16, divide=True), shape(3, 64, 16, divide=False)
        ((3, 4), (3, 1))
        >>> shape(5, 64, 4, divide=False)  # two models on each of three devices
        (3, 1)
    """
    each = -(-members // min(devices, members))
    study = -(-members // each)
    rest = devices // study if divide else 1
    return study, max(n for n in range(1, rest + 1) if batch_size % n == 0)
