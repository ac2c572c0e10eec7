"""Convolutions of sequences, images and volumes."""

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from nets.convolutional.dtypes import wide
from nets.convolutional.geometry import (
    IntLike,
    Sizes,
    flatten_batch,
    format_shape,
    output_sizes,
    per_axis,
    positive,
    window_slices,
)
from nets.convolutional.padding import FILLS, Padding, pad, padding_pairs
from nets.linear import add_bias


class ConvParams(NamedTuple):
    """kernel [*size, inputs / groups, filters], and bias [filters] or None."""

    kernel: Float[Array, "..."]
    bias: Float[Array, " filters"] | None


class SeparableConvParams(NamedTuple):
    """depthwise [*size, 1, deep], pointwise [deep, filters], bias [filters] or None.

    deep = inputs * multiplier, where multiplier is the number of filters per channel.
    """

    depthwise: Float[Array, "..."]
    pointwise: Float[Array, "deep filters"]
    bias: Float[Array, " filters"] | None


def conv(
    params: ConvParams,
    xs: Shaped[Array, "..."],
    *,
    strides: Sizes = 1,
    padding: Padding = "valid",
    dilation: Sizes = 1,
    groups: IntLike = 1,
) -> Float[Array, "..."]:
    """Convolution: each output is a weighted sum of the inputs in a window.

        y[o, f] = b[f] + sum over p, c of kernel[p, c, f] x[o s + p d - before, c]

    with stride s, dilation d, and the amount of padding before the input. The kernel is
    not flipped (this is a cross-correlation), as in all deep learning libraries.

    The kernel spans all channels, and one spatial axis per size: a kernel of size (8,)
    spans 8 steps of a sequence and all its features, a kernel of size (8, 1) spans 8
    rows of an image in one column.

    Args:
        params: Kernel, [*size, inputs / groups, filters], and bias.
        xs: Input, [*batch, *space, inputs], with one spatial axis per size of the
            kernel.
        strides: Distance between neighboring windows, one for all axes or one per axis.
        padding: "valid" (none), "same" (ceil(n / s) outputs), "causal" (before the
            input only), "full" (all windows that overlap the input), "reflect",
            "circular" or "replicate" (filled from the input), an integer, or a pair
            (before, after) for each axis.
        dilation: Distance between neighboring inputs of a window.
        groups: Number of groups of channels; each filter reads one group. With as many
            groups as inputs, the convolution is depthwise.

    Returns:
        Output, [*batch, *space', filters], of the common dtype of xs and params. Sums,
        including the bias, are computed in at least float32 and rounded once.

    Raises:
        ValueError: The shapes do not match, the window is larger than the padded input,
            or the kernel does not have 1, 2 or 3 spatial axes.

    Example:
        >>> import jax, nets
        >>> ones = nets.convolutional.ConvParams(jnp.ones((8, 3, 5)), bias=jnp.zeros(5))
        >>> conv(ones, jnp.ones((2, 20, 3))).shape  # 8 steps, all 3 features
        (2, 13, 5)
        >>> column = nets.convolutional.ConvParams(jnp.ones((8, 1, 1, 1)), bias=None)
        >>> conv(column, jnp.ones((28, 28, 1)), padding="same").shape
        (28, 28, 1)

    References:
        Fukushima 1980, Neocognitron, Biological Cybernetics 36.
        LeCun et al. 1998, Gradient-based learning applied to document recognition,
        Proceedings of the IEEE, https://doi.org/10.1109/5.726791
        Dumoulin and Visin 2016, A guide to convolution arithmetic for deep learning,
        https://arxiv.org/abs/1603.07285
    """
    kernel, bias, xs = same_dtype(params.kernel, params.bias, xs)
    ys = sums(
        kernel,
        xs,
        strides=strides,
        padding=padding,
        dilation=dilation,
        groups=groups,
    )
    return biased(ys, bias, xs.dtype)


def separable_conv(
    params: SeparableConvParams,
    xs: Shaped[Array, "..."],
    *,
    strides: Sizes = 1,
    padding: Padding = "valid",
    dilation: Sizes = 1,
) -> Float[Array, "..."]:
    """Depthwise convolution, followed by a dense layer over the channels.

        y = pointwise (depthwise * x) + b

    With m filters per channel and k inputs per window it has k m inputs + m inputs
    filters weights instead of k inputs filters.

    Args:
        params: Depthwise kernel, pointwise kernel, and bias.
        xs: Input, [*batch, *space, inputs].
        strides: Strides of the depthwise convolution, as in `conv`.
        padding: Padding of the depthwise convolution, as in `conv`.
        dilation: Dilation of the depthwise convolution, as in `conv`.

    Returns:
        Output, [*batch, *space', filters].

    Raises:
        ValueError: As in `conv`.

    Example:
        >>> import nets
        >>> depthwise, pointwise = jnp.ones((3, 3, 1, 4)), jnp.ones((4, 8))
        >>> params = nets.convolutional.SeparableConvParams(
        ...     depthwise, pointwise, bias=jnp.zeros(8)
        ... )
        >>> separable_conv(params, jnp.ones((2, 9, 9, 4)), padding="same").shape
        (2, 9, 9, 8)

    References:
        Chollet 2017, Xception: deep learning with depthwise separable convolutions,
        CVPR, https://arxiv.org/abs/1610.02357
    """
    depthwise, pointwise, bias, xs = same_dtype(*params, xs)
    deep = sums(
        depthwise,
        xs,
        strides=strides,
        padding=padding,
        dilation=dilation,
        groups=max(xs.shape[-1], 1) if xs.ndim else 1,
    )
    if pointwise.ndim != 2 or pointwise.shape[0] != deep.shape[-1]:
        raise ValueError(
            f"expected a pointwise kernel [{deep.shape[-1]}, filters], one row for "
            f"each map of the depthwise one; got shape {list(pointwise.shape)}"
        )
    return biased(deep @ pointwise.astype(deep.dtype), bias, xs.dtype)


