"""Parameters in a run's folder: one checkpoint of orbax per network and step.

    checkpoints/index.json       networks, seeds, steps; size and CRC-32 of every file
    checkpoints/gru/840/params   parameters of all seeds, a tree of arrays [seeds, ...]

A checkpoint is complete once it is in the index, which is replaced atomically.
"""

import json
import pathlib
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.harness.folders import ResultsError, write
from nets.interop.names import flatten

FOLDER, INDEX = "checkpoints", "index.json"
LONGEST = 40  # characters of a network's folder
PARAMS = "params"  # name of the parameters in a checkpoint of orbax


class Kept(NamedTuple):
    """The checkpoints of one network.

    Attributes:
        folder: Name of its folder.
        seeds: Seeds of its parameters, in their order.
        steps: Files of each checkpoint, with their sizes and CRC-32, by training step.
    """

    folder: str
    seeds: list[int]
    steps: dict[int, dict[str, list[int]]]


def save(
    run: pathlib.Path, name: str, step: int, seeds: Sequence[int], params: Any
) -> None:
    """Add a checkpoint to the folder of a run.

    Args:
        run: Folder of the run.
        name: Name of the network.
        step: Number of training steps.
        seeds: Seeds of the parameters.
        params: Parameters, a tree of arrays [seeds, ...].

    Raises:
        OSError: The checkpoint cannot be written.
    """
    # Importing orbax takes a third of a second.
    from orbax.checkpoint.experimental import v1 as ocp

    kept = read_index(run)
    known = kept.get(name) or Kept(_folder(name, kept), list(seeds), {})
    place = run / FOLDER / known.folder / str(step)
    # NumPy arrays, whose files do not depend on the devices of the run.
    arrays = jax.tree.map(np.asarray, params)
    try:
        ocp.save_checkpointables(str(place), {PARAMS: arrays}, overwrite=True)
        known.steps[step] = _files(place)
        index = {**kept, name: known}
        write(
            run / FOLDER / INDEX,
            json.dumps({n: k._asdict() for n, k in index.items()}) + "\n",
        )
    except Exception as error:  # of any type, from orbax or its file system
        why = " ".join(str(error).split())
        raise OSError(f"cannot write the parameters to {place}: {why}") from error


def saving(name: str, config: Any, results: Any) -> dict[str, Any]:
    """Options of `train.fit` that keep parameters during training.

    Args:
        name: Name of the network.
        config: The flags of an experiment that trains.
        results: Run that keeps the parameters.

    Returns:
        Options; none for `--save_every=0`.
    """
    if not config.save_every:
        return {}

    def keep(result):
        step = int(result.state.step.max())
        if step < config.steps:  # the last are kept in any case
            results.keep(name, step, config.seeds, result.state.params)

    return {"save_fn": keep, "save_every": config.save_every}


def _folder(name: str, kept: Mapping[str, Kept]) -> str:
    """Name of a new folder for a network."""
    base = re.sub(r"[^A-Za-z0-9.-]+", "_", name).strip("_.")[:LONGEST] or "network"
    taken = {known.folder for known in kept.values()}
    number, folder = 1, base
    while folder in taken:
        number, folder = number + 1, f"{base}_{number + 1}"
    return folder


def _files(place: pathlib.Path) -> dict[str, list[int]]:
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
                {int(step): dict(files) for step, files in known["steps"].items()},
            )
            for name, known in networks.items()
        }
    except (ValueError, OSError, LookupError, TypeError, AttributeError) as error:
        raise ResultsError(
            f"{file} is damaged ({type(error).__name__}: {error}): the run's "
            "parameters cannot be opened"
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
    _check(place, known.steps[step])
    from orbax.checkpoint.experimental import v1 as ocp

    try:
        params = ocp.load_checkpointables(str(place.absolute()))[PARAMS]
    except Exception as error:  # of any type, from orbax
        why = " ".join(str(error).split())
        raise ResultsError(f"checkpoint {place} cannot be read: {why}") from None
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
