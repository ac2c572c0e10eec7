"""Order of the examples in training."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key


def epochs(
    key: Key[Array, ""], examples: int, batch_size: int, steps: int, start: int = 0
) -> Int[Array, "steps batch_size"]:
    """Indices of the examples of each step, shuffled again in every epoch.

    An epoch has floor(examples / batch_size) batches. The remaining examples are left
    out of that epoch.

    Args:
        key: A key of `jax.random.key`.
        examples: Number of examples.
        batch_size: Examples per step, from 1 to `examples`.
        steps: Number of steps, at least 1.
        start: Number of earlier steps, whose indices are left out.

    Returns:
        Indices below `examples`, [steps, batch_size].

    Raises:
        ValueError: `batch_size` is not from 1 to `examples`.

    Example:
        >>> order = epochs(jax.random.key(0), examples=6, batch_size=2, steps=3)
        >>> sorted(order.ravel().tolist())
        [0, 1, 2, 3, 4, 5]
        >>> later = epochs(jax.random.key(0), 6, batch_size=2, steps=1, start=2)
        >>> bool((later == order[2:]).all())
        True
    """
    _check(batch_size, examples)
    batches = examples // batch_size
    first, count = start // batches, -(-(start + steps) // batches)
    # The key of an epoch does not depend on the number of epochs.
    shuffled = jax.vmap(lambda k: jax.random.permutation(k, examples))(
        jax.random.split(key, count)[first:]
    )
    whole = shuffled[:, : batches * batch_size].reshape(-1, batch_size)
    return jnp.asarray(whole[start - first * batches :][:steps])


def in_order(
    examples: int, batch_size: int, steps: int, start: int = 0
) -> Int[np.ndarray, "steps batch_size"]:
    """Indices of the examples of each step, in the order of the data.

    The batches of an epoch are those of `epochs` without shuffling: the examples after
    the last whole batch are never read.

    Args:
        examples: Number of examples.
        batch_size: Examples per step, from 1 to `examples`.
        steps: Number of steps, at least 1.
        start: Number of earlier steps, whose indices are left out.

    Returns:
        Indices below `examples`, [steps, batch_size].

    Raises:
        ValueError: `batch_size` is not from 1 to `examples`.

    Example:
        >>> in_order(examples=5, batch_size=2, steps=3).tolist()
        [[0, 1], [2, 3], [0, 1]]
    """
    _check(batch_size, examples)
    batches = np.arange(start, start + steps) % (examples // batch_size)
    return batches[:, None] * batch_size + np.arange(batch_size)


def _check(batch_size: int, examples: int) -> None:
    """Raise a ValueError if a batch cannot be filled."""
    if not 1 <= batch_size <= examples:
        raise ValueError(
            f"expected a batch size from 1 to {examples}, the number of examples; got "
            f"{batch_size}"
        )
