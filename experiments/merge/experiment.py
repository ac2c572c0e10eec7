"""The steps of the command."""

import dataclasses
import importlib
import os
import pathlib
import shutil
import sys

from experiments.harness import cli, folders, machine
from experiments.harness.folders import ResultsError
from experiments.merge import joining, records
from experiments.merge.config import Config

MERGED = "merged"  # folder of the merged run, in that of the shards


def run(config: Config) -> None:
    """Join the shards into an unfinished run whose networks are trained; resume it."""
    folder = pathlib.Path(config.shards)
    shards = records.read(folder)
    name = records.module_name(shards)
    module = importlib.import_module(name)
    flags = records.flags(shards[0])
    parsed = cli.parse_all(module.Config, flags)[0]
    if parsed is None or dataclasses.asdict(parsed) != shards[0].config:
        raise cli.UsageError(
            f"the flags of {shards[0].folder} have other values in this version or "
            "folder; merge with the version, and in the folder, of the shards"
        )
    records.expect_same(shards[0], machine.environment())
    results = folders.place(config.results or folder / MERGED)
    unfinished = results.with_name(results.name + records.UNFINISHED)
    for path in (results, unfinished):
        if path.exists():
            raise ResultsError(
                f"results folder {path} exists already; remove it, or name another"
            )
    try:
        unfinished.mkdir(parents=True)
    except OSError as error:
        raise folders.unusable(results, error) from None
    try:
        joining.join(shards, unfinished)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    # A new process, as JAX may need other devices than here.
    command = [sys.executable, "-m", name, *flags, f"--results={results}", "--resume"]
    os.execv(sys.executable, command)
