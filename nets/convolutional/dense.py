"""From feature maps to vectors, and dense layers of them."""

import math
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from nets.convolutional.convolution import biased, same_dtype
from nets.convolutional.dtypes import wide
from nets.convolutional.geometry import Whole, whole_number


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
        [*batch, features], of the dtype that xs and params have together; added up, b
        included, in float32 at the least, and rounded once.

    Raises:
        ValueError: The shapes do not fit each other.

    Example:
        >>> import nets
        >>> params = nets.convolutional.DenseParams(w=jnp.ones((3, 2)), b=jnp.zeros(2))
        >>> dense(params, jnp.ones((5, 3))).shape
        (5, 2)
    """
    w, b, xs = same_dtype(params.w, params.b, xs)
    if w.ndim != 2:
        raise ValueError(
            f"expected weights [inputs, features]; got shape {list(w.shape)}"
        )
    if xs.ndim < 1 or xs.shape[-1] != w.shape[0]:
        raise ValueError(
            f"expected an input [*batch, inputs] with inputs = {w.shape[0]}, as the "
            f"weights were made for; got shape {list(xs.shape)}"
        )
    ys = jnp.matmul(xs, w, preferred_element_type=wide(xs.dtype))
    return biased(ys, b, xs.dtype)


def flatten(xs: Shaped[Array, "..."], axes: Whole) -> Shaped[Array, "*batch features"]:
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
    xs = jnp.asarray(xs)
    axes = int(axes) if whole_number(axes) else -1
    if axes < 0 or xs.ndim < axes + 1:
        raise ValueError(
            f"expected an input [*batch, *space, channels] with {axes} spatial axes; "
            f"got shape {list(xs.shape)}"
        )
    batch = xs.ndim - axes - 1
    return jnp.reshape(xs, (*xs.shape[:batch], math.prod(xs.shape[batch:])))
