"""A run's results: one folder, complete or absent."""

import contextlib
import json
import pathlib
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from experiments.harness import changes, checkpoints, events, folders, machine
from experiments.harness.background import Writer
from experiments.harness.cli import FigureFlags, LaunchFlags
from experiments.harness.folders import ResultsError
from experiments.harness.rows import Rows, plain, read_rows

FORMAT = 1  # of a run's folder


class Run:
    """The results folder of a run that is not complete.

    Attributes:
        folder: Name of the folder once the run is complete.
        path: Name of the folder until then: "FOLDER.unfinished".
        metadata: Content of config.json.
        question: Question that the run answers: title and text of its report.
        listeners: Functions that are called with every row that is logged.
        figures: Form of its figures.
        launch: Its devices, and other processes.
        writer: Writer of its checkpoints.
        repeats: Whether rows that are there already will be logged again.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        metadata: Mapping[str, Any] | None = None,
        question: str = "",
    ):
        self.folder = folder
        self.metadata = metadata or {}
        self.question = question
        self.figures = FigureFlags()
        self.launch = LaunchFlags()
        self.path = folder.with_name(folder.name + ".unfinished")
        self.listeners: list[Callable[[Mapping[str, Any]], None]] = []
        self.writer = Writer()
        self.repeats = False
        self._rows = Rows(self.path / "metrics.jsonl")
        self._new = True  # nothing was there before
        self._before: dict[str, int] | None = None  # what a complete run held
        self._made = b""  # and its config.json
        self._began = time.perf_counter()

    def log(self, **row: Any) -> None:
        """Add a row to metrics.jsonl, on the disk when this returns.

        A run that is resumed logs the rows again that are there already; they are not
        written twice.

        Args:
            **row: Names and values: numbers, strings, lists and arrays of them. Numbers
                that are not finite are written as null, as JSON cannot express them.
        """
        added = self._rows.add(plain(row))
        for listen in self.listeners:
            listen(added)

    def keep(self, name: str, step: int, seeds: Sequence[int], params: Any) -> None:
        """Save parameters, to be opened by `experiments.harness.saved.open_run`.

        They are written in the background.

        Args:
            name: Name of the network.
            step: Number of training steps.
            seeds: Seeds of the parameters.
            params: Parameters, a tree of arrays [seeds, ...].
        """
        params = jax.tree.map(np.array, params)  # a copy: training changes its arrays
        self.writer.submit(checkpoints.save, self.path, name, step, seeds, params)

    def abandon(self) -> None:
        """Undo what `new_run` did, if nothing has been written since.

        A run that fails or is stopped does this: what it logged stays.
        """
        if self._new and not _sizes(self.path):
            shutil.rmtree(self.path, ignore_errors=True)
        elif self._before is not None and _sizes(self.path) == self._before:
            (self.path / "config.json").write_bytes(self._made)
            self.path.replace(self.folder)

    def logged(self) -> list[dict[str, Any]]:
        """All rows of metrics.jsonl, one dict per row."""
        return read_rows(self.path)

    def _expect(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Expect the rows that are there already to be logged again."""
        self.repeats = True
        self._rows.repeat(rows)

    def _complete(self) -> None:
        """Give the folder its name."""
        self.writer.wait()
        self._rows.cut()
        if self._new:  # the duration of a run that was resumed is not known
            metadata = {**self.metadata, "seconds": time.perf_counter() - self._began}
            text = json.dumps(metadata, indent=2)
            folders.write(self.path / "config.json", text + "\n")
        # `experiments.merge` joins the trainings of shards.
        checkpoints.finish(self.path, keep_last="shard" in self.metadata)
        self.path.replace(self.folder)


