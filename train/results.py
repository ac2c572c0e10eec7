"""A run's results: one folder, complete or absent."""

import contextlib
import datetime
import importlib.metadata
import json
import math
import pathlib
import platform
import shutil
import subprocess
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import jax

PACKAGES = ("backflow", "jax", "jaxlib", "flax", "optax", "numpy", "scikit-learn")


class ResultsError(Exception):
    """A results folder that cannot be had."""


class Run:
    """A results folder in the making.

    Attributes:
        folder: What it will be called when the run is complete.
        path: Where to write until then: "FOLDER.unfinished".
        rows: How many rows of metrics there are.
    """

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.path = folder.with_name(folder.name + ".unfinished")
        self.rows = 0

    def log(self, **row: Any) -> None:
        """Add a row to metrics.jsonl, on the disk when this returns.

        Args:
            **row: Names and values: numbers, strings, lists and arrays of them. What is
                not finite is written as null, as JSON has no word for it.
        """
        with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(_plain(row), allow_nan=False) + "\n")
        self.rows += 1

    def logged(self) -> list[dict[str, Any]]:
        """All rows of metrics.jsonl.

        Returns:
            A row a line.
        """
        return read_rows(self.path)


def read_rows(folder: str | pathlib.Path) -> list[dict[str, Any]]:
    """The rows of a results folder.

    Args:
        folder: Of a run, finished or not.

    Returns:
        A row a line of its metrics.jsonl; none if there is no such file. A last line
        that was cut off is left out.
    """
    file = pathlib.Path(folder) / "metrics.jsonl"
    if not file.exists():
        return []
    lines = file.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[:-1]]


@contextlib.contextmanager
def new_run(
    folder: str | pathlib.Path,
    config: Mapping[str, Any],
    *,
    resume: bool = False,
    extends: Collection[str] = (),
) -> Iterator[Run]:
    """A results folder that bears its name only once it is complete.

    While the run goes on it is called "FOLDER.unfinished". A run that fails leaves that
    behind, with what was logged; if nothing was, it leaves nothing.

    Args:
        folder: Where the results shall be; it may exist if it is empty.
        config: Written to config.json, beside the git commit, the versions of the
            packages, the device and the time.
        resume: Go on in "FOLDER.unfinished" if it is there, from a run of the same
            `config["config"]`; what it logged is in `Run.logged`.
        extends: Names in `config["config"]` that may differ from before, as a run that
            is gone on with adds to what is there. A complete folder is then gone on
            with too, as "FOLDER.unfinished"; if nothing is added, it stays as it was.

    Yields:
        A `Run`, to log to and to write figures into.

    Raises:
        ResultsError: The folder exists, or cannot be written, or what is to be resumed
            had another config.

    Example:
        >>> import tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp()) / "results"
        >>> with new_run(folder, {"steps": 3}) as run:
        ...     run.log(step=1, loss=0.5)
        >>> sorted(file.name for file in folder.iterdir())
        ['config.json', 'metrics.jsonl']
    """
    folder = pathlib.Path(folder).absolute()
    if not folder.name:
        raise ResultsError(f"expected a folder for the results; got {str(folder)!r}")
    run = Run(folder)
    again = bool(resume and extends and (folder / "config.json").is_file())
    new = not again and not run.path.exists()  # may go, if nothing comes of it
    _claim(run, resume, again)
    before = _sizes(run.path) if again else {}
    made = (run.path / "config.json").read_bytes() if again else b""
    try:
        if resume:
            _resume(run, config, extends, run.folder if again else run.path)
        text = json.dumps(_plain({**config, **_surroundings()}), indent=2)
        _write(run.path / "config.json", text + "\n")
        yield run
        run.path.replace(run.folder)
    except BaseException:
        if new and not _sizes(run.path):
            shutil.rmtree(run.path, ignore_errors=True)
        elif again and _sizes(run.path) == before:
            (run.path / "config.json").write_bytes(made)
            run.path.replace(run.folder)
        raise


def _sizes(folder: pathlib.Path) -> dict[str, int]:
    """What is in a folder beside config.json: each name, and how many bytes."""
    files = {file.name: file.stat().st_size for file in folder.glob("*")}
    files.pop("config.json", None)
    return files


def _claim(run: Run, resume: bool, again: bool) -> None:
    """Make the unfinished folder, or say why there can be none.

    If `again`, it is made of the complete one.
    """
    try:
        if again and not run.path.exists():
            run.folder.replace(run.path)
        if run.folder.exists() and (
            not run.folder.is_dir() or any(run.folder.iterdir())
        ):
            raise ResultsError(
                f"results folder {run.folder} exists already; remove it, or name "
                "another"
            )
        if run.path.exists() and not resume:
            raise ResultsError(
                f"results folder {run.path} exists already, from a run that goes on or "
                "did not come to its end; remove it, or name another"
            )
        run.path.mkdir(parents=True, exist_ok=resume)
    except OSError as error:
        raise ResultsError(
            f"results folder {run.folder} cannot be written: {error.strerror}: "
            f"{error.filename}; name another"
        ) from None


def _resume(
    run: Run, config: Mapping[str, Any], extends: Collection[str], called: pathlib.Path
) -> None:
    """Take over what a run of the same config, save what `extends` it, has logged."""
    file = run.path / "config.json"
    try:
        before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
        rows = run.logged()
    except ValueError as error:
        raise ResultsError(
            f"results folder {called} cannot be gone on with, as a file in it is "
            f"damaged: {error}; remove it, or name another"
        ) from None
    if before is not None and _fixed(before, extends) != _fixed(config, extends):
        raise ResultsError(
            f"results folder {called} is of a run with other flags; give the same, "
            "or name another folder"
        )
    if rows:
        text = "".join(json.dumps(row) + "\n" for row in rows)
        _write(run.path / "metrics.jsonl", text)
    run.rows = len(rows)


def _fixed(config: Mapping[str, Any], extends: Collection[str]) -> Any:
    """The settings that stay as they are when a run is gone on with."""
    settings = _plain(config).get("config")
    if not isinstance(settings, dict):
        return settings
    return {name: value for name, value in settings.items() if name not in extends}


def _write(file: pathlib.Path, text: str) -> None:
    """Write a file that is whole or as it was."""
    draft = file.with_name(file.name + ".draft")
    draft.write_text(text, encoding="utf-8")
    draft.replace(file)


def _surroundings() -> dict[str, Any]:
    """What a run depends on beside its flags."""
    device = jax.devices()[0]
    return {
        "started": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "commit": _commit(),
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in PACKAGES},
        },
        "device": f"{device.platform}: {device.device_kind}",
        "machine": platform.platform(),
    }


def _commit() -> str | None:
    """The commit the project is at, "-dirty" if changed since; None outside of git."""
    project = pathlib.Path(__file__).parent.parent
    if not (project / ".git").exists():
        return None
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=project, capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.strip() or None


def _plain(value: Any) -> Any:
    """The value as JSON has it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
