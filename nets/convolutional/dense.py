"""From feature maps to vectors, and dense layers of them."""

import math
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from nets.linear import add_bias


class DenseParams(NamedTuple):
    """w [inputs, features], and b [features] or None."""

    w: Float[Array, "inputs features"]
    b: Float[Array, " features"] | None


def dense(
    params: DenseParams, xs: Shaped[Array, "*batch inputs"]
) -> Float[Array, "*batch features"]:
    """A dense layer: each output is a weighted sum of all inputs.

        y = x W + b

    Args:
        params: W, [inputs, features], and b, [features] or None.
        xs: [*batch, inputs].

    Returns:
        [*batch, features].

    Raises:
        ValueError: The input has another number of features than W was made for.

    Example:
        >>> import nets
        >>> params = nets.DenseParams(w=jnp.ones((3, 2)), b=jnp.zeros(2))
        >>> dense(params, jnp.ones((5, 3))).shape
        (5, 2)
    """
    if xs.ndim < 1 or xs.shape[-1] != params.w.shape[0]:
        raise ValueError(
            f"expected an input [*batch, inputs] with inputs = {params.w.shape[0]}, as "
            f"the weights were made for; got shape {list(xs.shape)}"
        )
    ys = xs @ params.w
    return ys if params.b is None else add_bias(ys, params.b)


def flatten(xs: Shaped[Array, "..."], axes: int) -> Shaped[Array, "*batch features"]:
    """The feature maps of each example as one vector.

    The channels of a place stay together, as in Flax and Keras; PyTorch, whose channels
    come first, keeps the places of a channel together.

    Args:
        xs: [*batch, *space, channels].
        axes: How many spatial axes there are.

    Returns:
        [*batch, places * channels].

    Raises:
        ValueError: There are fewer axes.

    Example:
        >>> flatten(jnp.ones((2, 4, 4, 3)), axes=2).shape
        (2, 48)
    """
    if axes < 0 or xs.ndim < axes + 1:
        raise ValueError(
            f"expected an input [*batch, *space, channels] with {axes} spatial axes; "
            f"got shape {list(xs.shape)}"
        )
    batch = xs.ndim - axes - 1
    return jnp.reshape(xs, (*xs.shape[:batch], math.prod(xs.shape[batch:])))
