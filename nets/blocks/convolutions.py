"""Convolutions as layers."""

from collections.abc import Sequence
from functools import partial

import jax

from nets import convolutional
from nets.blocks._filters import (
    Activation,
    WindowOptions,
    apply_activated,
    channels_of,
    init_conv,
    window_layer,
)
from nets.convolutional import ConvParams, SeparableConvParams
from nets.convolutional.geometry import (
    IntLike,
    Sizes,
    format_shape,
    positive,
    window_size,
)
from nets.convolutional.padding import Padding
from nets.factories import factory
from nets.initializers import kernels
from nets.types import ImageLayer


@factory
def conv(
    filters: IntLike,
    kernel_size: Sequence[IntLike],
    *,
    strides: Sizes = 1,
    padding: Padding = "valid",
    dilation: Sizes = 1,
    groups: IntLike = 1,
    use_bias: bool = True,
    activation: Activation | None = jax.nn.relu,
    init: kernels.KernelInitializer = kernels.linen,
) -> ImageLayer:
    """Convolution and activation, as a layer.

        y = activation(kernel * x + b)

    A kernel of size (8,) spans 8 steps of a sequence and all its features; a kernel of
    size (8, 1) spans 8 rows of an image in one column.

    Args:
        filters: Number of filters, the channels of the output.
        kernel_size: Size of the kernel, a tuple with one number per spatial axis.
        strides: Strides, as in `nets.conv`.
        padding: Padding, as in `nets.conv`.
        dilation: Dilation, as in `nets.conv`.
        groups: Number of groups of channels, as in `nets.conv`.
        use_bias: Whether to add a bias.
        activation: Elementwise activation function, or None.
        init: Initializer of the kernel, from `nets.initializers.kernels`.

    Returns:
        An `ImageLayer` with `ConvParams`.

    Raises:
        ValueError: A size is not a positive integer. `init` and `apply` raise it as
            `nets.conv` does.

    Example:
        >>> from nets import blocks
        >>> layer = blocks.conv(16, (3, 3), padding="same")
        >>> params = layer.init(jax.random.key(0), (8, 8, 1))
        >>> layer.apply(params, jax.numpy.ones((5, 8, 8, 1))).shape
        (5, 8, 8, 16)
    """
    size = window_size("kernel_size", kernel_size)
    filters, groups = positive("filters", filters), positive("groups", groups)
    run = partial(
        convolutional.conv,
        strides=strides,
        padding=padding,
        dilation=dilation,
        groups=groups,
    )
    return window_layer(
        partial(init_conv, size, filters, groups, use_bias, init),
        partial(apply_activated, run, activation),
        f"conv {format_shape(size)}, {filters}",
        WindowOptions(size, strides, dilation, groups),
    )


