"""Hashes of the user's own data, by which a run knows them again."""

import os
import pathlib
from typing import Any

from experiments.harness.process import UsageError
from train.data import loading


def fingerprint(config: Any) -> dict[str, str] | None:
    """Path and SHA-256 of the user's own data, for config.json.

    Args:
        config: The flags of any experiment.

    Returns:
        "path" and "sha256"; None for built-in data.

    Raises:
        UsageError: `--data` is neither the name of built-in data nor a path.
        DataError: The data cannot be read.
    """
    if not hasattr(config, "own") or not config.own():
        return None
    path = pathlib.Path(config.own()).absolute()
    if config.built_in() and not os.path.lexists(path):
        raise UsageError(
            f"flag --data: expected {', '.join(config.built_in())}, or a file or "
            f"folder; there is none called {config.own()!r}"
        )
    files = loading.files(config.own(), config.kind())
    return {"path": str(path), "sha256": loading.sha256(files)}
