"""Parameters in a run's folder: one checkpoint of orbax per network and step.

    checkpoints/index.json       networks, seeds, steps; size and CRC-32 of every file
    checkpoints/gru/840/params   parameters of all seeds, a tree of arrays [seeds, ...]
    checkpoints/gru/840/training the rest of a training, until the run is complete

A checkpoint is complete once it is in the index, which is replaced atomically.
"""

import json
import logging
import pathlib
import re
import shutil
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.harness import machine
from experiments.harness.folders import ResultsError, reserve, write
from nets.interop.names import flatten

FOLDER, INDEX = "checkpoints", "index.json"
LONGEST = 40  # characters of a network's folder
PARAMS, TRAINING = "params", "training"  # names of the parts of a checkpoint of orbax
OVERHEAD = 100_000  # bytes of a checkpoint besides the arrays
STATES = 2  # number of the latest states of a training that are kept

Files = dict[str, list[int]]


class Kept(NamedTuple):
    """The checkpoints of one network.

    Attributes:
        folder: Name of its folder.
        seeds: Seeds of its parameters, in their order.
        steps: Files of each checkpoint, with their sizes and CRC-32, by training step.
        states: The same for checkpoints with the state of the training, from which it
            is resumed.
    """

    folder: str
    seeds: list[int]
    steps: dict[int, Files]
    states: dict[int, Files]


def save(
    run: pathlib.Path,
    name: str,
    step: int,
    seeds: Sequence[int],
    params: Any,
    training: Any = None,
    keep: bool = True,
) -> None:
    """Add a checkpoint to the folder of a run.

    Args:
        run: Folder of the run.
        name: Name of the network.
        step: Number of training steps.
        seeds: Seeds of the parameters.
        params: Parameters, a tree of arrays [seeds, ...].
        training: The rest of the training, a tree of arrays. The latest of these are
            kept until the run is complete.
        keep: Whether the parameters are kept when the run is complete.

    Raises:
        OSError: The checkpoint cannot be written.
    """
    if jax.process_index():
        return  # the results of process 0 are kept
    # Importing orbax takes a third of a second.
    from orbax.checkpoint.experimental import v1 as ocp

    kept = read_index(run)
    known = kept.get(name) or Kept(_folder(name, kept), list(seeds), {}, {})
    place = run / FOLDER / known.folder / str(step)
    # NumPy arrays, whose files do not depend on the devices of the run.
    parts = {PARAMS: jax.tree.map(np.asarray, params)}
    parts |= {} if training is None else {TRAINING: training}
    # What orbax logs of an error is in the exception, too.
    logging.getLogger("absl").setLevel(logging.CRITICAL)
    try:
        size = sum(leaf.nbytes for leaf in jax.tree.leaves(parts))
        # orbax writes the arrays, then merges their files; of an error it prints more
        # than a sentence for each file.
        reserve(place.parent, 2 * size + OVERHEAD)
        with machine.alone():
            ocp.save_checkpointables(str(place), parts, overwrite=True)
        for kind, wanted in ((known.steps, keep), (known.states, training is not None)):
            kind.pop(step, None)
            if wanted:
                kind[step] = _files(place)
        old = sorted(known.states)[:-STATES]
        _drop_states(run, {**kept, name: known}, {name: old})
    except Exception as error:  # of any type, from orbax or its file system
        why = " ".join(str(error).split())
        raise OSError(f"cannot write the parameters to {place}: {why}") from error


def finish(run: pathlib.Path, keep_last: bool = False) -> None:
    """Remove what only serves to resume the trainings of a run.

    The state of an optimizer has two times the size of the parameters, and a complete
    run is not trained further.

    Args:
        run: Folder of the run.
        keep_last: Whether to keep the last state of each training.
    """
    kept = read_index(run)
    if not kept:
        return
    last = -1 if keep_last else None
    old = {name: sorted(known.states)[:last] for name, known in kept.items()}
    _drop_states(run, kept, old)
    for known in kept.values():  # left by a process that was killed
        for path in (run / FOLDER / known.folder).iterdir():
            if path.name not in map(str, [*known.steps, *known.states]):
                shutil.rmtree(path)


def _drop_states(
    run: pathlib.Path, kept: Mapping[str, Kept], old: Mapping[str, Sequence[int]]
) -> None:
    """Write the index without some states of trainings; remove their files."""
    unused = []
    for name, steps in old.items():
        for step in steps:
            place = run / FOLDER / kept[name].folder / str(step)
            kept[name].states.pop(step)
            if files := kept[name].steps.get(step):
                rest = {f: s for f, s in files.items() if not f.startswith(TRAINING)}
                kept[name].steps[step] = rest
                place /= TRAINING
            unused.append(place)
    # First, so that whatever is in the index is there.
    text = json.dumps({name: known._asdict() for name, known in kept.items()})
    write(run / FOLDER / INDEX, text + "\n")
    for place in unused:
        shutil.rmtree(place, ignore_errors=True)


