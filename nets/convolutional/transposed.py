"""Transposed convolutions."""

import functools
import itertools
import math
import operator
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from nets.convolutional.convolution import (
    ConvParams,
    biased,
    channels_last,
    check_channels,
    check_kernel,
    same_dtype,
)
from nets.convolutional.dtypes import wide
from nets.convolutional.geometry import (
    Pairs,
    Sizes,
    Whole,
    by,
    one_batch,
    per_axis,
    positive,
)
from nets.convolutional.padding import Padding, pads


def conv_transpose(
    params: ConvParams,
    xs: Shaped[Array, "..."],
    *,
    strides: Sizes = 1,
    padding: Padding = "valid",
    dilation: Sizes = 1,
    groups: Whole = 1,
    output_padding: Sizes | None = None,
) -> Float[Array, "..."]:
    """A transposed convolution: each input lays its share of the kernel on the output.

        y[q, f] = b[f] + sum over o, p, c with o s + p d = q of kernel[p, c, f] x[o, c]

    cut at both ends by the padding. It is the adjoint of `conv`, <conv x, y> = <x,
    conv_transpose y>, where the kernel has its last two axes exchanged. It makes larger
    what a convolution of the same stride made smaller.

    With n inputs, the stride s and the kernel's extent e = (k - 1) d + 1, there are

        (n - 1) s + e - before - after + output_padding    for given amounts (PyTorch)
        n s + max(e - s, 0)                                for "valid" (Keras, Flax)
        n s                                                for "same" (Keras, Flax)

    outputs; the last two become (n - 1) s + e + output_padding, and (n - 1) s + (e mod
    2) + output_padding, where an output padding is given, as in Keras.

    Args:
        params: The kernel, [*size, inputs / groups, filters], and the bias.
        xs: [*batch, *space, inputs].
        strides: How far the kernel moves on the output for a step on the input.
        padding: "valid", "same", an integer, or a pair (before, after) for each axis:
            what the convolution that it reverses was padded by, which is cut off here.
        dilation: The distance between the places of the kernel.
        groups: As in `conv`.
        output_padding: How much longer the output is, as several lengths give the same
            in the convolution that it reverses.

    Returns:
        [*batch, *space', filters], added up and rounded as in `conv`.

    Raises:
        ValueError: As in `conv`, or nothing is left of the output.

    Example:
        >>> import nets
        >>> params = nets.convolutional.ConvParams(jnp.ones((2, 1, 1)), bias=None)
        >>> xs = jnp.array([1.0, 2.0])[:, None]
        >>> conv_transpose(params, xs, strides=2)[:, 0].tolist()
        [1.0, 1.0, 2.0, 2.0]

    References:
        Zeiler, Krishnan, Taylor and Fergus 2010, Deconvolutional networks, CVPR.
        Dumoulin and Visin 2016, A guide to convolution arithmetic for deep learning,
        https://arxiv.org/abs/1603.07285
    """
    kernel, bias, xs = same_dtype(params.kernel, params.bias, xs)
    check_kernel(kernel)
    groups = positive("groups", groups)
    size, axes = kernel.shape[:-2], kernel.ndim - 2
    xs, batch = one_batch(xs, axes, f"a convolution with a {by(size)} kernel")
    check_channels(kernel, xs, groups)
    strides = per_axis("strides", strides, axes)
    dilation = per_axis("dilation", dilation, axes)
    extra = (
        (None,) * axes
        if output_padding is None
        else per_axis("output_padding", output_padding, axes, least=0)
    )
    extents = [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)]
    cuts = _cuts(padding, xs.shape[1:-1], extents, strides, extra)
    sizes = [
        (n - 1) * s + e - sum(cut)
        for n, s, e, cut in zip(xs.shape[1:-1], strides, extents, cuts, strict=True)
    ]
    if min(sizes) < 1:
        raise ValueError(
            f"expected a padding that leaves some of the output; {by(sizes)} is left "
            "of it"
        )
    options = {
        "strides": strides,
        "cuts": cuts,
        "dilation": dilation,
        "groups": groups,
    }
    ys = jax.lax.platform_dependent(
        xs,
        kernel,
        cpu=functools.partial(_transposed_by_products, **options),
        default=functools.partial(_transposed_by_xla, **options),
    )
    ys = ys.reshape(*batch, *sizes, kernel.shape[-1])
    return biased(ys, bias, xs.dtype)


def _transposed_by_products(xs, kernel, *, strides, cuts, dilation, groups):
    """One product gives what each input lays down, which is then moved and summed."""
    size, (inputs, filters) = kernel.shape[:-2], kernel.shape[-2:]
    xs, kernel = (array.astype(wide(array.dtype)) for array in (xs, kernel))
    xs = xs.reshape(*xs.shape[:-1], groups, inputs)
    places = kernel.reshape(math.prod(size), inputs, groups, filters // groups)
    laid = jnp.einsum("...gi,pigf->p...gf", xs, places)
    laid = laid.reshape(*laid.shape[:-2], filters)
    shares = []
    for share, place in zip(laid, itertools.product(*map(range, size)), strict=True):
        edges = [
            (p * d - low, (k - 1 - p) * d - high, s - 1)
            for p, d, k, s, (low, high) in zip(
                place, dilation, size, strides, cuts, strict=True
            )
        ]
        zero = jnp.zeros((), share.dtype)
        shares.append(jax.lax.pad(share, zero, [(0, 0, 0), *edges, (0, 0, 0)]))
    return functools.reduce(operator.add, shares)


def _transposed_by_xla(xs, kernel, *, strides, cuts, dilation, groups):
    axes = kernel.ndim - 2
    extents = [(k - 1) * d + 1 for k, d in zip(kernel.shape, dilation, strict=False)]
    ys = jax.lax.conv_general_dilated(
        xs,
        jnp.flip(kernel, range(axes)),
        (1,) * axes,
        [
            (e - 1 - low, e - 1 - high)
            for e, (low, high) in zip(extents, cuts, strict=True)
        ],
        lhs_dilation=strides,
        rhs_dilation=dilation,
        dimension_numbers=channels_last(kernel),
        feature_group_count=groups,
    )
    return ys.astype(wide(ys.dtype))


def _cuts(
    padding: Padding,
    space: Sequence[int],
    extents: Sequence[int],
    strides: Sequence[int],
    extra: Sequence[int | None],
) -> Pairs:
    """What is cut off the full output at both ends of each axis (added, if below 0)."""
    if isinstance(padding, str):
        if padding not in ("valid", "same"):
            raise ValueError(
                "expected a padding of valid, same, an integer, or a pair (before, "
                "after) for each spatial axis in a transposed convolution; got "
                f"{padding!r}"
            )
        return tuple(
            _named_cut(padding, n, e, s, more)
            for n, e, s, more in zip(space, extents, strides, extra, strict=True)
        )
    pairs = pads(padding, space, extents, strides, (1,) * len(extents))
    return tuple(
        (low, high - (more or 0))
        for (low, high), more in zip(pairs, extra, strict=True)
    )


def _named_cut(padding, n, extent, stride, more) -> tuple[int, int]:
    """The cut that gives the number of outputs that Keras has."""
    full = (n - 1) * stride + extent
    if padding == "valid":
        return 0, -(max(stride - extent, 0) if more is None else more)
    wanted = n * stride if more is None else (n - 1) * stride + extent % 2 + more
    low = max(full - wanted, 0) // 2
    return low, full - wanted - low
