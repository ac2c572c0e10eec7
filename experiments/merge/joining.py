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
    for name in indices[0]:
        known = [_of(index, name, shards) for index in indices]
        seeds = [of_shard.seeds for of_shard in known]
        for step in sorted({step for of_shard in known for step in of_shard.steps}):
            # Members that stopped early stay as they are.
            steps = [max(s for s in k.steps if s <= step) for k in known]
            places = list(zip(folders, steps, strict=True))
            params = [checkpoints.load(folder, name, at) for folder, at in places]
            stacked = jax.tree.map(lambda *leaves: joined(leaves), *params)
            training = None
            if all(at in k.states for k, at in zip(known, steps, strict=True)):
                each = [checkpoints.load_training(f, name, at) for f, at in places]
                training = joined_training(each, seeds, name)
            members = interleaved(seeds)
            checkpoints.save(run, name, step, members, stacked, training)


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
        parts = _of_one_length(parts)
        fields = {
            field: {
                number: _joined_field(field, number, [part[field] for part in parts])
                for number in of_field
            }
            for field, of_field in parts[0].items()
            if field != replay.META
        }
        settings = [meta["settings"] for meta in metas]
        rows = joined_rows([meta["rows"] for meta in metas], seeds, settings)
        joined_settings = {
            key: interleaved([some[key] for some in settings]) for key in settings[0]
        }
    except (ValueError, LookupError) as error:
        raise ResultsError(
            f"the trainings of {name!r} cannot be joined ({error}); run the study "
            "without --shard"
        ) from None
    total = sum(map(len, seeds))
    empty = {
        field: {
            number: [_stretched(field, number, shape, total), dtype]
            for number, (shape, dtype) in leaves.items()
        }
        for field, leaves in metas[0]["empty"].items()
    }
    changed = {"rows": rows, "settings": joined_settings, "empty": empty}
    meta = json.dumps({**metas[0], **changed})
    return {**fields, replay.META: np.frombuffer(meta.encode(), np.uint8)}


def _of_one_length(parts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Trainings with as many measurements as the longest.

    A shard whose members all stopped early measures no more. A run of all members does,
    with the same results: members that have stopped do not change.
    """
    if any(part.keys() != parts[0].keys() for part in parts):
        raise ValueError("a shard stopped before its first evaluation")
    lengthened = [dict(part) for part in parts]
    for field in SERIES:
        steps = max((part.get(field, {}).get("0", ()) for part in parts), key=len)
        for part in lengthened:
            series = part.get(field)
            if series is None or len(series["0"]) == len(steps):
                continue
            if series["0"][-1] < part["state"]["0"].max():
                raise ValueError(f"a shard stopped early, after its last {field}")
            missing = len(steps) - len(series["0"])
            part[field] = {
                number: np.concatenate([array, np.repeat(array[-1:], missing, axis=0)])
                for number, array in series.items()
            } | {"0": steps}
    return lengthened


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
    axis = _axis(field, number)
    if axis is not None:
        return joined(arrays, axis)
    if field == SECONDS:
        return np.asarray(sum(arrays))  # as if one device had trained all
    if not all(np.array_equal(arrays[0], array) for array in arrays):
        raise ValueError(f"{field} at different steps")
    return arrays[0]


def _stretched(
    field: str, number: str, shape: Sequence[int], members: int
) -> list[int]:
    """The shape of an empty array, for all members."""
    axis = _axis(field, number)
    return [members if i == axis else size for i, size in enumerate(shape)]


def joined_rows(
    parts: Sequence[Sequence[Mapping[str, Any]]],
    seeds: Sequence[Sequence[int]],
    settings: Sequence[Mapping[str, Sequence[float]]] | None = None,
) -> list[Mapping[str, Any]]:
    """Join the rows that shards have logged during a training.

    Rows are logged for one member after the other: those of all members that differ in
    numbers only, such as the loss, follow each other.

    Args:
        parts: Rows of each shard.
        seeds: Seeds of each shard.
        settings: Hyperparameters of each shard's members, by name; they distinguish
            members with the same seed.

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
    settings = settings or [{}] * len(parts)
    groups = [_groups(*some) for some in zip(parts, seeds, settings, strict=True)]
    rows = []
    for label in _order([[label for label, _ in of_shard] for of_shard in groups]):
        members: list[tuple[int, Mapping[str, Any]]] = []
        for shard, of_shard in enumerate(groups):
            if of_shard and of_shard[0][0] == label:
                _, local = of_shard.pop(0)
                members += [(i * len(parts) + shard, row) for i, row in local]
        rows += [row for _, row in sorted(members, key=lambda pair: pair[0])]
    if any(groups):
        raise ValueError("rows in different orders")
    return rows


def _order(labels: Sequence[Sequence[Any]]) -> list[Any]:
    """The order of the groups of all shards.

    Groups that only some shards have, such as steps that were not finite, come after
    the same group as in their shard, by step.
    """
    order = list(max(labels, key=len))
    common = [label for label in order if all(label in some for some in labels)]
    for some in labels:
        place = 0
        for label in some:
            if label not in order[place:]:
                while place < len(order) and (
                    order[place] not in common and order[place]["step"] <= label["step"]
                ):
                    place += 1
                order.insert(place, label)
            place = order.index(label, place) + 1
    return order


def _groups(
    rows: Iterable[Mapping[str, Any]],
    seeds: Sequence[int],
    settings: Mapping[str, Sequence[float]],
) -> list[tuple[dict[str, Any], list[tuple[int, Mapping[str, Any]]]]]:
    """Rows of one shard in groups: label, and the rows with indices of members."""
    groups: list[tuple[dict[str, Any], list[tuple[int, Mapping[str, Any]]]]] = []
    for row in rows:
        label = {k: v for k, v in row.items() if k == "step" or isinstance(v, str)}
        if not groups or groups[-1][0] != label:
            groups.append((label, []))
        after = groups[-1][1][-1][0] + 1 if groups[-1][1] else 0
        groups[-1][1].append((_member(row, seeds, settings, after), row))
    return groups


def _member(
    row: Mapping[str, Any],
    seeds: Sequence[int],
    settings: Mapping[str, Sequence[float]],
    after: int,
) -> int:
    """Index of the first member, from `after` on, that a row can belong to."""
    shown = [(row[name], values) for name, values in settings.items() if name in row]
    for i in range(after, len(seeds)):
        if seeds[i] == row["seed"] and all(v == values[i] for v, values in shown):
            return i
    raise ValueError("a row of no member")


def _of(
    index: Mapping[str, checkpoints.Kept], name: str, shards: Sequence[SavedRun]
) -> checkpoints.Kept:
    """The checkpoints of a network in the index of one shard."""
    known = index.get(name)
    if known is None or not known.steps:
        raise ResultsError(
            f"the shards of {shards[0].folder.parent} have not all kept {name!r}; run "
            "the study without --shard"
        )
    return known