def _folder(name: str, kept: Mapping[str, Kept]) -> str:
    """Name of a new folder for a network."""
    base = re.sub(r"[^A-Za-z0-9.-]+", "_", name).strip("_.")[:LONGEST] or "network"
    taken = {known.folder for known in kept.values()}
    number, folder = 1, base
    while folder in taken:
        number, folder = number + 1, f"{base}_{number + 1}"
    return folder


def _files(place: pathlib.Path) -> Files:
    """Size and CRC-32 of every file of a checkpoint."""
    files = sorted(path for path in place.rglob("*") if path.is_file())
    contents = ((path, path.read_bytes()) for path in files)
    return {
        path.relative_to(place).as_posix(): [len(data), zlib.crc32(data)]
        for path, data in contents
    }


def read_index(run: pathlib.Path) -> dict[str, Kept]:
    """The networks whose parameters a run has kept.

    Args:
        run: Folder of the run.

    Returns:
        Checkpoints by the name of the network; none without an index.

    Raises:
        ResultsError: The index is damaged.
    """
    file = run / FOLDER / INDEX
    if not file.exists():
        return {}
    try:
        networks = json.loads(file.read_text(encoding="utf-8"))
        return {
            name: Kept(
                str(known["folder"]),
                [int(seed) for seed in known["seeds"]],
                *(
                    {int(step): dict(files) for step, files in steps.items()}
                    for steps in (known["steps"], known.get("states", {}))
                ),
            )
            for name, known in networks.items()
        }
    except (ValueError, OSError, LookupError, TypeError, AttributeError) as error:
        raise ResultsError(
            f"{file} is damaged ({type(error).__name__}: {error}): the run's "
            "parameters cannot be opened; remove its folder checkpoints to train again"
        ) from None


def load(run: pathlib.Path, name: str, step: int, like: Any = None) -> Any:
    """The parameters of a checkpoint.

    Args:
        run: Folder of the run.
        name: Name of the network, in the index.
        step: Training step, in the index.
        like: Parameters of one seed, arrays or their shapes, in the structure to
            return.

    Returns:
        A tree of NumPy arrays [seeds, ...]; nested dicts and lists without `like`.

    Raises:
        ResultsError: A file is missing or damaged, or the parameters have other
            shapes than `like`.
    """
    known = read_index(run)[name]
    place = run / FOLDER / known.folder / str(step)
    params = _load(place, known.steps[step])[PARAMS]
    if like is None:
        return params
    arrays, expected = flatten(params, "."), flatten(like, ".")
    shapes = {name: array.shape[1:] for name, array in arrays.items()}
    if shapes != {name: leaf.shape for name, leaf in expected.items()}:
        raise ResultsError(
            f"checkpoint {place} has other parameters than this version of {name!r}: "
            f"expected {_shown(expected, 0)}; got {_shown(arrays, 1)}"
        )
    return jax.tree.unflatten(
        jax.tree.structure(like), [arrays[name] for name in expected]
    )


def load_training(run: pathlib.Path, name: str, step: int) -> Any:
    """The state of a training.

    Args:
        run: Folder of the run.
        name: Name of the network, in the index.
        step: Training step, in the index.

    Returns:
        The rest of the training, as nested dicts and lists of NumPy arrays.

    Raises:
        ResultsError: A file is missing or damaged.
    """
    known = read_index(run)[name]
    place = run / FOLDER / known.folder / str(step)
    return _load(place, known.states[step])[TRAINING]


def _load(place: pathlib.Path, files: Mapping[str, Sequence[int]]) -> Any:
    """The parts of a checkpoint whose files are those of the index."""
    _check(place, files)
    from orbax.checkpoint.experimental import v1 as ocp

    try:
        with machine.alone():
            return ocp.load_checkpointables(str(place.absolute()))
    except Exception as error:  # of any type, from orbax
        why = " ".join(str(error).split())
        raise ResultsError(f"checkpoint {place} cannot be read: {why}") from None


def _check(place: pathlib.Path, files: Mapping[str, Sequence[int]]) -> None:
    """Compare the files of a checkpoint with the index."""
    if not place.is_dir():
        raise ResultsError(f"checkpoint {place} is missing")
    try:
        there = _files(place)
    except OSError as error:
        raise ResultsError(f"checkpoint {place} cannot be read: {error}") from None
    for file, expected in files.items():
        if file not in there:
            raise ResultsError(f"checkpoint {place} is damaged: {file} is missing")
        if there[file] != list(expected):
            raise ResultsError(
                f"checkpoint {place} is damaged: {file} is not the file that was saved"
            )


def _shown(arrays: Mapping[str, Any], leading: int) -> str:
    """Names and shapes, for a message."""
    return ", ".join(f"{n} {list(a.shape[leading:])}" for n, a in arrays.items())
