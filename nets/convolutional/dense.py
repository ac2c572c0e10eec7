"""Flattening of feature maps, and dense layers."""

import math
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from nets.convolutional.convolution import biased, same_dtype
from nets.convolutional.dtypes import wide
from nets.convolutional.geometry import IntLike, is_integer


class DenseParams(NamedTuple):
    """w [inputs, features], and b [features] or None."""

    w: Float[Array, "inputs features"]
    b: Float[Array, " features"] | None


def dense(
    params: DenseParams, xs: Shaped[Array, "*batch inputs"]
) -> Float[Array, "*batch features"]:
    """Dense layer: each output is a weighted sum of all inputs.

        y = x W + b

    Args:
        params: Weights W, [inputs, features], and bias b, [features] or None.
        xs: Input, [*batch, inputs].

    Returns:
        Output, [*batch, features], of the common dtype of xs and params. Sums,
        including b, are computed in at least float32 and rounded once.

    Raises:
        ValueError: The shapes do not match.

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
            f"expected an input [*batch, inputs] with inputs = {w.shape[0]}, to match "
            f"the weights; got shape {list(xs.shape)}"
        )
    ys = jnp.matmul(xs, w, preferred_element_type=wide(xs.dtype))
    return biased(ys, b, xs.dtype)


def flatten(
    xs: Shaped[Array, "..."], axes: IntLike
) -> Shaped[Array, "*batch features"]:
    """Flatten the feature maps of each example to one vector.

    The channels of a position are adjacent, as in Flax and Keras. In PyTorch, whose
    channels come first, the positions of a channel are adjacent.

    Args:
        xs: Input, [*batch, *space, channels].
        axes: Number of spatial axes.

    Returns:
        Vectors, [*batch, positions * channels].

    Raises:
        ValueError: `xs` has fewer axes.

    Example:
        >>> flatten(jnp.ones((2, 4, 4, 3)), axes=2).shape
        (2, 48)
    """
    xs = jnp.asarray(xs)
    axes = int(axes) if is_integer(axes) else -1
    if axes < 0 or xs.ndim < axes + 1:
        raise ValueError(
            f"expected an input [*batch, *space, channels] with {axes} spatial axes; "
            f"got shape {list(xs.shape)}"
        )
    batch = xs.ndim - axes - 1
    return jnp.reshape(xs, (*xs.shape[:batch], math.prod(xs.shape[batch:])))
