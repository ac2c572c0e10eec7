"""The optax optimizers that the command line offers, by name."""

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
    name: str, learning_rate: float | Float[Array, ""], clip_norm: float = 0.0
) -> optax.GradientTransformation:
    """An optimizer, preceded by clipping of the gradient's norm.

        g' = g min(1, clip_norm / |g|)

    Args:
        name: A key of `OPTIMIZERS`.
        learning_rate: Learning rate.
        clip_norm: Largest norm that is not clipped; 0 disables clipping.

    Returns:
        An optax optimizer; `clip_stats` reads the clipping statistics from its state.

    Raises:
        ValueError: The name is not in `OPTIMIZERS`.

    Example:
        >>> import jax.numpy as jnp
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
    if clip_norm == 0:
        return optimizer
    return optax.chain(clip_with_stats(clip_norm), optimizer)
