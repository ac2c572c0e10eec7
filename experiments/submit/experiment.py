"""The steps of the command."""

import importlib
import pathlib
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from experiments.harness import cli, launch, process, shards
from experiments.harness.shards import Shard
from experiments.submit.config import Config

LOGS = "submitit"  # folder of the jobs' logs, in the folder of the shards


def run(config: Config) -> None:
    """Submit every shard that is not complete, and print how to join them."""
    name, *flags = config.command
    check(name, flags, config.shards)
    folder = pathlib.Path(config.results or launch.fresh_folder(name))
    jobs = submit(config, name, flags, folder.absolute())
    merge = shlex.join(["python", "-m", "experiments.merge", str(folder)])
    if not jobs:
        print(f"All {config.shards} shards are complete. Join them: {merge}")
        return
    ids = ", ".join(job.job_id for job in jobs)
    print(f"Jobs: {ids}\nLogs: {folder / LOGS}\nOnce they are complete: {merge}")


def check(name: str, flags: Sequence[str], count: int) -> None:
    """Refuse a command that no shard could run, before any job waits for a machine.

    Raises:
        UsageError: The experiment does not exist or does not train, a flag is wrong, or
            there are more shards than members.
    """
    names = process.experiments()
    if name not in names:
        raise cli.UsageError(
            f"expected the name of an experiment after --; got {name!r}"
            f"{process.nearest(name, names)}"
        )
    config_class = importlib.import_module(f"experiments.{name}").Config
    config, folder, _, launched = cli.parse_all(config_class, flags)
    if config is None or folder is not None or launched.shard:
        given = "--help" if config is None else "--results or --shard"
        raise cli.UsageError(f"expected flags of {name} after --; got {given}")
    shards.narrowed(config, Shard(0, count), name)


def submit(
    config: Config, name: str, flags: Sequence[str], folder: pathlib.Path
) -> list[Any]:
    """Submit every shard that is not complete.

    Args:
        config: The flags.
        name: Name of the experiment.
        flags: Flags of the experiment.
        folder: Folder that all shards share.

    Returns:
        The jobs of submitit.

    Raises:
        UsageError: submitit is not installed, there is no such cluster, or a parameter
            is unknown.
    """
    try:
        import submitit

        from experiments.submit.jobs import ShardJob
    except ModuleNotFoundError as error:
        raise cli.UsageError(
            f"{error}; install it with: pip install 'backflow[slurm]'"
        ) from None
    jobs = []
    for index in range(config.shards):
        shard = Shard(index, config.shards)
        place = shards.folder(folder, shard)
        if not place.exists():
            command = [sys.executable, "-m", f"experiments.{name}", *flags]
            command += [f"--results={folder}", f"--shard={shard}", "--resume"]
            jobs.append(ShardJob(command, place))
    if not jobs:
        return []
    try:
        executor = submitit.AutoExecutor(
            folder / LOGS,
            config.cluster,
            slurm_max_num_timeout=config.timeouts,
            local_max_num_timeout=config.timeouts,
        )
        executor.update_parameters(
            name=name, timeout_min=config.timeout_min, **parameters(config.parameters)
        )
    except (RuntimeError, NameError, ValueError, AssertionError) as error:
        first = str(error).splitlines()[0]
        raise cli.UsageError(f"submitit refuses the job: {first}") from None
    with executor.batch():
        return [executor.submit(job) for job in jobs]


def parameters(words: Sequence[str]) -> dict[str, Any]:
    """Parameters of submitit from the flag.

    Args:
        words: "NAME=VALUE" each.

    Returns:
        Values by name: integers where the text is one, else strings.

    Raises:
        UsageError: A word has another form.

    Example:
        >>> parameters(["gpus_per_node=1", "slurm_partition=gpu"])
        {'gpus_per_node': 1, 'slurm_partition': 'gpu'}
    """
    named: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name.isidentifier() and equals and value):
            raise cli.UsageError(
                f"flag --parameters: expected NAME=VALUE,NAME=VALUE; got {word!r}"
            )
        named[name] = int(value) if value.isdecimal() else value
    return named
