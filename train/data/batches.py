"""Order of the examples in training."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key


def epochs(
    key: Key[Array, ""], examples: int, batch_size: int, steps: int
) -> Int[Array, "steps batch_size"]:
    """Indices of the examples of each step, shuffled again in every epoch.

    An epoch has floor(examples / batch_size) batches. The remaining examples are left
    out of that epoch.

    Args:
        key: A key of `jax.random.key`.
        examples: Number of examples.
        batch_size: Examples per step, from 1 to `examples`.
        steps: Number of steps, at least 1.

    Returns:
        Indices below `examples`, [steps, batch_size].

    Raises:
        ValueError: `batch_size` is not from 1 to `examples`.

    Example:
        >>> order = epochs(jax.random.key(0), examples=6, batch_size=2, steps=3)
        >>> sorted(order.ravel().tolist())
        [0, 1, 2, 3, 4, 5]
    """
    if not 1 <= batch_size <= examples:
        raise ValueError(
            f"expected a batch size from 1 to {examples}, the number of examples; got "
            f"{batch_size}"
        )
    batches = examples // batch_size
    count = -(-steps // batches)
    shuffled = jax.vmap(lambda k: jax.random.permutation(k, examples))(
        jax.random.split(key, count)
    )
    whole = shuffled[:, : batches * batch_size].reshape(count * batches, batch_size)
    return jnp.asarray(whole[:steps])
