"""Join the checkpoints of shards: arrays along their axis of members, and rows."""

import itertools
import json
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from experiments.harness import checkpoints, replay
from experiments.harness.folders import ResultsError
from experiments.harness.saved import SavedRun

# Fields of `train.FitResult` whose first array has the steps and whose other arrays are
# [measurements, members, ...]. The arrays of the other fields are [members, ...].
SERIES = "probes", "scores"
SECONDS = "seconds_per_step"


def join(shards: Sequence[SavedRun], run: pathlib.Path) -> None:
    """Write the checkpoints of a run of all members.

    Args:
        shards: The shards by index.
        run: Folder of the run.

    Raises:
        ResultsError: A checkpoint is missing or damaged, or those of the shards do not
            belong together.
        OSError: A checkpoint cannot be written.
    """
    folders = [shard.folder for shard in shards]
    indices = [checkpoints.read_index(folder) for folder in folders]
    for name, known in indices[0].items():
        parts = [_of(index, name, shards).seeds for index in indices]
        seeds = interleaved(parts)
        for step in sorted(known.steps):
            steps = [_of(index, name, shards, step) for index in indices]
            params = [checkpoints.load(folder, name, step) for folder in folders]
            stacked = jax.tree.map(lambda *leaves: joined(leaves), *params)
            training = None
            if all(step in of_shard.states for of_shard in steps):
                each = [checkpoints.load_training(f, name, step) for f in folders]
                training = joined_training(each, parts, name)
            checkpoints.save(run, name, step, seeds, stacked, training)


