"""Differences between a run and the command that resumes it."""

import json
import pathlib
from collections.abc import Collection, Mapping
from typing import Any

from experiments.harness.folders import ResultsError

FREE = {"checkpoint_every"}  # flags that change no result


def between(
    before: Mapping[str, Any], now: Mapping[str, Any], extends: Collection[str] = ()
) -> str:
    """The settings in which the config.json of two runs differ.

    Args:
        before: Content of config.json of the run to resume.
        now: Content for the run that resumes it.
        extends: Names of flags that may differ, as they add to the results. Versions
            and devices may then differ too, as what is there is not continued.

    Returns:
        Words for a sentence; "" if the run can be resumed.

    Example:
        >>> between({"config": {"features": 8}}, {"config": {"features": 16}})
        'other flags: --features=8 (now 16)'
    """
    kinds = [run.get("experiment") for run in (before, now)]
    if None not in kinds and kinds[0] != kinds[1]:
        return f"another experiment: {kinds[0]} (now {kinds[1]})"
    flags = _differing(before.get("config"), now.get("config"), {*extends, *FREE})
    if flags:
        return f"other flags: {', '.join(f'--{flag}' for flag in flags)}"
    if before.get("data") != now.get("data"):
        return "other data files"
    if extends:
        return ""
    versions = _differing(before.get("versions"), now.get("versions"), (), " ")
    if versions:
        return f"other versions: {', '.join(versions)}"
    places = [
        {name: run[name] for name in ("device", "devices", "processes") if name in run}
        for run in (before, now)
    ]
    devices = _differing(places[0], places[1], (), " ")
    return f"other devices: {', '.join(devices)}" if devices else ""


def check(
    run: pathlib.Path,
    now: Mapping[str, Any],
    extends: Collection[str] = (),
    *,
    called: pathlib.Path | None = None,
) -> None:
    """Check that the run in a folder can be resumed by a command.

    Args:
        run: Folder of the run; without a config.json it is of any command.
        now: Content of config.json of the command.
        extends: As in `between`.
        called: Name of the folder in messages.

    Raises:
        ResultsError: The run has another config, or its config.json is damaged.

    Example:
        >>> check(pathlib.Path("results/none"), {"steps": 3})
    """
    file, called = run / "config.json", called or run
    try:
        before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        if not isinstance(before, dict):
            raise ValueError("config.json is no object")
    except (ValueError, OSError, RecursionError) as error:
        raise damaged(called, error) from None
    if before and (other := between(before, now, extends)):
        raise ResultsError(
            f"results folder {called} belongs to a run with {other}; give the same, or "
            "name another folder"
        )


def damaged(called: pathlib.Path, error: Exception) -> ResultsError:
    """The error for a run with a file that cannot be read.

    Args:
        called: Name of its folder.
        error: Error of reading the file.

    Returns:
        The error.

    Example:
        >>> str(damaged(pathlib.Path("run"), ValueError("line 3"))).partition(":")[0]
        'results folder run cannot be resumed, because a file in it is damaged'
    """
    return ResultsError(
        f"results folder {called} cannot be resumed, because a file in it is "
        f"damaged: {error}; remove the folder, or name another"
    )


def _differing(
    before: Any, now: Any, free: Collection[str], sign: str = "="
) -> list[str]:
    """Names and both values of the entries that differ."""
    if not (isinstance(before, Mapping) and isinstance(now, Mapping)):
        return []  # from an earlier version
    return [
        f"{name}{sign}{_shown(before.get(name))} (now {_shown(now.get(name))})"
        for name in dict.fromkeys([*before, *now])
        if name not in free and before.get(name) != now.get(name)
    ]


def _shown(value: Any) -> str:
    """The value of a flag, as it is typed."""
    if isinstance(value, list):
        return ",".join(map(_shown, value))
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
