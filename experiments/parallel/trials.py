"""The networks that are trained: cells at several gains, and flossed cells."""

import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import nets
from experiments.harness import cli, probing, shards, starts, training
from experiments.harness.probing import Sequences
from experiments.harness.runs import Run
from experiments.harness.starts import RECURRENT, Start
from experiments.parallel.config import CELLS, FLOSSING, Config
from experiments.parallel.measure import INPUTS, TIME, joined, measurer, row_of
from experiments.parallel.records import STAGES, Trajectory
from nets import flow
from nets.models import SequenceClassifier

CLASSES = 10
FLOSSED = 8  # sequences of a batch along which the exponent is penalized


class Member(NamedTuple):
    """One network of a training.

    Attributes:
        seed: Seed of the parameters and of the order of the examples.
        settings: Settings that differ between the networks of a seed, by name.
    """

    seed: int
    settings: dict[str, Any]


class Trial(NamedTuple):
    """The training of one cell.

    Attributes:
        name: Name of the training.
        cell: Name of the cell.
        starts: The cell with each of its initializations.
        members: All networks.
        model: The classifier, with the first initialization.
    """

    name: str
    cell: str
    starts: list[Start]
    members: list[Member]
    model: SequenceClassifier


def trials(config: Config) -> list[Trial]:
    """All trainings of the parts that the flags name.

    Args:
        config: The flags.

    Returns:
        One trial per cell, and one per flossed cell.

    Raises:
        UsageError: A cell or an initialization is unknown.
    """
    made = []
    if CELLS in config.parts:
        names = list(dict.fromkeys(n for name in config.cells for n in every(name)))
        for name, some in _starts(names, config.inits, config).items():
            made.append(_trial(name, name, some, settings(some, config), config))
    if FLOSSING in config.parts:
        for name, some in _starts(config.flossed, config.inits[:1], config).items():
            grid = [{"target": target} for target in config.targets]
            made.append(_trial(f"{name}, flossed", name, some, grid, config))
    return made


def every(name: str) -> list[str]:
    """The cells of a name: for "all", every nonlinear cell that reads vectors.

    Example:
        >>> "gru" in every("all"), "lru" in every("all"), every("lru")
        (True, False, ['lru'])
    """
    if name != starts.ALL:
        return [name]
    return [name for name in starts.every(["all"]) if nets.CELLS[name]().linear is None]


def settings(some: list[Start], config: Config) -> list[dict[str, Any]]:
    """Initializations and gains of a cell: the gains with the first initialization."""
    shapes = jax.eval_shape(
        lambda: some[0].made.init(jax.random.key(0), INPUTS, config.features)
    )
    gains = config.gains if RECURRENT in starts.parameter_names(shapes) else [1.0]
    first = [{"init": some[0].init, "gain": gain} for gain in gains]
    return [*first, *({"init": start.init, "gain": 1.0} for start in some[1:])]


def _starts(
    names: list[str], inits: list[str], config: Config
) -> dict[str, list[Start]]:
    """Initializations by cell."""
    by_cell: dict[str, list[Start]] = {}
    for start in starts.starts(names, inits, INPUTS, config.features, TIME)[0]:
        by_cell.setdefault(start.cell, []).append(start)
    return by_cell


def _trial(
    name: str,
    cell: str,
    some: list[Start],
    grid: list[dict[str, Any]],
    config: Config,
) -> Trial:
    """The training of one cell, for each of its settings all seeds."""
    _expect_numbers(cell, some[0].made, config)
    members = [Member(seed, setting) for setting in grid for seed in config.seeds]
    model = SequenceClassifier(some[0].made, config.features, CLASSES)
    return Trial(name, cell, some, members, model)


def _expect_numbers(name: str, cell: nets.Cell, config: Config) -> None:
    """Refuse a cell whose state a solver cannot guess, such as a counter."""

    def start(key):
        params = cell.init(key, INPUTS, config.features)
        return cell.initial_state(params, jnp.zeros((1, INPUTS)))

    state = jax.tree.leaves(jax.eval_shape(start, jax.random.key(0)))
    wrong = [s.dtype for s in state if not jnp.issubdtype(s.dtype, jnp.inexact)]
    if wrong:
        raise cli.UsageError(
            f"cell {name!r}: expected a state of real or complex numbers, which a "
            f"solver can guess; got an entry of {wrong[0]}"
        )


