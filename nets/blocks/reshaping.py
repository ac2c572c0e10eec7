"""Layers without parameters that act on each number, or only move them."""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial

from jaxtyping import Array

from nets import convolutional
from nets.convolutional.geometry import Whole, by, per_axis, positive
from nets.factories import factory
from nets.types import ImageLayer, ReceptiveField


@factory
def activation(function: Callable[[Array], Array]) -> ImageLayer:
    """A function of each number, as a layer of its own.

    Args:
        function: Such as `jax.nn.relu`.

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
        one = (Fraction(1),) * (len(shape) - 1)
        return ReceptiveField(one, one)

    name = getattr(function, "__name__", "activation")
    return ImageLayer(
        no_params, partial(_apply, function), name=name, receptive_field=window
    )


@factory
def flatten(axes: Whole) -> ImageLayer:
    """The feature maps of each example as one vector, place by place.

    Args:
        axes: How many spatial axes there are: 1 for sequences, 2 for images.

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
def reshape(shape: Sequence[Whole]) -> ImageLayer:
    """A vector as feature maps: what `flatten` did, undone.

    Args:
        shape: Of one example, [*space, channels].

    Returns:
        An `ImageLayer` without parameters.

    Raises:
        ValueError: A size is no positive integer.

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
                f"expected an input [*batch, {math.prod(shape)}], to be made "
                f"{shape}; got shape {list(xs.shape)}"
            )
        return xs.reshape(*xs.shape[:-1], *shape)

    return ImageLayer(no_params, apply, name=f"reshape to {by(shape)}")


def no_params(key, shape):
    """What layers without parameters are initialised to: an empty tuple."""
    return ()


def _apply(function, params, xs):
    return function(xs)
