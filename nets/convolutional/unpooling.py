"""The inverse of a max pool."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Integer, Shaped

from nets.convolutional.geometry import Whole, by, one_batch, window


def unpool(
    ys: Shaped[Array, "..."], indices: Integer[Array, "..."], space: Sequence[Whole]
) -> Shaped[Array, "..."]:
    """Each number at its own place, and zeros elsewhere.

        x[indices[o, c], c] = y[o, c]

    the places counted row-major over the spatial axes. What `nets.max_pool` left of an
    input is put back where it was: `unpool(max_pool(x))` is x at the maxima and 0 at
    the rest, and a max pool of that is y again, if the maxima are not below 0.

    Where windows overlap and have the same maximum, its place is given more than once,
    with equal numbers: one of them is kept, and only that one has a gradient.

    Args:
        ys: [*batch, *space', channels].
        indices: Of ys's shape: where each belongs. What lies outside is left out.
        space: The spatial sizes of the output, those of what was pooled. They do not
            follow from ys alone, for a pool leaves out what does not fill a window; n'
            windows of k places at a stride of s reach over (n' - 1) s + k places, less
            the padding.

    Returns:
        [*batch, *space, channels], of ys's dtype.

    Raises:
        ValueError: The shapes of ys and the indices differ, or they have fewer axes
            than the output's space.

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
    space = window("the output's space", space)
    if ys.shape != indices.shape:
        raise ValueError(
            f"expected an index for each number; got numbers of shape {list(ys.shape)} "
            f"and indices of shape {list(indices.shape)}"
        )
    ys, batch = one_batch(ys, len(space), f"unpooling to {by(space)}")
    examples, windows, channels = len(ys), math.prod(ys.shape[1:-1]), ys.shape[-1]

    def put(ys, at):  # of one channel of one example
        xs = jnp.zeros(math.prod(space), ys.dtype)
        return xs.at[at].set(ys, mode="drop", wrap_negative_indices=False)

    # Not a scatter of all at once, for which a mesh of explicit axes has no rule.
    put = jax.vmap(jax.vmap(put, in_axes=-1, out_axes=-1))
    flat = (examples, windows, channels)
    xs = put(ys.reshape(flat), jnp.asarray(indices).reshape(flat))
    return xs.reshape(*batch, *space, channels)
