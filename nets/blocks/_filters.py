"""Shared parts of the layers with filters."""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple

from jaxtyping import Array

from nets.convolutional import ConvParams
from nets.convolutional.geometry import Sizes, dilated_size, format_shape, per_axis
from nets.types import ImageLayer, ReceptiveField

Activation = Callable[[Array], Array]


class WindowOptions(NamedTuple):
    """Options of a convolution that determine its name and receptive field."""

    size: tuple[int, ...]
    strides: Sizes
    dilation: Sizes
    groups: int = 1


def window_layer(init, apply, name, options, *, transposed=False) -> ImageLayer:
    """Make a layer, with a suffix of its name and its receptive field."""
    axes = len(options.size)
    stride = per_axis("strides", options.strides, axes)
    dilation = per_axis("dilation", options.dilation, axes)
    if math.prod(stride) != 1:
        name += f", stride {format_shape(stride)}"
    if math.prod(dilation) != 1:
        per_axis_given = isinstance(options.dilation, tuple)
        name += (
            f", dilation {format_shape(dilation) if per_axis_given else dilation[0]}"
        )
    if options.groups > 1:
        name += f", {options.groups} groups"
    dilated = dilated_size(options.size, dilation)
    if transposed:
        steps = tuple(Fraction(1, s) for s in stride)
        sizes = tuple(1 + (e - 1) * s for e, s in zip(dilated, steps, strict=True))
    else:
        steps, sizes = tuple(map(Fraction, stride)), tuple(map(Fraction, dilated))
    field = ReceptiveField(sizes, steps)
    return ImageLayer(init, apply, axes, name, lambda shape: field)


def init_conv(size, filters, groups, use_bias, init, key, shape) -> ConvParams:
    """Draw the parameters of a convolution for examples of the given shape."""
    inputs = channels_of(shape, size)
    if inputs % groups or filters % groups:
        raise ValueError(
            f"expected groups that divide the {inputs} channels and the {filters} "
            f"filters; got {groups}"
        )
    kernel, bias = init(key, (*size, inputs // groups, filters))
    return ConvParams(kernel, bias if use_bias else None)


def apply_activated(function, activation, params, xs):
    """Apply a function, then the activation, if any."""
    ys = function(params, xs)
    return ys if activation is None else activation(ys)


def channels_of(shape: Sequence[int], size: Sequence[int]) -> int:
    """Return the number of channels of examples of the given shape."""
    if len(shape) != len(size) + 1:
        raise ValueError(
            f"expected examples of shape [*space, channels] with {len(size)} spatial "
            f"axes, as a {format_shape(size)} kernel requires; got shape {list(shape)}"
        )
    return shape[-1]
