"""Layers with filters: convolutions of every kind, and the dense layer."""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial

import jax
from jaxtyping import Array

from nets import convolutional
from nets.convolutional import ConvParams, DenseParams, SeparableConvParams
from nets.convolutional.geometry import (
    Sizes,
    Whole,
    by,
    per_axis,
    positive,
    window,
)
from nets.convolutional.padding import Padding
from nets.factories import factory
from nets.initializers import kernels
from nets.types import ImageLayer, ReceptiveField

Activation = Callable[[Array], Array]


@factory
def conv(
    filters: Whole,
    kernel_size: Sequence[Whole],
    *,
    strides: Sizes = 1,
    padding: Padding = "valid",
    dilation: Sizes = 1,
    groups: Whole = 1,
    use_bias: bool = True,
    activation: Activation | None = jax.nn.relu,
    init: kernels.KernelInitializer = kernels.linen,
) -> ImageLayer:
    """A convolution and its activation, as a layer.

        y = activation(kernel * x + b)

    A kernel of size (8,) spans 8 steps of a sequence and all its features; one of size
    (8, 1) spans 8 rows of an image in one column.

    Args:
        filters: How many feature maps come out.
        kernel_size: A tuple, whose length is the number of spatial axes.
        strides: As in `nets.conv`, like all to `groups`.
        padding: Likewise.
        dilation: Likewise.
        groups: Likewise.
        use_bias: Whether there is a b.
        activation: A function of arrays, or None.
        init: How the kernel starts, of `nets.initializers.kernels`.

    Returns:
        An `ImageLayer` with `ConvParams`.

    Raises:
        ValueError: A size is none; or, from `init` and `apply`, as in `nets.conv`.

    Example:
        >>> from nets import blocks
        >>> layer = blocks.conv(16, (3, 3), padding="same")
        >>> params = layer.init(jax.random.key(0), (8, 8, 1))
        >>> layer.apply(params, jax.numpy.ones((5, 8, 8, 1))).shape
        (5, 8, 8, 16)
    """
    size = window("kernel_size", kernel_size)
    filters, groups = positive("filters", filters), positive("groups", groups)
    options = {
        "strides": strides,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
    }
    stride, extent = _stride_and_extent(size, strides, dilation)

    return ImageLayer(
        partial(_init, size, filters, groups, use_bias, init),
        partial(_apply, partial(convolutional.conv, **options), activation),
        len(size),
        name=f"conv {by(size)}, {filters}{_said(stride, dilation, groups)}",
        receptive_field=lambda shape: ReceptiveField(extent, stride),
    )


@factory
def depthwise_conv(
    kernel_size: Sequence[Whole],
    *,
    multiplier: Whole = 1,
    strides: Sizes = 1,
    padding: Padding = "valid",
    dilation: Sizes = 1,
    use_bias: bool = True,
    activation: Activation | None = jax.nn.relu,
    init: kernels.KernelInitializer = kernels.linen,
) -> ImageLayer:
    """A convolution of each channel by itself: as many groups as channels.

    Args:
        kernel_size: A tuple, whose length is the number of spatial axes.
        multiplier: How many filters a channel has.
        strides: As in `nets.conv`, like `padding` and `dilation`.
        padding: Likewise.
        dilation: Likewise.
        use_bias: Whether there is a bias.
        activation: A function of arrays, or None.
        init: How the kernel starts.

    Returns:
        An `ImageLayer` with `ConvParams`; its kernel is [*size, 1, channels *
        multiplier].

    Example:
        >>> from nets import blocks
        >>> layer = blocks.depthwise_conv((3, 3), multiplier=2)
        >>> params = layer.init(jax.random.key(0), (8, 8, 3))
        >>> params.kernel.shape
        (3, 3, 1, 6)
    """
    size = window("kernel_size", kernel_size)
    multiplier = positive("multiplier", multiplier)
    stride, extent = _stride_and_extent(size, strides, dilation)

    def init_params(key, shape):
        filters = _channels(shape, size) * multiplier
        kernel, bias = init(key, (*size, 1, filters))
        return ConvParams(kernel, bias if use_bias else None)

    def run(params, xs):
        return convolutional.conv(
            params,
            xs,
            strides=strides,
            padding=padding,
            dilation=dilation,
            groups=params.kernel.shape[-1] // multiplier,
        )

    return ImageLayer(
        init_params,
        partial(_apply, run, activation),
        len(size),
        name=f"depthwise_conv {by(size)}{_said(stride, dilation)}",
        receptive_field=lambda shape: ReceptiveField(extent, stride),
    )