def sums(kernel, xs, *, strides, padding, dilation, groups):
    """Compute the convolution without its bias, in the dtype of the sums."""
    check_kernel(kernel)
    groups = positive("groups", groups)
    size, axes = kernel.shape[:-2], kernel.ndim - 2
    xs, batch = flatten_batch(
        xs, axes, f"a convolution with a {format_shape(size)} kernel"
    )
    check_channels(kernel, xs, groups)
    space = xs.shape[1:-1]
    strides = per_axis("strides", strides, axes)
    dilation = per_axis("dilation", dilation, axes)
    pairs = padding_pairs(padding, space, size, strides, dilation)
    sizes = output_sizes(space, size, strides, dilation, pairs)
    options = {
        "strides": strides,
        "pairs": pairs,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
    }
    # On CPUs, XLA's convolution is slow in loops and over stacked kernels, as in
    # training. There, matrix products are 10 to 20 times faster.
    ys = jax.lax.platform_dependent(
        xs,
        kernel,
        cpu=partial(_by_products, sizes=sizes, **options),
        default=partial(_by_xla, **options),
    )
    return ys.reshape(*batch, *sizes, kernel.shape[-1])


def biased(ys, bias, dtype):
    """Add the bias to the sums and round to the dtype."""
    if bias is not None:
        ys = add_bias(ys, bias.astype(ys.dtype))
    return ys.astype(dtype)


def same_dtype(*arrays: Any) -> list[Any]:
    """Cast all arrays to their common dtype; None stays None."""
    dtype = jnp.result_type(*(array for array in arrays if array is not None))
    return [None if array is None else jnp.asarray(array, dtype) for array in arrays]


def check_kernel(kernel):
    """Check that the kernel has 1, 2 or 3 spatial axes."""
    if kernel.ndim not in (3, 4, 5):
        raise ValueError(
            "expected a kernel of 1, 2 or 3 spatial axes, [*size, inputs / groups, "
            f"filters]; got shape {list(kernel.shape)}"
        )


def check_channels(kernel, xs, groups):
    """Check that the channels of the input match the kernel."""
    inputs, filters = kernel.shape[-2:]
    if filters % groups:
        raise ValueError(
            f"expected groups that divide the {filters} filters; got {groups}"
        )
    if xs.shape[-1] != inputs * groups:
        raise ValueError(
            f"expected {inputs * groups} channels in the input's last axis, to match "
            f"the kernel; got {xs.shape[-1]}"
        )


def _by_products(xs, kernel, *, sizes, strides, pairs, padding, dilation, groups):
    """Multiply the inputs of all windows (im2col) by the kernel as a matrix."""
    size, (inputs, filters) = kernel.shape[:-2], kernel.shape[-2:]
    # Cast before slicing: the gradient sums over overlapping windows.
    xs, kernel = (array.astype(wide(array.dtype)) for array in (xs, kernel))
    slices = window_slices(pad(xs, pairs, padding), size, strides, dilation, sizes)
    rows = math.prod(size) * inputs
    if groups == 1:
        return jnp.concatenate(slices, axis=-1) @ kernel.reshape(rows, filters)
    slices = [part.reshape(*part.shape[:-1], groups, inputs) for part in slices]
    weights = kernel.reshape(rows, groups, filters // groups)
    ys = jnp.einsum("...gi,igf->...gf", jnp.concatenate(slices, axis=-1), weights)
    return ys.reshape(*ys.shape[:-2], filters)


def _by_xla(xs, kernel, *, strides, pairs, padding, dilation, groups):
    if isinstance(padding, str) and padding in FILLS:
        copied = pad(xs.astype(wide(xs.dtype)), pairs, padding)
        xs, pairs = copied.astype(xs.dtype), ((0, 0),) * len(pairs)
    ys = jax.lax.conv_general_dilated(
        xs,
        kernel,
        strides,
        pairs,
        rhs_dilation=dilation,
        dimension_numbers=channels_last(kernel),
        feature_group_count=groups,
    )
    return ys.astype(wide(ys.dtype))  # accelerators sum in float32 internally


def channels_last(kernel):
    """Return XLA's dimension numbers: NHWC inputs and HWIO kernels in 2-D."""
    space = "DHW"[-(kernel.ndim - 2) :]
    return f"N{space}C", f"{space}IO", f"N{space}C"
