"""The time of the authors' recipe in PyTorch, next to that of the study."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from experiments.harness import cli, devices, process, training
from experiments.mnist1d.config import FEED_FORWARD, SAME_SHAPE, names
from experiments.mnist1d.conversion import state_dict
from experiments.mnist1d.measure import Halves
from experiments.mnist1d.networks import Model

TOLERANCE = 1e-5  # of the loss, relative
ALL_STEPS = -1
MODELS = *FEED_FORWARD, *SAME_SHAPE


class Timed(NamedTuple):
    """The time of the recipe for one model.

    Attributes:
        name: Name of the model.
        threads: Threads with which PyTorch is fastest.
        steps: Training steps that were timed, of each seed.
        seconds: Time of these steps, [seeds that were timed].
        accuracies: Test accuracy after these steps, in %, [seeds that were timed].
        difference: Deviation of the loss of equal parameters, relative.
    """

    name: str
    threads: int
    steps: int
    seconds: Float[np.ndarray, " seeds"]
    accuracies: Float[np.ndarray, " seeds"]
    difference: float

    def total(self, steps: int, seeds: int) -> float:
        """Seconds of the complete recipe, in proportion to the steps and seeds."""
        return float(self.seconds.mean()) * steps / self.steps * seeds


def check(config: Any) -> None:
    """Refuse a comparison that cannot be made.

    Raises:
        cli.UsageError: PyTorch is not installed, the flags differ from the recipe, or
            the recipe has none of the models.
    """
    if not set(names(config)) & set(MODELS):
        raise cli.UsageError(
            f"flag --recipe_steps: expected one of the models {', '.join(MODELS)} with "
            f"it; got {', '.join(config.models)}"
        )
    if importlib.util.find_spec("torch") is None:
        raise cli.UsageError(
            "flag --recipe_steps: PyTorch is not installed: pip install torch"
        )
    usual = type(config)()
    for name in ("optimizer", "learning_rate", "batch_size", "clip_norm"):
        if getattr(config, name) != getattr(usual, name):
            raise cli.UsageError(
                f"flag --recipe_steps: expected --{name}={getattr(usual, name)} with "
                f"it, as in the recipe; got {getattr(config, name)}"
            )


def measure(models: Mapping[str, Model], data: Halves, config: Any) -> list[Timed]:
    """Time the recipe in a separate process, after its numbers are compared.

    Args:
        models: Models by name; those that the recipe does not have are left out.
        data: The training set and the test set.
        config: The flags.

    Returns:
        One `Timed` per model.

    Raises:
        ChildProcessError: The process failed, or its loss deviates.
    """
    complete = config.recipe_steps == ALL_STEPS
    names = [name for name in models if name in MODELS]
    task = {
        "models": names,
        "cores": devices.cores(),
        "steps": config.steps if complete else config.recipe_steps,
        "seeds": config.seeds if complete else config.seeds[:1],
    }
    (xs, labels), test = data
    losses = {}
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        (place / "task.json").write_text(json.dumps(task))
        arrays = zip(("x", "y", "x_test", "y_test"), (xs, labels, *test), strict=True)
        flat = {n: np.asarray(a).reshape(len(a), -1).squeeze() for n, a in arrays}
        flat |= {n: flat[n].astype(np.int64) for n in ("y", "y_test")}
        np.savez(place / "data.npz", **flat)  # type: ignore[arg-type]
        for name in names:
            module = models[name].module
            params = training.start(module, xs[:1], config.seeds[:1])
            params = jax.tree.map(lambda leaf: leaf[0], params)
            batch = xs[: config.batch_size], labels[: config.batch_size]
            losses[name] = float(training.loss_of(module)(params, batch, None))  # type: ignore[arg-type]
            arrays = state_dict(name, params)
            np.savez(place / f"{name}.npz", **arrays)  # type: ignore[arg-type]
        answer = _ask(place)
    timed = []
    for name in names:
        there = answer[name]
        difference = abs(there["loss"] - losses[name]) / losses[name]
        if not difference <= TOLERANCE:
            raise ChildProcessError(
                f"the loss of {name} in PyTorch is {there['loss']:.6g} with equal "
                f"parameters, here {losses[name]:.6g}; expected equal numbers"
            )
        timed.append(
            Timed(
                name,
                there["threads"],
                task["steps"],
                np.array(there["seconds"]),
                100 * np.array(there["accuracies"]),
                difference,
            )
        )
    return timed


def _ask(folder: pathlib.Path) -> dict[str, Any]:
    """Run the recipe on the task of a folder, and return its answer."""
    paths = [str(process.ROOT), os.environ.get("PYTHONPATH", "")]
    path = {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    program = "from experiments.mnist1d import recipe; recipe.main()"
    command = [sys.executable, "-c", program, str(folder)]
    done = subprocess.run(command, env={**os.environ, **path}, check=False)
    if done.returncode:
        raise ChildProcessError(f"the recipe in PyTorch ended with {done.returncode}")
    return json.loads((folder / "answer.json").read_text())


def total(timed: Sequence[Timed], steps: int, seeds: int) -> float:
    """Seconds of the complete recipe for all models.

    Args:
        timed: Times of the models.
        steps: Training steps of the recipe.
        seeds: Number of seeds.

    Returns:
        Their sum.
    """
    return sum(one.total(steps, seeds) for one in timed)
