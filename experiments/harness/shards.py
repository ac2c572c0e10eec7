"""Shards: parts of a study that are separate runs, for example jobs of a cluster.

Shard i of n, counted from 0, trains the members i, i + n, i + 2n, ... of every
training. It is the run `shard_i_of_n` in a folder that all shards share;
`experiments.merge` joins them.
"""

import dataclasses
import importlib
import pathlib
import re
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

from experiments.harness.process import UsageError

MOST = 100_000  # digits of a longer number may not fit in the name of a folder

Member = TypeVar("Member")


class Shard(NamedTuple):
    """One of several parts of a study.

    Attributes:
        number: Number of the shard, counted from 0.
        total: Number of shards.
    """

    number: int
    total: int

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"


def parse(text: str) -> Shard | None:
    """The value of the flag `--shard`.

    Args:
        text: "I/N", or "" for all members.

    Returns:
        The shard; None for "".

    Raises:
        UsageError: The text has another form, or there is no such shard.

    Example:
        >>> parse("2/8"), parse("")
        (Shard(number=2, total=8), None)
    """
    if not text:
        return None
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text, re.ASCII)
    shard = Shard(*map(int, match.groups())) if match else None
    if shard is None or not shard.number < shard.total <= MOST:
        raise UsageError(
            "flag --shard: expected I/N, shard I of N with I from 0 to N - 1, such as "
            f"0/8; got {text!r}"
        )
    return shard


def select(members: Sequence[Member], shard: Shard | None) -> list[Member]:
    """The members of a shard.

    Args:
        members: Members of the whole study, in its order: the seeds, or pairs of a seed
            and hyperparameters.
        shard: The shard; None for all members.

    Returns:
        Every n-th member, beginning with member i.

    Raises:
        UsageError: There are more shards than members.

    Example:
        >>> select(["a", "b", "c", "d", "e"], Shard(1, 2))
        ['b', 'd']
    """
    if shard is None:
        return list(members)
    if shard.total > len(members):
        raise UsageError(
            f"flag --shard: expected at most {len(members)} shards, one per member of "
            f"each training; got {shard}"
        )
    return list(members[shard.number :: shard.total])


def steps_of(experiment: str) -> Any:
    """The module with the steps of an experiment.

    Args:
        experiment: Name of the experiment.

    Returns:
        The module; None if it is not an experiment of this project.
    """
    name = f"experiments.{experiment}.experiment"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not name.startswith(str(error.name)):
            raise
        return None


def by_setting(name: str, members: Sequence[Any]) -> dict[str, list[int]]:
    """The members of each setting of a training, by a name for the setting.

    Args:
        name: Name of the training.
        members: Its members, with the attributes of those in `narrowed`.

    Returns:
        Indices of members, from the name and the settings that differ.

    Example:
        >>> from types import SimpleNamespace
        >>> grid = [SimpleNamespace(settings={"gain": g}) for g in (1.0, 1.0, 2.0)]
        >>> by_setting("gru", grid)
        {'gru, gain=1.0': [0, 1], 'gru, gain=2.0': [2]}
    """
    first, groups = members[0].settings, {}
    varied = [
        key for key in first if any(m.settings[key] != first[key] for m in members)
    ]
    for place, member in enumerate(members):
        words = [name, *(f"{key}={member.settings[key]}" for key in varied)]
        groups.setdefault(", ".join(words), []).append(place)
    return groups


def narrowed(config: Any, shard: Shard, name: str) -> Any:
    """The flags of a shard: those of the study with the seeds of the shard.

    An experiment whose members are not the seeds alone has a function
    `members(config)`: from the name of each training to its members, with the
    attributes `seed` and `settings`, a dict. It calls `select`, and the flags stay the
    same.

    Args:
        config: Flags of the study.
        shard: The shard.
        name: Name of the experiment.

    Returns:
        The flags.

    Raises:
        UsageError: The experiment does not train, or there are more shards than
            members of a training.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Config:
        ...     seeds: list[int]
        ...     learning_rate: float = 1e-3
        >>> narrowed(Config([0, 1, 2]), Shard(0, 2), "mine").seeds
        [0, 2]
    """
    if not (hasattr(config, "seeds") and hasattr(config, "learning_rate")):
        raise UsageError(
            f"flag --shard: {name} has no members to divide, as it does not train one "
            "network per --seeds"
        )
    module = steps_of(name)
    if hasattr(module, "members"):
        for members in module.members(config).values():
            select(members, shard)
        return config
    return dataclasses.replace(config, seeds=select(config.seeds, shard))


def folder(results: str | pathlib.Path | None, shard: Shard) -> pathlib.Path:
    """The results folder of a shard.

    Args:
        results: Folder that all shards share; None if it is not named.
        shard: The shard.

    Returns:
        A path in the folder.

    Raises:
        UsageError: The folder is not named, as a default name has the time.

    Example:
        >>> folder("results/study", Shard(2, 8)).as_posix()
        'results/study/shard_2_of_8'
    """
    if results is None:
        raise UsageError(
            "flag --shard: name the folder that all shards share with --results"
        )
    return pathlib.Path(results) / f"shard_{shard.number}_of_{shard.total}"