@factory
def separable_conv(
    filters: Whole,
    kernel_size: Sequence[Whole],
    *,
    multiplier: Whole = 1,
    strides: Sizes = 1,
    padding: Padding = "valid",
    dilation: Sizes = 1,
    use_bias: bool = True,
    activation: Activation | None = jax.nn.relu,
    init: kernels.KernelInitializer = kernels.linen,
) -> ImageLayer:
    """A depthwise convolution, a dense layer over the channels, and an activation.

    Args:
        filters: How many feature maps come out.
        kernel_size: A tuple, whose length is the number of spatial axes.
        multiplier: How many filters a channel has in between.
        strides: As in `nets.conv`, like `padding` and `dilation`.
        padding: Likewise.
        dilation: Likewise.
        use_bias: Whether there is a bias, at the end.
        activation: A function of arrays, or None.
        init: How both kernels start.

    Returns:
        An `ImageLayer` with `SeparableConvParams`.

    Example:
        >>> from nets import blocks
        >>> layer = blocks.separable_conv(16, (3, 3))
        >>> params = layer.init(jax.random.key(0), (8, 8, 4))
        >>> params.depthwise.shape, params.pointwise.shape
        ((3, 3, 1, 4), (4, 16))
    """
    size = window("kernel_size", kernel_size)
    filters = positive("filters", filters)
    multiplier = positive("multiplier", multiplier)
    stride, extent = _stride_and_extent(size, strides, dilation)

    def init_params(key, shape):
        deep = _channels(shape, size) * multiplier
        key_d, key_p = jax.random.split(key)
        depthwise, _ = init(key_d, (*size, 1, deep))
        pointwise, bias = init(key_p, (deep, filters))
        return SeparableConvParams(depthwise, pointwise, bias if use_bias else None)

    run = partial(
        convolutional.separable_conv,
        strides=strides,
        padding=padding,
        dilation=dilation,
    )
    return ImageLayer(
        init_params,
        partial(_apply, run, activation),
        len(size),
        name=f"separable_conv {by(size)}, {filters}{_said(stride, dilation)}",
        receptive_field=lambda shape: ReceptiveField(extent, stride),
    )


@factory
def conv_transpose(
    filters: Whole,
    kernel_size: Sequence[Whole],
    *,
    strides: Sizes = 1,
    padding: Padding = "valid",
    dilation: Sizes = 1,
    groups: Whole = 1,
    output_padding: Sizes | None = None,
    use_bias: bool = True,
    activation: Activation | None = jax.nn.relu,
    init: kernels.KernelInitializer = kernels.linen,
) -> ImageLayer:
    """A transposed convolution and its activation, as a layer.

    Args:
        filters: How many feature maps come out.
        kernel_size: A tuple, whose length is the number of spatial axes.
        strides: As in `nets.conv_transpose`, like all to `output_padding`.
        padding: Likewise.
        dilation: Likewise.
        groups: Likewise.
        output_padding: Likewise.
        use_bias: Whether there is a bias.
        activation: A function of arrays, or None.
        init: How the kernel starts.

    Returns:
        An `ImageLayer` with `ConvParams`.

    Example:
        >>> from nets import blocks
        >>> layer = blocks.conv_transpose(16, (2, 2), strides=2)
        >>> params = layer.init(jax.random.key(0), (4, 4, 8))
        >>> layer.apply(params, jax.numpy.ones((5, 4, 4, 8))).shape
        (5, 8, 8, 16)
    """
    size = window("kernel_size", kernel_size)
    filters, groups = positive("filters", filters), positive("groups", groups)
    stride, extent = _stride_and_extent(size, strides, dilation)
    finer = tuple(1 / s for s in stride)
    seen = tuple(1 + (e - 1) * s for e, s in zip(extent, finer, strict=True))
    options = {
        "strides": strides,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
        "output_padding": output_padding,
    }

    return ImageLayer(
        partial(_init, size, filters, groups, use_bias, init),
        partial(_apply, partial(convolutional.conv_transpose, **options), activation),
        len(size),
        name=f"conv_transpose {by(size)}, {filters}{_said(stride, dilation, groups)}",
        receptive_field=lambda shape: ReceptiveField(seen, finer),
    )


