"""Members of a study: their settings, their initial parameters, their measurements."""

import inspect
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import nets
from experiments.harness import cells, cli, machine, probing, training
from experiments.harness.own_sequences import Sequences
from experiments.harness.padding import arguments
from experiments.harness.starts import RECURRENT, parameter_names, scaled
from experiments.study.config import AXES, Config
from nets.models import SequenceClassifier

FORGET = "forget_bias"


class Member(NamedTuple):
    """One model of a study.

    Attributes:
        seed: Seed of the parameters, of the order of the examples and of dropout.
        learning_rate: Step size of the optimizer.
        clip_norm: Largest norm of the gradient; 0 to clip nothing.
        gain: Factor of the recurrent weights at the start.
        forget_bias: Bias of the forget gate at the start; None for cells without one.
        dropout: Rate of dropout.
    """

    seed: int
    learning_rate: float
    clip_norm: float
    gain: float
    forget_bias: float | None
    dropout: float

    @property
    def settings(self) -> dict[str, float]:
        """All settings that the cell has, by name."""
        values = {name: getattr(self, name) for name in AXES}
        return {name: value for name, value in values.items() if value is not None}


class CellResult(NamedTuple):
    """Results of all members of one cell.

    Attributes:
        cell: Name of the cell.
        members: The members: for each setting, all seeds.
        accuracy: Held-out accuracy, of the last finite parameters, [members].
        before: Decay rate of the gradient at the start, nats per step, [members].
        after: Decay rate after training, [members].
        diverged: Step that was not finite, counted from 1; 0 for none, [members].
    """

    cell: str
    members: Sequence[Member]
    accuracy: Float[np.ndarray, " members"]
    before: Float[np.ndarray, " members"]
    after: Float[np.ndarray, " members"]
    diverged: np.ndarray


def has_forget_bias(cell: str) -> bool:
    """Whether a cell takes a bias of its forget gate."""
    make = nets.CELLS.get(cell)
    return make is not None and FORGET in inspect.signature(make).parameters


def members(config: Config, cell: str) -> list[Member]:
    """All members of a cell: for each combination of the settings, all seeds.

    Args:
        config: The flags.
        cell: Name of the cell.

    Returns:
        The members, in the order of their arrays.

    Example:
        >>> grid = members(Config(seeds=[0, 1], gain=[1.0], learning_rate=[0.1]), "gru")
        >>> [tuple(member) for member in grid]
        [(0, 0.1, 1.0, 1.0, None, 0.0), (1, 0.1, 1.0, 1.0, None, 0.0)]
    """
    axes = [getattr(config, name) for name in AXES]
    if not has_forget_bias(cell):
        axes[AXES.index(FORGET)] = [None]
    return [
        Member(seed, *settings)
        for settings in itertools.product(*axes)
        for seed in config.seeds
    ]


def start(
    cell: str,
    model: SequenceClassifier,
    config: Config,
    data: Sequences,
    grid: Sequence[Member],
) -> Any:
    """Initial parameters of all members.

    Gain and bias are arguments of one compiled function, not constants of many.

    Args:
        cell: Name of the cell.
        model: The network, whose cell has a forget bias of 0 if it takes one.
        config: The flags.
        data: The data.
        grid: The members.

    Returns:
        A tree of arrays [members, ...].
    """
    params = training.start(model, data.example, config.seeds)
    single = sum(leaf[0].nbytes for leaf in jax.tree.leaves(params))
    machine.need(
        machine.COPIES * single * len(grid),
        f"{len(grid)} networks in training",
        "--seeds, or another flag of the grid",
    )
    unit = None
    if has_forget_bias(cell):  # the bias is linear in its value: its derivative
        unit = forget_unit(cell, config, data)
    places = jnp.array([config.seeds.index(member.seed) for member in grid])
    gains = jnp.array([member.gain for member in grid])
    biases = jnp.array([member.forget_bias or 0.0 for member in grid])

    @jax.jit
    @jax.vmap
    def modified(place, gain, bias):
        own = jax.tree.map(lambda leaf: leaf[place], params)
        layer = scaled(probing.layer_params(model, own), gain)
        if unit is not None:
            layer = jax.tree.map(lambda leaf, one: leaf + bias * one, layer, unit)
        return own | {"recurrent": own["recurrent"] | {"cell": layer}}

    return modified(places, gains, biases)


