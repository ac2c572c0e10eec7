"""Elementwise and reshaping layers, without parameters."""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial

from jaxtyping import Array

from nets import convolutional
from nets.convolutional.geometry import IntLike, format_shape, per_axis, positive
from nets.factories import factory
from nets.types import ImageLayer, ReceptiveField


@factory
def activation(function: Callable[[Array], Array]) -> ImageLayer:
    """Elementwise function, as a separate layer.

    Args:
        function: Elementwise function, e.g. `jax.nn.relu`.

    Returns:
        An `ImageLayer` without parameters.

    Example:
        >>> import jax
        >>> from nets import blocks
        >>> relu = blocks.activation(jax.nn.relu)
        >>> relu.apply((), jax.numpy.array([-1.0, 1.0])).tolist()
        [0.0, 1.0]
    """

    def window(shape):
        ones = (Fraction(1),) * (len(shape) - 1)
        return ReceptiveField(ones, ones)

    name = getattr(function, "__name__", "activation")
    return ImageLayer(
        no_params, partial(_apply, function), name=name, receptive_field=window
    )


@factory
def flatten(axes: IntLike) -> ImageLayer:
    """Flatten the feature maps of each example to a vector, position by position.

    Args:
        axes: Number of spatial axes: 1 for sequences, 2 for images.

    Returns:
        An `ImageLayer` without parameters.

    Example:
        >>> import jax
        >>> from nets import blocks
        >>> blocks.flatten(axes=2).apply((), jax.numpy.ones((5, 4, 4, 3))).shape
        (5, 48)
    """
    (axes,) = per_axis("axes", axes, 1, least=0)
    return ImageLayer(
        no_params,
        partial(_apply, partial(convolutional.flatten, axes=axes)),
        axes,
        "flatten",
    )


@factory
def reshape(shape: Sequence[IntLike]) -> ImageLayer:
    """Reshape vectors to feature maps, the inverse of `flatten`.

    Args:
        shape: Shape of one example, [*space, channels].

    Returns:
        An `ImageLayer` without parameters.

    Raises:
        ValueError: A size is not a positive integer.

    Example:
        >>> import jax
        >>> from nets import blocks
        >>> blocks.reshape((4, 4, 3)).apply((), jax.numpy.ones((5, 48))).shape
        (5, 4, 4, 3)
    """
    shape = [positive("each size of the shape", size) for size in shape]

    def apply(params, xs):
        if xs.ndim < 1 or xs.shape[-1] != math.prod(shape):
            raise ValueError(
                f"expected an input [*batch, {math.prod(shape)}] to reshape to "
                f"{shape}; got shape {list(xs.shape)}"
            )
        return xs.reshape(*xs.shape[:-1], *shape)

    return ImageLayer(no_params, apply, name=f"reshape to {format_shape(shape)}")


def no_params(key, shape):
    """Return the parameters of layers without parameters: an empty tuple."""
    return ()


def _apply(function, params, xs):
    return function(xs)
