"""The inverse of a max pool."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Integer, Shaped

from nets.convolutional.geometry import (
    IntLike,
    flatten_batch,
    format_shape,
    window_size,
)


def unpool(
    ys: Shaped[Array, "..."], indices: Integer[Array, "..."], space: Sequence[IntLike]
) -> Shaped[Array, "..."]:
    """Place each number at its index, and zeros elsewhere.

        x[indices[o, c], c] = y[o, c]

    with indices that are row-major over the spatial axes. It is a partial inverse of
    `nets.max_pool`: `unpool(max_pool(x))` is x at the maxima and 0 elsewhere. A max
    pool of that is y again, if no maximum is negative.

    If overlapping windows have the same maximum, its index occurs repeatedly, with
    equal numbers. One of these is kept, and only that one receives a gradient.

    Args:
        ys: Pooled numbers, [*batch, *space', channels].
        indices: Index of each number in the output, of the shape of ys. Numbers with an
            index outside the output are dropped.
        space: Spatial sizes of the output, those of the input of the pool. They do not
            follow from ys, because a pool drops inputs that do not fill a window: n'
            windows of size k and stride s cover (n' - 1) s + k inputs, minus the
            padding.

    Returns:
        Output, [*batch, *space, channels], of ys's dtype.

    Raises:
        ValueError: The shapes of ys and indices differ, or they have too few axes for
            `space`.

    Example:
        >>> import nets
        >>> xs = jnp.array([1.0, 5.0, 2.0, 3.0])[:, None]
        >>> ys, indices = nets.max_pool(xs, (2,), return_indices=True)
        >>> unpool(ys, indices, (4,))[:, 0].tolist()
        [0.0, 5.0, 0.0, 3.0]

    References:
        Zeiler, Taylor and Fergus 2011, Adaptive deconvolutional networks for mid and
        high level feature learning, ICCV.
        Noh, Hong and Han 2015, Learning deconvolution network for semantic
        segmentation, ICCV, https://arxiv.org/abs/1505.04366
    """
    space = window_size("the output's space", space)
    if ys.shape != indices.shape:
        raise ValueError(
            f"expected an index for each number; got numbers of shape {list(ys.shape)} "
            f"and indices of shape {list(indices.shape)}"
        )
    ys, batch = flatten_batch(ys, len(space), f"unpooling to {format_shape(space)}")
    examples, windows, channels = len(ys), math.prod(ys.shape[1:-1]), ys.shape[-1]

    def put(ys, at):  # one channel of one example
        xs = jnp.zeros(math.prod(space), ys.dtype)
        return xs.at[at].set(ys, mode="drop", wrap_negative_indices=False)

    # Not one scatter for all: it has no sharding rule for meshes with explicit axes.
    put = jax.vmap(jax.vmap(put, in_axes=-1, out_axes=-1))
    flat = (examples, windows, channels)
    xs = put(ys.reshape(flat), jnp.asarray(indices).reshape(flat))
    return xs.reshape(*batch, *space, channels)