@factory
def depthwise_conv(
    kernel_size: Sequence[IntLike],
    *,
    multiplier: IntLike = 1,
    strides: Sizes = 1,
    padding: Padding = "valid",
    dilation: Sizes = 1,
    use_bias: bool = True,
    activation: Activation | None = jax.nn.relu,
    init: kernels.KernelInitializer = kernels.linen,
) -> ImageLayer:
    """Depthwise convolution and activation: each filter reads one channel.

    Args:
        kernel_size: Size of the kernel, a tuple with one number per spatial axis.
        multiplier: Number of filters per channel.
        strides: Strides, as in `nets.conv`.
        padding: Padding, as in `nets.conv`.
        dilation: Dilation, as in `nets.conv`.
        use_bias: Whether to add a bias.
        activation: Elementwise activation function, or None.
        init: Initializer of the kernel, from `nets.initializers.kernels`.

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
    size = window_size("kernel_size", kernel_size)
    multiplier = positive("multiplier", multiplier)

    def init_params(key, shape):
        filters = channels_of(shape, size) * multiplier
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

    return window_layer(
        init_params,
        partial(apply_activated, run, activation),
        f"depthwise_conv {format_shape(size)}",
        WindowOptions(size, strides, dilation),
    )


@factory
def separable_conv(
    filters: IntLike,
    kernel_size: Sequence[IntLike],
    *,
    multiplier: IntLike = 1,
    strides: Sizes = 1,
    padding: Padding = "valid",
    dilation: Sizes = 1,
    use_bias: bool = True,
    activation: Activation | None = jax.nn.relu,
    init: kernels.KernelInitializer = kernels.linen,
) -> ImageLayer:
    """Depthwise convolution, dense layer over the channels, and activation.

    Args:
        filters: Number of filters, the channels of the output.
        kernel_size: Size of the kernel, a tuple with one number per spatial axis.
        multiplier: Number of filters per channel of the depthwise convolution.
        strides: Strides, as in `nets.conv`.
        padding: Padding, as in `nets.conv`.
        dilation: Dilation, as in `nets.conv`.
        use_bias: Whether to add a bias after the dense layer.
        activation: Elementwise activation function, or None.
        init: Initializer of both kernels, from `nets.initializers.kernels`.

    Returns:
        An `ImageLayer` with `SeparableConvParams`.

    Example:
        >>> from nets import blocks
        >>> layer = blocks.separable_conv(16, (3, 3))
        >>> params = layer.init(jax.random.key(0), (8, 8, 4))
        >>> params.depthwise.shape, params.pointwise.shape
        ((3, 3, 1, 4), (4, 16))
    """
    size = window_size("kernel_size", kernel_size)
    filters = positive("filters", filters)
    multiplier = positive("multiplier", multiplier)

    def init_params(key, shape):
        deep = channels_of(shape, size) * multiplier
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
    return window_layer(
        init_params,
        partial(apply_activated, run, activation),
        f"separable_conv {format_shape(size)}, {filters}",
        WindowOptions(size, strides, dilation),
    )


@factory
def conv_transpose(
    filters: IntLike,
    kernel_size: Sequence[IntLike],
    *,
    strides: Sizes = 1,
    padding: Padding = "valid",
    dilation: Sizes = 1,
    groups: IntLike = 1,
    output_padding: Sizes | None = None,
    use_bias: bool = True,
    activation: Activation | None = jax.nn.relu,
    init: kernels.KernelInitializer = kernels.linen,
) -> ImageLayer:
    """Transposed convolution and activation, as a layer.

    Args:
        filters: Number of filters, the channels of the output.
        kernel_size: Size of the kernel, a tuple with one number per spatial axis.
        strides: Strides, as in `nets.conv_transpose`.
        padding: Padding, as in `nets.conv_transpose`.
        dilation: Dilation, as in `nets.conv_transpose`.
        groups: Number of groups of channels, as in `nets.conv_transpose`.
        output_padding: Additional size of the output, as in `nets.conv_transpose`.
        use_bias: Whether to add a bias.
        activation: Elementwise activation function, or None.
        init: Initializer of the kernel, from `nets.initializers.kernels`.

    Returns:
        An `ImageLayer` with `ConvParams`.

    Example:
        >>> from nets import blocks
        >>> layer = blocks.conv_transpose(16, (2, 2), strides=2)
        >>> params = layer.init(jax.random.key(0), (4, 4, 8))
        >>> layer.apply(params, jax.numpy.ones((5, 4, 4, 8))).shape
        (5, 8, 8, 16)
    """
    size = window_size("kernel_size", kernel_size)
    filters, groups = positive("filters", filters), positive("groups", groups)
    run = partial(
        convolutional.conv_transpose,
        strides=strides,
        padding=padding,
        dilation=dilation,
        groups=groups,
        output_padding=output_padding,
    )
    return window_layer(
        partial(init_conv, size, filters, groups, use_bias, init),
        partial(apply_activated, run, activation),
        f"conv_transpose {format_shape(size)}, {filters}",
        WindowOptions(size, strides, dilation, groups),
        transposed=True,
    )
