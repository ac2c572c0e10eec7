"""Convolutions, of sequences, images and volumes."""

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from nets.convolutional.dtypes import wide
from nets.convolutional.geometry import (
    Sizes,
    Whole,
    by,
    one_batch,
    output_sizes,
    per_axis,
    positive,
    window_slices,
)
from nets.convolutional.padding import FILLS, Padding, pad, pads
from nets.linear import add_bias


class ConvParams(NamedTuple):
    """kernel [*size, inputs / groups, filters], and bias [filters] or None."""

    kernel: Float[Array, "..."]
    bias: Float[Array, " filters"] | None


class SeparableConvParams(NamedTuple):
    """depthwise [*size, 1, deep], pointwise [deep, filters], bias [filters] or None.

    deep = inputs * multiplier, with so many filters a channel.
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
    groups: Whole = 1,
) -> Float[Array, "..."]:
    """A convolution: each output is a weighted sum of what a window of the input shows.

        y[o, f] = b[f] + sum over p, c of kernel[p, c, f] x[o s + p d - before, c]

    with the stride s, the dilation d, and what the padding sets before the input. Like
    every library of the field it does not flip the kernel (a cross-correlation).

    The kernel spans all channels, and as many spatial axes as it has sizes: one of size
    (8,) spans 8 steps of a sequence and all its features, one of size (8, 1) spans 8
    rows of an image in one column.

    Args:
        params: The kernel, [*size, inputs / groups, filters], and the bias.
        xs: [*batch, *space, inputs], as many spatial axes as `size` has.
        strides: How far the window moves, for all axes or one an axis.
        padding: "valid" (none), "same" (ceil(n / s) outputs), "causal" (before the
            input only), "full" (wherever the window overlaps the input), "reflect",
            "circular" or "replicate" (filled from the input), an integer, or a pair
            (before, after) for each axis.
        dilation: The distance between the places of the window.
        groups: The channels fall into so many groups; each filter sees one of them.
            With as many groups as inputs the convolution is depthwise.

    Returns:
        [*batch, *space', filters], of the dtype that xs and params have together; added
        up, bias included, in float32 at the least, and rounded once.

    Raises:
        ValueError: The shapes do not fit each other, the window is larger than the
            padded input, or the kernel has not 1, 2 or 3 spatial axes.

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
    """A depthwise convolution, and a dense layer over the channels at every place.

        y = pointwise (depthwise * x) + b

    With m filters a channel: k m inputs + m inputs filters weights instead of k inputs
    filters, k being the number of places in the window.

    Args:
        params: The two kernels, and the bias.
        xs: [*batch, *space, inputs].
        strides: Of the depthwise convolution, as in `conv`.
        padding: Likewise.
        dilation: Likewise.

    Returns:
        [*batch, *space', filters].

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
    """The convolution without its bias, in the dtype in which it is added up."""
    check_kernel(kernel)
    groups = positive("groups", groups)
    size, axes = kernel.shape[:-2], kernel.ndim - 2
    xs, batch = one_batch(xs, axes, f"a convolution with a {by(size)} kernel")
    check_channels(kernel, xs, groups)
    space = xs.shape[1:-1]
    strides = per_axis("strides", strides, axes)
    dilation = per_axis("dilation", dilation, axes)
    pairs = pads(padding, space, size, strides, dilation)
    sizes = output_sizes(space, size, strides, dilation, pairs)
    options = {
        "strides": strides,
        "pairs": pairs,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
    }
    # On a CPU, XLA's convolution is slow in a loop and over stacked kernels, which is
    # how training runs: there, products of matrices are 10 to 20 times faster.
    ys = jax.lax.platform_dependent(
        xs,
        kernel,
        cpu=partial(_by_products, sizes=sizes, **options),
        default=partial(_by_xla, **options),
    )
    return ys.reshape(*batch, *sizes, kernel.shape[-1])


def biased(ys, bias, dtype):
    """Sums with their bias, rounded to the dtype."""
    if bias is not None:
        ys = add_bias(ys, bias.astype(ys.dtype))
    return ys.astype(dtype)


def same_dtype(*arrays: Any) -> list[Any]:
    """All in the dtype that they have together; None stays None."""
    dtype = jnp.result_type(*(array for array in arrays if array is not None))
    return [None if array is None else jnp.asarray(array, dtype) for array in arrays]


def check_kernel(kernel):
    """Refuse kernels that do not have 1, 2 or 3 spatial axes."""
    if kernel.ndim not in (3, 4, 5):
        raise ValueError(
            "expected a kernel of 1, 2 or 3 spatial axes, [*size, inputs / groups, "
            f"filters]; got shape {list(kernel.shape)}"
        )


def check_channels(kernel, xs, groups):
    """Refuse channels that the kernel was not made for."""
    inputs, filters = kernel.shape[-2:]
    if filters % groups:
        raise ValueError(
            f"expected groups that divide the {filters} filters; got {groups}"
        )
    if xs.shape[-1] != inputs * groups:
        raise ValueError(
            f"expected {inputs * groups} channels in the input's last axis, as the "
            f"kernel was made for; got {xs.shape[-1]}"
        )


def _by_products(xs, kernel, *, sizes, strides, pairs, padding, dilation, groups):
    """One product of what all windows show (im2col) with the kernel as a matrix."""
    size, (inputs, filters) = kernel.shape[:-2], kernel.shape[-2:]
    # Widened before the windows are cut: the gradient adds up where they overlap.
    xs, kernel = (array.astype(wide(array.dtype)) for array in (xs, kernel))
    seen = window_slices(pad(xs, pairs, padding), size, strides, dilation, sizes)
    rows = math.prod(size) * inputs
    if groups == 1:
        return jnp.concatenate(seen, axis=-1) @ kernel.reshape(rows, filters)
    seen = [tap.reshape(*tap.shape[:-1], groups, inputs) for tap in seen]
    weights = kernel.reshape(rows, groups, filters // groups)
    ys = jnp.einsum("...gi,igf->...gf", jnp.concatenate(seen, axis=-1), weights)
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
    return ys.astype(wide(ys.dtype))  # accelerators add up in float32 within


def channels_last(kernel):
    """What stands where, in XLA's words: NHWC images and HWIO kernels in 2-D."""
    space = "DHW"[-(kernel.ndim - 2) :]
    return f"N{space}C", f"{space}IO", f"N{space}C"