def forget_unit(cell: str, config: Config, data: Sequences) -> Any:
    """Difference of a cell's parameters with a forget bias of 1 and of 0."""
    zero, unit = (
        nets.CELLS[cell](forget_bias=bias).init(
            jax.random.key(0), data.inputs, config.features
        )
        for bias in (0.0, 1.0)
    )
    return jax.tree.map(jnp.subtract, unit, zero)


def network(cell: str, config: Config, data: Sequences) -> SequenceClassifier:
    """The classifier of a cell, with a forget bias of 0 if the cell takes one."""
    init = cells.initializer(config.init, data.time)
    made = cells.named(cell, data.inputs, config.features, init)
    if has_forget_bias(cell):
        options = {} if init is None else {"init": init}
        made = nets.CELLS[cell](forget_bias=0.0, **options)
    elif config.gain != [1.0]:
        expect_recurrent(cell, made, config, data)
    return SequenceClassifier(made, config.features, data.outputs)


def expect_recurrent(
    cell: str, made: nets.Cell, config: Config, data: Sequences
) -> None:
    """Refuse a gain for a cell without recurrent weights of the known name."""
    params = jax.eval_shape(
        lambda: made.init(jax.random.key(0), data.inputs, config.features)
    )
    names = parameter_names(params)
    if RECURRENT not in names:
        raise cli.UsageError(
            f"flag --gain: cell {cell!r} has no recurrent weights {RECURRENT!r} to "
            f"scale, but {', '.join(names)}; expected --gain=1 with it"
        )


def loss_of(model: SequenceClassifier, drops: bool) -> Callable[..., Array]:
    """The mean loss of a model, with dropout on the outputs that its head reads.

        y' = m y / (1 - rate),   m ~ Bernoulli(1 - rate), one per example and feature

    Args:
        model: The network.
        drops: Whether any rate is above 0.

    Returns:
        `loss_fn(params, batch, key, *, dropout, **settings)`. The loss does not depend
        on the other settings; `train.fit` names them if a member diverges.
    """

    def outputs(model, *inputs):
        return model.recurrent(inputs[0], lengths=(*inputs, None)[1])[1]

    def loss_fn(params, batch, key, *, dropout, **settings):
        inputs, labels = batch
        xs = arguments(inputs)
        variables = {"params": params}
        ys: Any = model.apply(variables, *xs, method=outputs)
        if drops:
            uniform = jax.random.uniform(key, (*ys.shape[:-2], 1, ys.shape[-1]))
            ys = jnp.where(uniform >= dropout, ys / (1 - dropout), 0)
        logits: Any = model.apply(variables, ys, *xs[1:], method="read")
        return training.losses(logits, labels).mean()

    return loss_fn


def measurer(
    model: SequenceClassifier, data: Sequences
) -> Callable[[Any], tuple[Array, Array, Array]]:
    """A function of all members' parameters, one member after another.

    Args:
        model: The network.
        data: The data.

    Returns:
        Accuracy and loss on held-out data, [members], and ln |dL/ds_t|, [members,
        time].
    """

    def measure(params, xs, labels):
        logits = training.logits(model, params, xs)
        accuracy = (logits.argmax(axis=-1) == labels).mean()
        loss = training.losses(logits, labels).mean()
        log_norms = probing.state_gradients(model, params, (xs, labels))["forward"]
        return accuracy, loss, log_norms

    @jax.jit
    def measure_all(params, xs, labels):
        return jax.lax.map(lambda p: measure(p, xs, labels), params)

    return lambda params: measure_all(params, *data.measured)
