"""The optax optimizers that the command line offers, by name."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from train.clipping import clip_with_stats

OPTIMIZERS = {
    "adam": optax.adam,
    "adamw": optax.adamw,
    "lion": optax.lion,
    "rmsprop": optax.rmsprop,
    "sgd": optax.sgd,
}


def make_optimizer(
    name: str,
    learning_rate: float | Float[Array, ""],
    clip_norm: float | Float[Array, ""] = 0.0,
) -> optax.GradientTransformation:
    """An optimizer, preceded by clipping of the gradient's norm.

        g' = g min(1, clip_norm / |g|)

    Args:
        name: A key of `OPTIMIZERS`.
        learning_rate: Learning rate.
        clip_norm: Largest norm that is not clipped; 0 disables clipping. It may be an
            array, e.g. by `optax.inject_hyperparams`.

    Returns:
        An optax optimizer; `clip_stats` reads the clipping statistics from its state.

    Raises:
        ValueError: The name is not in `OPTIMIZERS`.

    Example:
        >>> optimizer = make_optimizer("sgd", learning_rate=1.0, clip_norm=1.0)
        >>> gradient = jnp.array(10.0)
        >>> updates, _ = optimizer.update(gradient, optimizer.init(gradient))
        >>> updates.item()
        -1.0

    References:
        Pascanu, Mikolov and Bengio 2013, On the difficulty of training recurrent neural
        networks, https://arxiv.org/abs/1211.5063
    """
    if name not in OPTIMIZERS:
        raise ValueError(
            f"expected an optimizer of {', '.join(OPTIMIZERS)}; got {name!r}"
        )
    optimizer = OPTIMIZERS[name](learning_rate)
    if isinstance(clip_norm, jax.Array):  # its value may not be known yet
        clip_norm = jnp.where(clip_norm == 0, jnp.inf, clip_norm)
    elif clip_norm == 0:
        return optimizer
    return optax.chain(clip_with_stats(clip_norm), optimizer)


SCHEDULES = "constant", "cosine", "linear"


def make_schedule(name: str, steps: int, warmup: int = 0) -> optax.Schedule:
    """Factor of the learning rate by step.

    It rises linearly from 0 to 1 in the first steps. Then it is constant, or decays to
    0 along a cosine or a line.

    Args:
        name: One of `SCHEDULES`.
        steps: Number of steps.
        warmup: Number of steps of the rise, less than `steps`.

    Returns:
        A function from the step, counted from 0, to the factor.

    Raises:
        ValueError: The name is not in `SCHEDULES`, or `warmup` is not below `steps`.

    Example:
        >>> factor = make_schedule("linear", steps=8, warmup=4)
        >>> [float(factor(step)) for step in (0, 2, 4, 6, 8)]
        [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    if not 0 <= warmup < steps:
        raise ValueError(
            f"expected a warmup from 0 to {steps - 1} steps, fewer than there are; got "
            f"{warmup}"
        )
    decays = {
        "constant": lambda: optax.constant_schedule(1.0),
        "cosine": lambda: optax.cosine_decay_schedule(1.0, steps - warmup),
        "linear": lambda: optax.linear_schedule(1.0, 0.0, steps - warmup),
    }
    if name not in decays:
        raise ValueError(f"expected a schedule of {', '.join(SCHEDULES)}; got {name!r}")
    if not warmup:
        return decays[name]()
    rise = optax.linear_schedule(0.0, 1.0, warmup)
    return optax.join_schedules([rise, decays[name]()], [warmup])