@factory
def dense(
    features: Whole,
    *,
    use_bias: bool = True,
    activation: Activation | None = jax.nn.relu,
    init: kernels.KernelInitializer = kernels.linen,
) -> ImageLayer:
    """A dense layer over the last axis, and its activation.

        y = activation(x W + b)

    Args:
        features: How many come out.
        use_bias: Whether there is a b.
        activation: A function of arrays, or None, as in the last layer of a network.
        init: How W starts.

    Returns:
        An `ImageLayer` with `DenseParams`.

    Example:
        >>> from nets import blocks
        >>> layer = blocks.dense(10, activation=None)
        >>> params = layer.init(jax.random.key(0), (64,))
        >>> layer.apply(params, jax.numpy.ones((5, 64))).shape
        (5, 10)
    """
    features = positive("features", features)

    def init_params(key, shape):
        w, b = init(key, (shape[-1], features))
        return DenseParams(w, b if use_bias else None)

    def window(shape):
        one = (Fraction(1),) * (len(shape) - 1)
        return ReceptiveField(one, one) if one else None  # a vector it sees as a whole

    return ImageLayer(
        init_params,
        partial(_apply, convolutional.dense, activation),
        name=f"dense {features}",
        receptive_field=window,
    )


def _init(size, filters, groups, use_bias, init, key, shape):
    """The parameters of a convolution for examples of this shape."""
    inputs = _channels(shape, size)
    if inputs % groups or filters % groups:
        raise ValueError(
            f"expected groups that divide the {inputs} channels and the {filters} "
            f"filters; got {groups}"
        )
    kernel, bias = init(key, (*size, inputs // groups, filters))
    return ConvParams(kernel, bias if use_bias else None)


def _apply(function, activation, params, xs):
    ys = function(params, xs)
    return ys if activation is None else activation(ys)


def _stride_and_extent(size, strides, dilation):
    """Of a window, along each axis."""
    stride = per_axis("strides", strides, len(size))
    spread = per_axis("dilation", dilation, len(size))
    extent = tuple(Fraction((k - 1) * d + 1) for k, d in zip(size, spread, strict=True))
    return tuple(map(Fraction, stride)), extent


def _channels(shape: Sequence[int], size: Sequence[int]) -> int:
    """The channels of an example of this shape."""
    if len(shape) != len(size) + 1:
        raise ValueError(
            f"expected examples of shape [*space, channels] with {len(size)} spatial "
            f"axes, as a {by(size)} kernel asks; got shape {list(shape)}"
        )
    return shape[-1]


def _said(stride, dilation, groups=1) -> str:
    """The options that are not as usual, in words."""
    said = ""
    if math.prod(stride) != 1:
        said += f", stride {by([int(s) for s in stride])}"
    spread = per_axis("dilation", dilation, len(stride))
    if math.prod(spread) != 1:
        said += f", dilation {by(spread) if isinstance(dilation, tuple) else dilation}"
    return said + (f", {groups} groups" if groups > 1 else "")
