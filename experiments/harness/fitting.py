"""Arguments of `train.fit` that are set by flags."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from experiments.harness import cli, streams
from experiments.harness.common_flags import AUTO, TrainingConfig
from experiments.harness.runs import Run
from train import FitResult, NonFiniteError, average_parameters, make_schedule

VALIDATED = 5  # one training example in so many is for validation

Data = TypeVar("Data")


def cut(data: Data) -> tuple[Data, Data]:
    """Training examples without their last fifth, and that fifth.

    The last, not a random one: neighbors of a file are alike, such as digits of one
    writer, or overlapping windows of a text.

    Args:
        data: A tree of arrays [examples, ...].

    Returns:
        Both.

    Example:
        >>> cut(np.arange(10))
        (array([0, 1, 2, 3, 4, 5, 6, 7]), array([8, 9]))
    """
    count = len(jax.tree.leaves(data)[0])
    place = count - max(1, count // VALIDATED)
    return (
        jax.tree.map(lambda leaf: leaf[:place], data),
        jax.tree.map(lambda leaf: leaf[place:], data),
    )


def check(config: TrainingConfig) -> None:
    """Refuse flags that exclude each other.

    Args:
        config: The flags.

    Raises:
        cli.UsageError: They do.
    """
    if config.patience and not config.evaluate_every:
        raise cli.UsageError(
            "flag --patience: expected --evaluate_every with it, the steps between two "
            "evaluations"
        )
    if config.warmup_steps and config.schedule == AUTO:
        raise cli.UsageError(
            "flag --warmup_steps: expected --schedule with it: constant, cosine or "
            "linear"
        )
    if config.warmup_steps >= max(config.steps, 1) and config.warmup_steps:
        raise cli.UsageError(
            f"flag --warmup_steps: expected fewer than --steps, {config.steps}; got "
            f"{config.warmup_steps}"
        )
    for name in ("accumulate", "evaluate_every"):  # else it would not happen once
        if getattr(config, name) > max(config.steps, 1):
            raise cli.UsageError(
                f"flag --{name}: expected at most --steps, {config.steps}; got "
                f"{getattr(config, name)}"
            )
    if config.average == 1:
        raise cli.UsageError(
            "flag --average: expected a decay below 1, with which the average leaves "
            "the initial parameters; got 1"
        )


def optimizer(
    base: optax.GradientTransformation,
    config: TrainingConfig,
    schedule: optax.Schedule | None = None,
) -> optax.GradientTransformation:
    """An optimizer with the schedule, the average and the accumulation of the flags.

    Args:
        base: The optimizer, with clipping.
        config: The flags.
        schedule: Factor of the learning rate by step that `--schedule=auto` stands for;
            None if it is constant.

    Returns:
        The chain.
    """
    chain = [base]
    if factor := factor_of(config, schedule):
        chain.append(optax.scale_by_schedule(_by_update(factor, config.accumulate)))
    if config.average:
        chain.append(average_parameters(config.average))
    whole = optax.chain(*chain) if len(chain) > 1 else base
    if config.accumulate == 1:
        return whole
    return optax.MultiSteps(whole, config.accumulate).gradient_transformation()


def factor_of(
    config: TrainingConfig, schedule: optax.Schedule | None
) -> optax.Schedule | None:
    """Factor of the learning rate by training step.

    Args:
        config: The flags.
        schedule: As in `optimizer`.

    Returns:
        A function of the step; None if the rate is constant.
    """
    if config.schedule == AUTO:
        return schedule
    if config.schedule == "constant" and not config.warmup_steps:
        return None
    return make_schedule(config.schedule, config.steps, config.warmup_steps)


def rate(
    config: TrainingConfig, schedule: optax.Schedule | None = None
) -> optax.ScalarOrSchedule:
    """Learning rate by training step, to be logged.

    Args:
        config: The flags.
        schedule: As in `optimizer`.

    Returns:
        A function of the step; a number if the rate is constant.
    """
    rate, factor = config.learning_rate, factor_of(config, schedule)
    return rate if factor is None else lambda step: rate * factor(step)


def _by_update(factor: optax.Schedule, accumulate: int) -> optax.Schedule:
    """The factor by updates of the parameters, each after several steps."""
    return factor if accumulate == 1 else lambda count: factor(count * accumulate)


def evaluation(
    loss_fn: Callable[..., Array], data: Data, config: TrainingConfig
) -> tuple[Data, dict[str, Any]]:
    """The examples to train on, and arguments of `train.fit` for evaluations.

    Args:
        loss_fn: As in `train.fit`.
        data: The training set.
        config: The flags.

    Returns:
        All examples and no argument for `--evaluate_every=0`.
    """
    if not config.evaluate_every:
        return data, {}
    data, held_out = cut(data)
    count = len(jax.tree.leaves(held_out)[0])
    size = min(config.batch_size, count)
    batches = jax.tree.map(
        lambda leaf: np.asarray(leaf)[: count // size * size].reshape(
            -1, size, *np.shape(leaf)[1:]
        ),
        held_out,
    )
    key = jax.random.key(0)  # the same noise in each evaluation, if there is any

    def evaluate(params):
        losses = jax.lax.map(lambda batch: loss_fn(params, batch, key), batches)
        return jnp.mean(losses)

    return data, {
        "evaluate_fn": evaluate,
        "evaluate_every": config.evaluate_every,
        "patience": config.patience or None,
    }


def guards(
    config: TrainingConfig, results: Run, title: str, labels: dict[str, Any]
) -> dict[str, Any]:
    """Arguments of `train.fit` for steps that are not finite.

    Args:
        config: The flags.
        results: Run that gets rows of the kind "nonfinite".
        title: Name of the network.
        labels: Other entries of the rows.

    Returns:
        The arguments.
    """
    done = "skipped" if config.on_nonfinite == "skip" else "dropped"

    def report(error: NonFiniteError):
        results.log(
            kind="nonfinite",
            **labels,
            seed=error.seed,
            **error.settings,
            step=error.step,
            tensor=error.tensor,
            done=done,
        )
        what = "the step" if done == "skipped" else "the model"
        streams.say(f"{title}: {str(error).partition(';')[0]}; {what} is {done}")

    return {"on_nonfinite": config.on_nonfinite, "nonfinite_fn": report}


def log_scores(
    fitted: FitResult, config: TrainingConfig, results: Run, labels: dict[str, Any]
) -> None:
    """Log all evaluations of a training, one row per evaluation and model.

    Args:
        fitted: The result.
        config: The flags.
        results: Run that gets rows of the kind "evaluation".
        labels: Other entries of the rows.
    """
    if fitted.scores is None:
        return
    for step, values in zip(*fitted.scores, strict=True):
        for seed, loss in zip(config.seeds, values, strict=True):
            results.log(
                kind="evaluation", **labels, seed=seed, step=int(step), loss=float(loss)
            )