def initial(trial: Trial, members: list[Member], seeds: list[int]) -> Any:
    """Initial parameters of all members.

    Args:
        trial: The training.
        members: The members.
        seeds: All seeds.

    Returns:
        A tree of arrays [members, ...].
    """
    example = jnp.zeros((1, TIME, INPUTS))
    drawn = [
        training.start(trial.model.clone(cell=start.made), example, seeds)
        for start in trial.starts
    ]
    inits = [start.init for start in trial.starts]

    def place(member):
        init = member.settings.get("init", inits[0])
        return inits.index(init) * len(seeds) + seeds.index(member.seed)

    places = jnp.array([place(member) for member in members])
    gains = jnp.array([member.settings.get("gain", 1.0) for member in members])
    params = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *drawn)

    @jax.jit
    @jax.vmap
    def modified(place, gain):
        own = jax.tree.map(lambda leaf: leaf[place], params)
        cell = starts.scaled(probing.layer_params(trial.model, own), gain)
        return own | {"recurrent": own["recurrent"] | {"cell": cell}}

    return modified(places, gains)


def loss_of(trial: Trial, weight: float) -> Callable[..., Any]:
    """The mean loss of a batch, and the penalty of a network that is flossed.

    Args:
        trial: The training.
        weight: Weight of the penalty.

    Returns:
        `loss_fn(params, batch, key, **settings)`.
    """
    model, plain = trial.model, training.loss_of(trial.model)

    def loss_fn(params, batch, key, target=None, **settings):
        loss = plain(params, batch, key)
        if target is None:
            return loss
        own = probing.layer_params(model, params)

        def of_sequence(x):
            return flow.flossing_penalty(model.cell, own, x, count=1, target=target)

        # One after another, as `train.fit` refuses several decompositions at once.
        return loss + weight * jax.lax.map(of_sequence, batch[0][:FLOSSED]).mean()

    return loss_fn


def measured(
    trial: Trial, data: tuple[Sequences, Sequences], config: Config, results: Run
) -> list[Trajectory]:
    """Train all members of a trial, and measure them before, during and after.

    Args:
        trial: The training.
        data: The sets to train on and to measure on.
        config: The flags.
        results: Run that gets the rows.

    Returns:
        The trajectories.
    """
    train, test = data
    members = shards.select(trial.members, shards.parse(results.launch.shard))
    params = initial(trial, members, config.seeds)
    long, last = joined(test, config.length, len(config.seeds))
    which = jnp.array([config.seeds.index(member.seed) for member in members])
    xs, labels = long[which], last[which]
    # Compiling the solvers takes longer than training, and needs only one core.
    lowered = measurer(trial.model, config.max_iterations).lower(params, xs, labels)
    with ThreadPoolExecutor(1) as pool:
        compiling = pool.submit(lowered.compile)
        fitted = training.train(
            loss_of(trial, config.flossing_weight),
            params,
            train,
            dataclasses.replace(config, seeds=[member.seed for member in members]),
            results,
            title=trial.name,
            labels={"cell": trial.cell, "training": trial.name},
            hyperparameters=_numbers(members),
            probe=lambda params: params,
            probe_every=-(-config.steps // 2),
        )
        accuracy = _accuracy(trial, members, fitted.params, test, results)
        measure = compiling.result()
    assert fitted.probes is not None
    before, during = (
        jax.tree.map(lambda values, i=i: values[i], fitted.probes.values)
        for i in (0, -1)
    )
    trajectories = []
    stages = before, during, jax.tree.map(np.asarray, fitted.params)
    for stage, params in zip(STAGES, stages, strict=True):
        rows = measure(jax.tree.map(jnp.asarray, params), xs, labels)
        for i, member in enumerate(members):
            known = trial.cell, member.seed, member.settings, stage, accuracy[i]
            trajectories.append(Trajectory(*known, row_of(rows, i)))
    for row in trajectories:
        results.log(kind="trajectory", training=trial.name, **row.logged())
    return trajectories


def _accuracy(
    trial: Trial, members: list[Member], params: Any, test: Sequences, results: Run
) -> list[float]:
    """Measure and log the test accuracy of all members."""
    measure = jax.jit(
        lambda params, xs, labels: jax.lax.map(
            lambda p: training.accuracy(trial.model, p, xs, labels), params
        )
    )
    values = np.asarray(measure(params, *test), float).tolist()
    for member, value in zip(members, values, strict=True):
        results.log(
            kind="accuracy",
            cell=trial.cell,
            training=trial.name,
            seed=member.seed,
            **member.settings,
            test_accuracy=value,
        )
    return values


def _numbers(members: list[Member]) -> dict[str, Any]:
    """The settings of all members that are numbers, by name, arrays [members]."""
    first = members[0].settings
    names = [name for name, value in first.items() if not isinstance(value, str)]
    return {name: np.array([m.settings[name] for m in members]) for name in names}