@contextlib.contextmanager
def new_run(
    folder: str | pathlib.Path,
    config: Mapping[str, Any],
    *,
    question: str = "",
    resume: bool = False,
    extends: Collection[str] = (),
    resumable: bool = False,
) -> Iterator[Run]:
    """A results folder that gets its name only once it is complete.

    During the run it is called "FOLDER.unfinished", and is locked: a second run in it
    is refused. (Without locks, as on Windows, it is refused unless it resumes.) The
    lock ends with the process. A run that fails leaves the unfinished folder with what
    was logged; if nothing was logged, it leaves nothing. The next run of that name sets
    the folder aside, as "FOLDER.unfinished.1".

    Args:
        folder: Folder of the results; it may exist if it is empty.
        config: Written to config.json, with the format of the folder, the git commit,
            the versions of the packages, the device, the time, and in the end the
            seconds that the run took, unless it was resumed.
        question: Question that the run answers, for its report.
        resume: True to resume "FOLDER.unfinished" if it exists, from a run of the same
            `config["config"]`; its rows are in `Run.logged`. The run begins again, and
            must log the same rows in the same order; trainings continue from their
            checkpoints.
        extends: Names in `config["config"]` that may change when a run is resumed, as
            they add to its results. The run then logs only what is added. A complete
            folder is resumed too, as "FOLDER.unfinished"; if nothing is added, it stays
            unchanged.
        resumable: True if an unfinished folder is not set aside, but refused without
            `resume`.

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
    metadata = _metadata(config)
    text = json.dumps(metadata, indent=2)
    run = Run(folders.place(folder), metadata, question)
    handle = None
    try:
        try:
            again, handle = _claim(run, resume, bool(extends), resumable)
            if again:
                run._before = _sizes(run.path)
                run._made = (run.path / "config.json").read_bytes()
            if resume:
                _resume(run, metadata, extends, run.folder if again else run.path)
            folders.write(run.path / "config.json", text + "\n")
            folders.expect_long_names(run.path)
        except OSError as error:
            raise folders.unusable(run.folder, error) from None
        with events.following(run):
            yield run
        run._complete()
    except BaseException:
        run.writer.close()
        if handle is not None:
            run.abandon()
        raise
    finally:
        run.writer.close()
        if handle is not None:
            folders.unlock(handle)


def is_complete(folder: str | pathlib.Path, config: Mapping[str, Any]) -> bool:
    """Whether a folder has the complete results of a config.

    Args:
        folder: Folder of the results.
        config: As in `new_run`.

    Returns:
        False if there are no results.

    Raises:
        ResultsError: The results are those of another config.

    Example:
        >>> is_complete("results/none", {"steps": 3})
        False
    """
    path = folders.place(folder)
    if not (path / "config.json").is_file():
        return False
    changes.check(path, _metadata(config))
    return True


def _metadata(config: Mapping[str, Any]) -> dict[str, Any]:
    """Content of config.json."""
    return plain({**config, "format": FORMAT, **machine.environment()})


def _sizes(folder: pathlib.Path) -> dict[str, int]:
    """Size in bytes of each file of a folder, except config.json."""
    files = {file.name: file.stat().st_size for file in folder.glob("*")}
    for name in ("config.json", "config.json.draft"):
        files.pop(name, None)
    return files


def _claim(
    run: Run, resume: bool, extend: bool, resumable: bool
) -> tuple[bool, int | None]:
    """Make the unfinished folder, or raise an error that explains why not.

    Returns:
        True if it was made of the complete one, and the lock on it.
    """
    again = resume and extend and (run.folder / "config.json").is_file()
    run._new = not again and not run.path.exists()  # may go, if nothing comes of it
    if again and not run.path.exists():
        handle = folders.lock(run.folder)
        run.folder.replace(run.path)
        return True, handle
    if run.folder.exists() and (not run.folder.is_dir() or any(run.folder.iterdir())):
        raise ResultsError(
            f"results folder {run.folder} exists already; remove it, or name another"
        )
    try:
        run.path.mkdir(parents=True)
    except FileExistsError:
        if not run.path.is_dir():
            raise
    except RecursionError:
        raise OSError("too many folders in each other") from None
    handle = folders.lock(run.path)
    if run._new or resume:
        return False, handle
    if not _sizes(run.path):  # it ended before it had logged anything
        run._new = True
        return False, handle
    if resumable or handle < 0:
        folders.unlock(handle)
        more = "go on with it by --resume, " if resumable else ""
        raise ResultsError(
            f"results folder {run.path} exists already, from a run that goes on or did "
            f"not come to its end; {more}remove it, or name another"
        )
    folders.set_aside(run.path)
    folders.unlock(handle)
    run.path.mkdir()
    run._new = True
    return False, folders.lock(run.path)


def _resume(
    run: Run,
    metadata: Mapping[str, Any],
    extends: Collection[str],
    called: pathlib.Path,
) -> None:
    """Take over the log of a run of the same config, apart from the `extends` flags."""
    changes.check(run.path, metadata, extends, called=called)
    try:
        rows = run.logged()
    except (ValueError, OSError, RecursionError) as error:
        raise changes.damaged(called, error) from None
    if (metrics := run.path / "metrics.jsonl").exists():
        # Without a last line that was cut off.
        folders.write(metrics, "".join(json.dumps(row) + "\n" for row in rows))
    if not extends:
        run._expect(rows)
    (run.path / "traceback.txt").unlink(missing_ok=True)  # why it ended
