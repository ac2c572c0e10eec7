"""The shards in a folder, checked to be parts of one study."""

import json
import pathlib
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.harness import cli, process, streams
from experiments.harness.report import typed
from experiments.harness.saved import SavedRun, open_run
from experiments.harness.shards import Shard

SHARD = re.compile(r"shard_(\d+)_of_(\d+)", re.ASCII)
UNFINISHED = ".unfinished"
# Flags of a shard that are not flags of the merged run, and their defaults.
LEFT_OUT = {"shard": "", "coordinator": "", "num_processes": 0, "process_id": -1}
# Entries of config.json that all shards have in common; not the time and the machine.
COMMON = "experiment", "device", "devices", "processes", "versions"


def read(folder: pathlib.Path) -> list[SavedRun]:
    """Open all shards of a study.

    Args:
        folder: Folder that the shards share. It may have other content too.

    Returns:
        The shards by index.

    Raises:
        UsageError: There is no shard, or a shard is missing or not complete.
        ResultsError: A shard is damaged.
    """
    if not folder.is_dir():
        raise cli.UsageError(
            f"expected a folder of shards; there is no folder {folder}"
        )
    complete, count = _complete(folder)
    if missing := [index for index in range(count) if index not in complete]:
        raise cli.UsageError(_lacking(folder, missing, count))
    shards = [open_run(complete[index]) for index in range(count)]
    for index, run in enumerate(shards):
        if run.metadata.get("shard") != str(Shard(index, count)):
            raise cli.UsageError(
                f"expected shard {index} of {count} in {run.folder}; its config.json "
                f"has shard {run.metadata.get('shard')!r}"
            )
        _check_alike(shards[0], run)
    commits = dict.fromkeys(str(run.metadata.get("commit")) for run in shards)
    if len(commits) > 1:
        streams.say(f"merge: the shards are of several commits: {', '.join(commits)}")
    return shards


def _complete(folder: pathlib.Path) -> tuple[dict[int, pathlib.Path], int]:
    """Folders of the complete shards by index, and the number of shards."""
    complete, counts = {}, set()
    for path in sorted(folder.glob("shard_*")):
        match = SHARD.fullmatch(path.name.removesuffix(UNFINISHED))
        if match is None or not path.is_dir():
            raise cli.UsageError(
                f"expected folders shard_I_of_N only, of the names that begin with "
                f"shard_; got {path}; remove it, or rename it"
            )
        index, count = map(int, match.groups())
        counts.add(count)
        if not path.name.endswith(UNFINISHED):
            complete[index] = path
    if not counts:
        raise cli.UsageError(
            f"expected folders shard_0_of_N, shard_1_of_N, ... in {folder}; there are "
            "none"
        )
    if len(counts) > 1:
        numbers = " and ".join(map(str, sorted(counts)))
        raise cli.UsageError(
            f"expected the shards of one study in {folder}; got shards of {numbers}; "
            "remove those of one study"
        )
    return complete, counts.pop()


def _lacking(folder: pathlib.Path, missing: Sequence[int], count: int) -> str:
    """A sentence on the shards that are missing or not complete."""
    names = {index: f"shard_{index}_of_{count}" for index in missing}
    begun = [i for i in missing if (folder / f"{names[i]}{UNFINISHED}").is_dir()]
    absent = [index for index in missing if index not in begun]
    parts = []
    if absent:
        which = ", ".join(f"--shard={index}/{count}" for index in absent)
        parts.append(f"has no shard {', '.join(map(str, absent))}: run {which}")
    if begun:
        first = folder / f"{names[begun[0]]}{UNFINISHED}"
        parts.append(
            f"has unfinished shards {', '.join(map(str, begun))}: wait for their end, "
            f"or resume them, e.g. {_resuming(first, folder)}"
        )
    return f"expected {count} complete shards; {folder} {'; and it '.join(parts)}"


def _resuming(unfinished: pathlib.Path, folder: pathlib.Path) -> str:
    """The command that resumes a shard."""
    rest = shlex.join([f"--results={folder}", "--resume"])
    try:
        metadata = json.loads((unfinished / "config.json").read_text(encoding="utf-8"))
        return f"{metadata['command']} {rest}"
    except (OSError, ValueError, LookupError, TypeError):
        return f"its command with {rest}"


def _check_alike(first: SavedRun, run: SavedRun) -> None:
    """Refuse two shards that are not of one study, and name the difference."""
    one, other = first.metadata, run.metadata
    for name in COMMON:
        if one.get(name) != other.get(name):
            _refuse(first, run, name, one.get(name), other.get(name))
    one_data, other_data = (known.get("data", {}) for known in (one, other))
    if one_data.get("sha256") != other_data.get("sha256"):
        paths = one_data.get("path"), other_data.get("path")
        _refuse(first, run, "the content of their data", *paths)
    flags = one["config"].keys() | other["config"].keys()
    for name in sorted(flags):
        values = [typed(known["config"].get(name)) for known in (one, other)]
        if values[0] != values[1]:
            _refuse(first, run, f"flag --{name}", *values)


def _refuse(first: SavedRun, run: SavedRun, what: str, one: Any, other: Any) -> None:
    """Raise the error for shards that differ."""
    what, one, other = _difference(what, one, other)
    raise cli.UsageError(
        f"expected shards of one study; {first.folder.name} and {run.folder.name} "
        f"differ in {what}: {one} and {other}"
    )


def _difference(what: str, one: Any, other: Any) -> tuple[str, Any, Any]:
    """The entry in which two values differ, if they are mappings."""
    if not (isinstance(one, Mapping) and isinstance(other, Mapping)):
        return what, one, other
    names = [name for name in [*one, *other] if one.get(name) != other.get(name)]
    return f"{what}: {names[0]}", one.get(names[0]), other.get(names[0])


def module_name(shards: Sequence[SavedRun]) -> str:
    """Name of the module of the study's experiment.

    Raises:
        UsageError: It is not an experiment of this project.
    """
    name = shards[0].experiment
    if name not in process.experiments():
        raise cli.UsageError(
            f"expected shards of one of the experiments; {shards[0].folder} is of "
            f"{name or 'an unknown experiment'}"
        )
    return f"experiments.{name}"


def flags(run: SavedRun) -> list[str]:
    """The flags of the study, as they were typed for one of its shards.

    Args:
        run: The shard.

    Returns:
        Words, without the shard and without other processes, as nothing is trained.
    """
    words, kept = shlex.split(str(run.metadata.get("command", "")))[3:], []
    while words:
        word = words.pop(0)
        if re.fullmatch(f"--?({'|'.join(LEFT_OUT)})(=.*)?", word, re.S):
            del words[: "=" not in word]  # and its value
        else:
            kept.append(word)
    # They may be in a file of flags.
    in_file = any(re.match("--?flagfile", word) for word in kept)
    return [*kept, *(f"--{n}={v}" for n, v in LEFT_OUT.items() if in_file)]


def expect_same(run: SavedRun, environment: Mapping[str, Any]) -> None:
    """Check that the measurements after training are made as those of the shards.

    Args:
        run: A shard.
        environment: Versions and device of this process.

    Raises:
        UsageError: They differ from those of the shard.
    """
    for name in ("device", "versions"):
        before, now = run.metadata.get(name), environment[name]
        if before != now:
            what, before, now = _difference(name, before, now)
            raise cli.UsageError(
                f"the shards were run with {what} {before}, and this is {now}; merge "
                "them with the same"
            )
