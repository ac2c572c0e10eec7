"""Hashes of the user's own data, by which a run knows them again."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from experiments.harness.folders import ResultsError
from experiments.harness.process import UsageError
from train import DataError
from train.data import loading, text
from train.data.files import expanded, read


def fingerprint(config: Any) -> dict[str, str] | None:
    """Path and SHA-256 of the user's own data, for config.json.

    Args:
        config: The flags of any experiment.

    Returns:
        "flag", the flag that names the data; "path" and "sha256"; None for built-in
        data.

    Raises:
        UsageError: `--data` is neither the name of built-in data nor a path.
        DataError: The data cannot be read.
    """
    flag, name = "text_file", getattr(config, "text_file", "")
    if hasattr(config, "own"):
        flag, name = "data", config.own()
    if not name:
        return None
    path = expanded(name).absolute()
    if flag == "text_file":
        read(path, text.HINT)  # says what is wrong with it
        files = [path]
    else:
        if config.built_in() and not os.path.lexists(path):
            raise UsageError(
                f"flag --data: expected {', '.join(config.built_in())}, or a file or "
                f"folder; there is none called {name!r}"
            )
        files = loading.files(name, config.kind())
    return {"flag": flag, "path": str(path), "sha256": loading.sha256(files)}


def restored(config: Any, data: Mapping[str, str], folder: pathlib.Path) -> Any:
    """The flags of a run with the place of its data, which must not have changed.

    The data are expected at their absolute path; or, if there is nothing, at the path
    that the flag gives.

    Args:
        config: The flags of the run.
        data: Its `fingerprint`.
        folder: Folder of the run, for the message.

    Returns:
        The flags.

    Raises:
        ResultsError: The data cannot be read, or have changed.
    """
    flag = data.get("flag", "data")
    if os.path.lexists(data["path"]):
        config = dataclasses.replace(config, **{flag: data["path"]})
    try:
        now = fingerprint(config)
    except (UsageError, DataError) as error:
        raise ResultsError(
            f"run {folder} needs its data, {data['path']}, which cannot be read: "
            f"{error}"
        ) from None
    if now is None or now["sha256"] != data["sha256"]:
        raise ResultsError(
            f"run {folder} needs its data, {data['path']}, which have changed since "
            "(by their SHA-256); restore them, or run the experiment again"
        )
    return config