def interleaved(parts: Sequence[Sequence[Any]]) -> list[Any]:
    """Members of a study from those of its shards.

    Example:
        >>> interleaved([["a", "c", "e"], ["b", "d"]])
        ['a', 'b', 'c', 'd', 'e']
    """
    count = len(parts)
    total = sum(map(len, parts))
    return [parts[i % count][i // count] for i in range(total)]


def joined(arrays: Sequence[np.ndarray], axis: int = 0) -> np.ndarray:
    """Interleave arrays along their axis of members.

    Args:
        arrays: One array per shard.
        axis: The axis.

    Returns:
        An array of all members.

    Example:
        >>> joined([np.array([0, 2, 4]), np.array([1, 3])])
        array([0, 1, 2, 3, 4])
    """
    starts = np.cumsum([0, *(array.shape[axis] for array in arrays)])
    places = [range(start, end) for start, end in itertools.pairwise(starts)]
    return np.concatenate(arrays, axis).take(interleaved(places), axis)


def joined_training(
    parts: Sequence[Mapping[str, Any]], seeds: Sequence[Sequence[int]], name: str
) -> dict[str, Any]:
    """Join trainings, each as `replay.packed` has it.

    Args:
        parts: One training per shard.
        seeds: Seeds of each shard.
        name: Name of the network, for the message.

    Returns:
        The training of all members, in the same form.

    Raises:
        ResultsError: The shards have different measurements or rows.
    """
    metas = [json.loads(part[replay.META].tobytes()) for part in parts]
    try:
        fields = {
            field: {
                number: _joined_field(field, number, [part[field] for part in parts])
                for number in of_field
            }
            for field, of_field in parts[0].items()
            if field != replay.META
        }
        rows = joined_rows([meta["rows"] for meta in metas], seeds)
    except (ValueError, LookupError) as error:
        raise ResultsError(
            f"the shards have trained {name!r} differently, e.g. one stopped early "
            f"({error}); run the study without --shard"
        ) from None
    total = sum(map(len, seeds))
    empty = {
        field: {
            number: [_stretched(field, number, shape, total), dtype]
            for number, (shape, dtype) in leaves.items()
        }
        for field, leaves in metas[0]["empty"].items()
    }
    complete = all(meta["complete"] for meta in metas)
    meta = json.dumps({"rows": rows, "complete": complete, "empty": empty})
    return {**fields, replay.META: np.frombuffer(meta.encode(), np.uint8)}


def _axis(field: str, number: str) -> int | None:
    """The axis of members of an array of a `FitResult`; None if it has none."""
    if field == SECONDS or (field in SERIES and number == "0"):
        return None
    return 1 if field in SERIES else 0


def _joined_field(
    field: str, number: str, parts: Sequence[Mapping[str, Any]]
) -> np.ndarray:
    """One array of a `FitResult`, for all members."""
    arrays = [np.asarray(part[number]) for part in parts]
    if field == SECONDS:
        return np.asarray(sum(arrays))  # as if one device had trained all
    axis = _axis(field, number)
    if axis is not None:
        return joined(arrays, axis)
    if not all(np.array_equal(arrays[0], array) for array in arrays):
        raise ValueError(f"{field} of different steps")
    return arrays[0]


def _stretched(
    field: str, number: str, shape: Sequence[int], members: int
) -> list[int]:
    """The shape of an empty array, for all members."""
    axis = _axis(field, number)
    return [members if i == axis else size for i, size in enumerate(shape)]


def joined_rows(
    parts: Sequence[Sequence[Mapping[str, Any]]], seeds: Sequence[Sequence[int]]
) -> list[Mapping[str, Any]]:
    """Join the rows that shards have logged during a training.

    Rows are logged for one member after the other: those of all members that differ in
    numbers only, such as the loss, follow each other.

    Args:
        parts: Rows of each shard.
        seeds: Seeds of each shard.

    Returns:
        Rows in the order in which a run of all members logs them.

    Raises:
        ValueError: The shards have logged different kinds of rows.

    Example:
        >>> first = [{"seed": 3, "step": 1}, {"seed": 3, "step": 2}]
        >>> second = [{"seed": 5, "step": 1}, {"seed": 5, "step": 2}]
        >>> [list(row.values()) for row in joined_rows([first, second], [[3], [5]])]
        [[3, 1], [5, 1], [3, 2], [5, 2]]
    """
    groups = [_groups(*pair) for pair in zip(parts, seeds, strict=True)]
    rows = []
    labels = [label for label, _ in max(groups, key=len)]  # no member stopped early
    for label in labels:
        members: list[tuple[int, Mapping[str, Any]]] = []
        for shard, of_shard in enumerate(groups):
            if of_shard and of_shard[0][0] == label:
                _, local = of_shard.pop(0)
                members += [(i * len(parts) + shard, row) for i, row in local]
        rows += [row for _, row in sorted(members, key=lambda pair: pair[0])]
    if any(groups):
        raise ValueError("different rows")
    return rows


def _groups(
    rows: Iterable[Mapping[str, Any]], seeds: Sequence[int]
) -> list[tuple[dict[str, Any], list[tuple[int, Mapping[str, Any]]]]]:
    """Rows of one shard in groups: label, and the rows with indices of members."""
    groups: list[tuple[dict[str, Any], list[tuple[int, Mapping[str, Any]]]]] = []
    for row in rows:
        label = {k: v for k, v in row.items() if k == "step" or isinstance(v, str)}
        if not groups or groups[-1][0] != label:
            groups.append((label, []))
        after = groups[-1][1][-1][0] + 1 if groups[-1][1] else 0
        groups[-1][1].append((seeds.index(row["seed"], after), row))
    return groups


def _of(
    index: Mapping[str, checkpoints.Kept],
    name: str,
    shards: Sequence[SavedRun],
    step: int | None = None,
) -> checkpoints.Kept:
    """The checkpoints of a network in the index of one shard."""
    known = index.get(name)
    if known is None or step not in (None, *known.steps):
        at = "" if step is None else f" at step {step}"
        raise ResultsError(
            f"the shards of {shards[0].folder.parent} have not all kept {name!r}{at}; "
            "run the study without --shard"
        )
    return known
