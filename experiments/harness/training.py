"""Training of one model per seed, all seeds in one program."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from jaxtyping import Array

from experiments.harness import (
    cli,
    common_flags,
    devices,
    fitting,
    machine,
    process,
    processes,
    replay,
)
from experiments.harness.common_flags import TEST, TrainingConfig
from experiments.harness.fitting import Data
from experiments.harness.padding import arguments
from experiments.harness.runs import Run
from train import FitResult, fit, make_optimizer


def parts(halves: Iterable[Data], config: TrainingConfig) -> tuple[Data, Data]:
    """The set to train on, and the set to measure on.

    Args:
        halves: The training set and the test set, trees of arrays [examples, ...].
        config: The flags.

    Returns:
        Both as they are; for `--evaluate_on=validation` the training set without its
        last fifth, and that fifth.

    Example:
        >>> import numpy as np
        >>> halves = np.arange(10), np.arange(3)
        >>> parts(halves, TrainingConfig(evaluate_on="validation"))
        (array([0, 1, 2, 3, 4, 5, 6, 7]), array([8, 9]))
    """
    train, test = halves
    if config.evaluate_on == TEST:
        return train, test
    return fitting.cut(train)


def check(config: TrainingConfig, examples: int, of: str) -> None:
    """Refuse sizes that no single flag determines.

    Args:
        config: The flags.
        examples: Number of training examples.
        of: Noun for the examples.

    Raises:
        cli.UsageError: The batch or the number of steps is too large, or a seed is
            invalid.
    """
    if config.batch_size > examples:
        raise cli.UsageError(
            f"flag --batch_size: expected at most {examples}, the training {of}; got "
            f"{config.batch_size}"
        )
    if config.steps > common_flags.MOST_STEPS:
        raise cli.UsageError(
            f"flag --steps: expected at most {common_flags.MOST_STEPS:,}; got "
            f"{config.steps}"
        )
    common_flags.check_seeds(config.seeds)
    fitting.check(config)


def start(model: nn.Module, example: Any, seeds: list[int]) -> Any:
    """The parameters of one model per seed, stacked.

    Args:
        model: A Linen module.
        example: An input that it takes; several as a tuple.
        seeds: As in the flags.

    Returns:
        A tree of arrays [seeds, ...].
    """
    keys = jnp.stack([jax.random.fold_in(jax.random.key(s), 0) for s in seeds])

    def start_one(key):
        return model.init(key, *arguments(example))["params"]

    shapes = jax.tree.leaves(jax.eval_shape(start_one, keys[0]))
    count = sum(leaf.size * leaf.dtype.itemsize for leaf in shapes)
    machine.need(
        machine.COPIES * count * len(seeds),
        f"{len(seeds)} networks in training",
        "--features, --seeds, or another flag that makes them large",
    )

    # One after another: QR decompositions of several seeds at once may deadlock.
    return jax.jit(lambda keys: jax.lax.map(start_one, keys))(keys)


def count(model: nn.Module, example: Any) -> int:
    """Number of parameters of a model.

    Args:
        model: A Linen module.
        example: An input of the model, or several as a tuple.

    Returns:
        Their number, for which nothing is computed.
    """
    shapes = jax.eval_shape(model.init, jax.random.key(0), *arguments(example))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def logits(model: nn.Module, params: Any, xs: Any) -> Array:
    """Logits of every example.

    Args:
        model: A Linen module that returns logits, alone or after a state.
        params: Parameters of the model.
        xs: Inputs of the model, [examples, ...], or several as a tuple.

    Returns:
        [examples, ..., classes].
    """
    outputs = model.apply({"params": params}, *arguments(xs))
    return cast(Array, outputs[-1] if isinstance(outputs, tuple) else outputs)


def accuracy(model: nn.Module, params: Any, xs: Any, labels: Array) -> Array:
    """Share of the labels that a classifier predicts; R^2 of real targets.

    Args:
        model: As in `logits`.
        params: Parameters of the model.
        xs: As in `logits`.
        labels: Integers, [examples, ...], or targets, [examples].

    Returns:
        A scalar, at most 1.
    """
    predicted = logits(model, params, xs)
    if jnp.issubdtype(labels.dtype, jnp.floating):
        return 1 - losses(predicted, labels).mean() / labels.var()
    return (predicted.argmax(axis=-1) == labels).mean()


def loss_of(model: nn.Module) -> Callable[[Any, Any, Array], Array]:
    """The mean loss of a model, as `train` takes it.

    Args:
        model: As in `logits`.

    Returns:
        A function of the parameters, a batch of inputs and labels, and a key.
    """

    def loss_fn(params, batch, key):
        xs, labels = batch
        return losses(logits(model, params, xs), labels).mean()

    return loss_fn


def train(
    loss_fn: Callable[..., Array],
    params: Any,
    data: Any,
    config: TrainingConfig,
    results: Run,
    *,
    title: str = "",
    labels: dict[str, Any] | None = None,
    schedule: optax.Schedule | None = None,
    **options: Any,
) -> FitResult:
    """Train the models by the flags; log how it goes, and keep the parameters.

    In a run that is resumed, it continues or is read from a checkpoint.

    Args:
        loss_fn: As in `train.fit`.
        params: Of `start`.
        data: A tree of arrays [examples, ...].
        config: The flags.
        results: Run that gets rows of the kind "training".
        title: Text before the progress bar, and name of the network in the folder.
        labels: Other entries of the rows.
        schedule: Factor of the learning rate by step that `--schedule=auto` stands for;
            by default 1.
        **options: Other arguments of `train.fit`, such as `probe`. With `evaluate_fn`,
            no examples are cut off for evaluations.

    Returns:
        A `FitResult`.
    """
    labels, evaluation = labels or {}, {}
    if "evaluate_fn" not in options:
        data, evaluation = fitting.evaluation(loss_fn, data, config)
    make = make_optimizer
    if "hyperparameters" in options:  # those of the optimizer differ between members
        make = optax.inject_hyperparams(make_optimizer, static_args=("name",))
    base = make(config.optimizer, config.learning_rate, config.clip_norm)
    fitted = replay.fit(
        results,
        title,
        loss_fn,
        fitting.optimizer(base, config, schedule),
        params,
        data,
        config.seeds,
        steps=config.steps,
        batch_size=config.batch_size,
        keep_every=config.save_every,
        checkpoint_every=config.checkpoint_every,
        log_fn=lambda **row: results.log(kind="training", **labels, **row),
        learning_rate=fitting.rate(config, schedule),
        desc=title,
        **evaluation,
        **fitting.guards(config, results, title, labels),
        **options,
    )
    fitting.log_scores(fitted, config, results, labels)
    return fitted


def train_at_rates(
    loss_fn: Callable[..., Array],
    params: Any,
    data: Any,
    config: TrainingConfig,
    rates: Sequence[float],
    *,
    title: str = "",
    schedule: optax.Schedule | None = None,
) -> Any:
    """Train the models at several learning rates, all in one program.

    Args:
        loss_fn: As in `train.fit`.
        params: Of `start`: each rate begins with the same.
        data: A tree of arrays [examples, ...].
        config: The flags, but for the learning rate.
        rates: Learning rates.
        title: Text before the progress bar.
        schedule: As in `train`.

    Returns:
        The parameters, [rates, seeds, ...]; not finite where training diverged.
    """
    count, seeds = len(rates), config.seeds
    make = optax.inject_hyperparams(make_optimizer, static_args=("name", "clip_norm"))
    base = make(config.optimizer, rates[0], config.clip_norm)
    fitted = fit(
        loss_fn,
        fitting.optimizer(base, config, schedule),
        jax.tree.map(lambda leaf: jnp.concatenate([leaf] * count), params),
        data,
        seeds * count,
        steps=config.steps,
        batch_size=config.batch_size,
        hyperparameters={"learning_rate": jnp.repeat(jnp.array(rates), len(seeds))},
        on_nonfinite="drop_member",
        nonfinite_fn=lambda error: None,
        desc=title,
        start_fn=process.report_start if processes.first() else None,
        mesh=devices.mesh(count * len(seeds), config.batch_size),
    )
    diverged = np.asarray(fitted.nonfinite) > 0

    def by_rate(leaf):
        shape = (-1, *[1] * (leaf.ndim - 1))
        leaf = jnp.where(diverged.reshape(shape), jnp.nan, leaf)
        return leaf.reshape(count, len(seeds), *leaf.shape[1:])

    return jax.tree.map(by_rate, fitted.params)


def losses(logits: Array, labels: Array) -> Array:
    """-ln p(label), or the squared error of a real target, of every example.

    Args:
        logits: [examples, classes]; [examples, 1] for targets.
        labels: Integers below `classes`, or targets, [examples].

    Returns:
        [examples], in nats, or in squares of the target's unit.

    Example:
        >>> losses(jnp.zeros((2, 4)), jnp.array([0, 3])).round(2).tolist()
        [1.3899999856948853, 1.3899999856948853]
    """
    if jnp.issubdtype(labels.dtype, jnp.floating):
        return jnp.square(logits[..., 0] - labels)
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels)
