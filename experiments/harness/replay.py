"""Trainings that continue when a run is resumed.

A resumed run begins again. A training that was complete is read from its checkpoint,
one that was in progress continues from the latest, and everything else is computed
again. All of it is deterministic, so that the results are those of a run that was never
interrupted. A checkpoint has the whole `train.FitResult`, and the rows that were logged
since the training began.
"""

import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import train
from experiments.harness import (
    checkpoints,
    devices,
    process,
    processes,
    signals,
    streams,
)
from experiments.harness.folders import ResultsError
from experiments.harness.runs import Run
from train import FitResult

SECONDS = 30.0  # between two checkpoints: writing one takes 0.1 s in the background
META = "meta"


class Earlier(NamedTuple):
    """A training that was interrupted, or is complete.

    Attributes:
        result: The training so far.
        rows: Rows that it has logged.
        complete: True if no steps are left.
    """

    result: FitResult
    rows: list[dict[str, Any]]
    complete: bool


def fit(
    results: Run,
    name: str,
    loss_fn: Callable[..., Any],
    optimizer: Any,
    params: Any,
    data: Any,
    seeds: Sequence[int],
    *,
    steps: int,
    batch_size: int,
    keep_every: int = 0,
    checkpoint_every: int = 0,
    **options: Any,
) -> FitResult:
    """`train.fit`, whose result is kept, and which continues in a run that is resumed.

    Args:
        results: The run. Rows that are logged meanwhile belong to the training.
        name: Name of the network, which no other training of the run has.
        loss_fn: As in `train.fit`.
        optimizer: As in `train.fit`.
        params: As in `train.fit`.
        data: As in `train.fit`.
        seeds: As in `train.fit`.
        steps: Number of steps of the whole training.
        batch_size: As in `train.fit`.
        keep_every: Steps between two steps whose parameters are kept when the run is
            complete; 0 to keep only the last.
        checkpoint_every: Least number of steps between two checkpoints; 0 for one every
            `SECONDS` seconds.
        **options: Other arguments of `train.fit`.

    Returns:
        A `FitResult`.

    Raises:
        signals.Stopped: A signal came; the training is saved.
        OSError: A checkpoint cannot be written.
    """
    names = "hyperparameters", "probe", "evaluate_fn"
    given = {n: options[n] for n in names if n in options}
    shapes = partial(train.result_shapes, optimizer, params, seeds, **given)
    rows: list[Mapping[str, Any]] = []
    results.listeners.append(rows.append)
    try:
        earlier = _earlier(results, name, seeds, shapes)
        for row in earlier.rows if earlier else ():
            results.log(**row)
        if earlier and earlier.complete:
            fitted = earlier.result
        else:
            done = int(earlier.result.state.step.max()) if earlier else 0
            saver = _Saver(
                results,
                name,
                list(seeds),
                rows,
                steps,
                keep_every,
                checkpoint_every,
                options.get("hyperparameters"),
            )
            with signals.awaiting_end() as saver.signal:
                saver.saved_step = done
                fitted = train.fit(
                    loss_fn,
                    optimizer,
                    earlier.result if earlier else params,
                    data,
                    seeds,
                    steps=steps - done,
                    batch_size=batch_size,
                    start_fn=process.report_start if processes.first() else None,
                    save_fn=saver.save,
                    save_every=keep_every or None,
                    save_when=saver.due,
                    mesh=devices.mesh(len(seeds), batch_size, results.launch),
                    **options,
                )
                saver.save(fitted, complete=True)
    finally:
        results.listeners.remove(rows.append)
    return fitted


@dataclasses.dataclass
class _Saver:
    """Saves a training, in the background."""

    results: Run
    name: str
    seeds: list[int]
    rows: list[Mapping[str, Any]]
    steps: int
    keep_every: int
    checkpoint_every: int
    hyperparameters: Mapping[str, Any] | None = None
    saved_step: int = 0
    saved_at: float = dataclasses.field(default_factory=time.monotonic)
    signal: Callable[[], int] = int  # none

    def due(self, step: int) -> bool:
        """Whether to save the state after a call of the program."""
        if step == self.steps:
            return False  # it is saved as complete
        if self.signal():
            return True
        if every := self.checkpoint_every:
            return step // every > self.saved_step // every
        late = time.monotonic() - self.saved_at > SECONDS
        return late and not self.results.writer.busy

    def save(self, result: FitResult, complete: bool = False) -> None:
        """Save the training so far; raise `Stopped` if a signal came."""
        step = int(np.max(result.state.step))
        if step == self.steps and not complete:
            return
        due = complete or self.due(step)
        params = result.params if complete else result.state.params
        kept = complete or bool(self.keep_every and step % self.keep_every == 0)
        self.results.writer.submit(
            checkpoints.save,
            self.results.path,
            self.name,
            step,
            self.seeds,
            jax.tree.map(np.array, params),
            packed(result, self.rows, complete, self.hyperparameters) if due else None,
            kept,
        )
        if due:
            self.saved_step, self.saved_at = step, time.monotonic()
        if number := self.signal():
            self.results.writer.wait()
            raise signals.Stopped(number)


