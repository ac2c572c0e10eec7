"""Event files of TensorBoard, made of the rows that a run logs.

    tensorboard --logdir=results/gradient_flow/TIME

A model is a run in TensorBoard: the folder tensorboard/CELL-SEED of the results, or
seed-SEED where there is one model per seed. The library tensorboardX writes the files;
it is imported if they are asked for.
"""

import contextlib
import json
import math
import pathlib
import re
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

MEASURED = ("seed", "step", "loss", "gradient_norm", "learning_rate")  # in training
PROFILES = ("log_norm", "state_gradients")  # ln |dL/ds_t| by time step


class EventFiles:
    """The event files of a run, each written when its first row comes.

    Args:
        folder: Folder for the files.
        metadata: Content of config.json.
    """

    def __init__(self, folder: pathlib.Path, metadata: Mapping[str, Any]):
        self._folder, self._metadata = folder, metadata
        self._library = _library()
        self._early: list[Mapping[str, Any]] = []  # rows from before the first training
        self._labels: list[str] = []  # names of the fields that distinguish models
        self._steps: dict[str, int] = {}
        self._files: dict[str, Any] = {}

    def add(self, row: Mapping[str, Any]) -> None:
        """Write a row, on the disk when this returns.

        Args:
            row: A row of metrics.jsonl. Rows without a seed belong to no model, and are
                left out.
        """
        if "seed" not in row:
            return
        if row["kind"] == "training":
            names = [name for name in row if name not in ("kind", *MEASURED)]
            self._labels += [name for name in names if name not in self._labels]
            early, self._early = self._early, []
            for earlier in early:
                self._write(earlier)
        elif not self._steps:
            self._early.append(row)
            return
        self._write(row)

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()

    def _write(self, row: Mapping[str, Any]) -> None:
        """Write a row into the file of its model."""
        words = [str(row[name]) for name in self._labels if name in row]
        model = re.sub(
            r"[^\w.=-]", "_", "-".join([*(words or ["seed"]), str(row["seed"])])
        )
        last = self._steps.get(model, 0)
        step = row.get("step", last)  # a row without a step comes after the last step
        self._steps[model] = max(step, last)
        labels = [
            str(value)
            for name, value in row.items()
            if isinstance(value, str) and name not in ("kind", *self._labels)
        ]
        prefix = "/".join([row["kind"], *labels])
        contents = {
            f"{prefix}/{name}": content
            for name, content in row.items()
            if name not in ("kind", "seed", "step", "steps", *self._labels)
        }
        for i, at in enumerate(row.get("steps", [])):  # a curve in one row
            curves = {tag: part[i] for tag, part in contents.items() if _is_list(part)}
            self._event(model, at, curves)
        self._event(model, step, contents)

    def _event(self, model: str, step: int, contents: Mapping[str, Any]) -> None:
        """Write numbers and images into the file of a model."""
        values = [v for tag, part in contents.items() for v in self._values(tag, part)]
        if not values:
            return
        if model not in self._files:
            folder = self._folder / model
            folder.mkdir(parents=True, exist_ok=True)
            self._files[model] = self._library.EventsWriter(str(folder / "events"))
            values += self._library.text("config", _config(self._metadata)).value
        summary = self._library.summary_pb2.Summary(value=values)
        event = self._library.event_pb2.Event
        self._files[model].write_event(
            event(wall_time=time.time(), step=step, summary=summary)
        )
        self._files[model].flush()

    def _values(self, tag: str, content: Any) -> Iterator[Any]:
        """Scalars for numbers, images for profiles, nothing for other content."""
        if isinstance(content, Mapping):
            for name, part in content.items():
                yield from self._values(f"{tag}/{name}", part)
        elif isinstance(content, list) and tag.rpartition("/")[2] in PROFILES:
            pixels = self._draw(content)
            yield from self._library.image(tag, pixels, dataformats="HWC").value
        elif isinstance(content, int | float) and not isinstance(content, bool):
            value = self._library.summary_pb2.Summary.Value
            yield value(tag=tag, simple_value=float(content))

    def _draw(self, log_norms: list[float | None]) -> np.ndarray:
        """The norm of the gradient over the time steps, as pixels."""
        values = [math.nan if value is None else value for value in log_norms]
        figure = Figure(figsize=(4.5, 3), dpi=80)
        canvas = FigureCanvasAgg(figure)
        axis = figure.add_axes((0.16, 0.16, 0.81, 0.81))  # laid out in half the time
        axis.plot(np.array(values) / math.log(10))
        axis.set(xlabel="time step", ylabel="log10 |dL/ds|")
        axis.grid(alpha=0.3)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3]


@contextlib.contextmanager
def following(run: Any) -> Iterator[None]:
    """Write the rows that a run logs to event files too, if its flags ask for it.

    A run that is resumed logs all rows again, and so the files are written again.

    Args:
        run: A `Run`.
    """
    config = run.metadata.get("config")
    if not (isinstance(config, Mapping) and config.get("tensorboard")):
        yield
        return
    folder = run.path / "tensorboard"
    if run.repeats:
        shutil.rmtree(folder, ignore_errors=True)
    files = EventFiles(folder, run.metadata)
    run.listeners.append(files.add)
    try:
        yield
    finally:
        run.listeners.remove(files.add)
        files.close()


def _is_list(value: Any) -> bool:
    """Whether a value is a list of numbers."""
    return isinstance(value, list) and all(isinstance(v, int | float) for v in value)


def _config(metadata: Mapping[str, Any]) -> str:
    """The flags and the environment, as a table of Markdown."""
    rows = {"command": metadata.get("command"), "commit": metadata.get("commit")}
    rows |= metadata["config"]
    cells = {
        name: json.dumps(value).replace("|", r"\|") for name, value in rows.items()
    }
    lines = [f"| {name} | {text} |" for name, text in cells.items()]
    return "\n".join(["| flag | value |", "|---|---|", *lines])


def _library() -> SimpleNamespace:
    """The parts of tensorboardX that are used, imported without torch."""
    blocked = {"torch"} - set(sys.modules)
    sys.modules |= dict.fromkeys(blocked)  # an import of it fails, which is expected
    try:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto import event_pb2, summary_pb2
        from tensorboardX.summary import image, text
    finally:
        for name in blocked:
            del sys.modules[name]
    return SimpleNamespace(
        EventsWriter=EventsWriter,
        event_pb2=event_pb2,
        summary_pb2=summary_pb2,
        image=image,
        text=text,
    )