def packed(
    result: FitResult,
    rows: Sequence[Mapping[str, Any]],
    complete: bool,
    hyperparameters: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A training as arrays, for a checkpoint.

    Args:
        result: The training so far.
        rows: Rows that it has logged.
        complete: True if no steps are left.
        hyperparameters: As in `train.fit`. `experiments.merge` distinguishes rows of
            members with the same seed by them.

    Returns:
        From the names of the fields of `FitResult` to their leaves, copied; and "meta",
        the rest as JSON in bytes.
    """
    none = [field for field in result._fields if getattr(result, field) is None]
    meta: dict[str, Any] = {"rows": list(rows), "complete": complete, "none": none}
    settings = (hyperparameters or {}).items()
    meta["settings"] = {name: np.asarray(values).tolist() for name, values in settings}
    parts: dict[str, Any] = {}
    meta["empty"] = {}
    for field, value in zip(result._fields, result, strict=True):
        leaves = [_array(leaf) for leaf in jax.tree.leaves(value)]
        # orbax refuses arrays without elements.
        parts[field] = {str(i): leaf for i, leaf in enumerate(leaves) if leaf.size}
        meta["empty"][field] = {
            str(i): [leaf.shape, leaf.dtype.name]
            for i, leaf in enumerate(leaves)
            if not leaf.size
        }
    text = json.dumps(meta).encode()
    return {f: p for f, p in parts.items() if p} | {META: np.frombuffer(text, np.uint8)}


def unpacked(parts: Mapping[str, Any], shapes: FitResult) -> Earlier:
    """A training from the arrays of a checkpoint.

    Args:
        parts: Result of `packed`.
        shapes: Structure of the result, of `train.result_shapes`.

    Returns:
        An `Earlier`.
    """
    meta = json.loads(parts[META].tobytes())
    fields = {}
    for field, like in zip(shapes._fields, shapes, strict=True):
        if field in meta["none"]:  # such as evaluations, before the first
            fields[field] = None
            continue
        there, empty = parts.get(field, {}), meta["empty"][field]
        leaves = []
        for i, leaf in enumerate(jax.tree.leaves(like)):
            array = there.get(str(i))
            if array is None:
                shape, dtype = empty[str(i)]
                array = np.zeros(shape, dtype)
            # Measurements are NumPy arrays.
            leaves.append(array if field == "probes" else _like(leaf, array))
        fields[field] = jax.tree.unflatten(jax.tree.structure(like), leaves)
    return Earlier(FitResult(**fields), meta["rows"], meta["complete"])


def _array(leaf: Any) -> np.ndarray:
    """A copy of an array, in NumPy; the numbers of a key."""
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    return np.array(leaf)


def _like(leaf: Any, array: np.ndarray) -> Any:
    """The array in the type of a leaf of `train.result_shapes`."""
    if isinstance(leaf, float):
        return float(array)
    if not isinstance(leaf, jax.ShapeDtypeStruct):
        return array
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(jnp.asarray(array))
    return jnp.asarray(array)


def _earlier(
    results: Run, name: str, seeds: Sequence[int], shapes: Callable[[], FitResult]
) -> Earlier | None:
    """The latest checkpoint of a training that is not damaged; None without one."""
    known = checkpoints.read_index(results.path).get(name)
    if known is None or known.seeds != list(seeds):
        return None
    for step in sorted(known.states, reverse=True):
        try:
            training = checkpoints.load_training(results.path, name, step)
        except ResultsError as error:
            before = min(known.states) < step
            instead = "the one before is used" if before else "the training is repeated"
            streams.say(f"{signals.command or name}: {error}; {instead}")
        else:
            return unpacked(training, shapes())
    return None
