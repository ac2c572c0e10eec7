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
    IntLike,
    Pairs,
    Sizes,
    dilated_size,
    flatten_batch,
    format_shape,
    per_axis,
    positive,
)
from nets.convolutional.padding import Padding, padding_pairs


def conv_transpose(
    params: ConvParams,
    xs: Shaped[Array, "..."],
    *,
    strides: Sizes = 1,
    padding: Padding = "valid",
    dilation: Sizes = 1,
    groups: IntLike = 1,
    output_padding: Sizes | None = None,
) -> Float[Array, "..."]:
    """Transposed convolution: each input adds a multiple of the kernel to the output.

        y[q, f] = b[f] + sum over o, p, c with o s + p d = q of kernel[p, c, f] x[o, c]

    with the padding removed at both ends. It is the adjoint of `conv`, <conv x, y> =
    <x, conv_transpose y>, if the last two axes of the kernel are exchanged. It undoes
    the change of size by a convolution with the same stride.

    With n inputs, stride s and a dilated kernel of size e = (k - 1) d + 1, the number
    of outputs is

        (n - 1) s + e - before - after + output_padding    for given amounts (PyTorch)
        n s + max(e - s, 0)                                for "valid" (Keras, Flax)
        n s                                                for "same" (Keras, Flax)

    If `output_padding` is given, the last two become (n - 1) s + e + output_padding and
    (n - 1) s + (e mod 2) + output_padding, as in Keras.

    Args:
        params: Kernel, [*size, inputs / groups, filters], and bias.
        xs: Input, [*batch, *space, inputs].
        strides: Distance between the outputs of neighboring inputs.
        padding: "valid", "same", an integer, or one pair (before, after) per axis: the
            padding of the corresponding convolution, which is removed from the output.
        dilation: Distance between neighboring weights of the kernel.
        groups: Number of groups of channels, as in `conv`.
        output_padding: Additional size of the output. It selects one of the several
            sizes that the corresponding convolution maps to the same size.

    Returns:
        Output, [*batch, *space', filters], summed and rounded as in `conv`.

    Raises:
        ValueError: As in `conv`, or the output is empty.

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
    xs, batch = flatten_batch(
        xs, axes, f"a convolution with a {format_shape(size)} kernel"
    )
    check_channels(kernel, xs, groups)
    strides = per_axis("strides", strides, axes)
    dilation = per_axis("dilation", dilation, axes)
    extra = (
        (None,) * axes
        if output_padding is None
        else per_axis("output_padding", output_padding, axes, least=0)
    )
    dilated = dilated_size(size, dilation)
    cuts = _cuts(padding, xs.shape[1:-1], dilated, strides, extra)
    sizes = [
        (n - 1) * s + e - sum(cut)
        for n, s, e, cut in zip(xs.shape[1:-1], strides, dilated, cuts, strict=True)
    ]
    if min(sizes) < 1:
        raise ValueError(
            "expected a padding that leaves at least one output; got the output shape "
            f"{format_shape(sizes)}"
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
    """Compute all contributions by one product, then shift and sum them."""
    size, (inputs, filters) = kernel.shape[:-2], kernel.shape[-2:]
    xs, kernel = (array.astype(wide(array.dtype)) for array in (xs, kernel))
    xs = xs.reshape(*xs.shape[:-1], groups, inputs)
    weights = kernel.reshape(math.prod(size), inputs, groups, filters // groups)
    laid = jnp.einsum("...gi,pigf->p...gf", xs, weights)
    laid = laid.reshape(*laid.shape[:-2], filters)
    shares = []
    for share, offset in zip(laid, itertools.product(*map(range, size)), strict=True):
        edges = [
            (p * d - low, (k - 1 - p) * d - high, s - 1)
            for p, d, k, s, (low, high) in zip(
                offset, dilation, size, strides, cuts, strict=True
            )
        ]
        zero = jnp.zeros((), share.dtype)
        shares.append(jax.lax.pad(share, zero, [(0, 0, 0), *edges, (0, 0, 0)]))
    return functools.reduce(operator.add, shares)


def _transposed_by_xla(xs, kernel, *, strides, cuts, dilation, groups):
    axes = kernel.ndim - 2
    dilated = dilated_size(kernel.shape[:-2], dilation)
    ys = jax.lax.conv_general_dilated(
        xs,
        jnp.flip(kernel, range(axes)),
        (1,) * axes,
        [
            (e - 1 - low, e - 1 - high)
            for e, (low, high) in zip(dilated, cuts, strict=True)
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
    size: Sequence[int],
    strides: Sequence[int],
    extra: Sequence[int | None],
) -> Pairs:
    """Amounts to remove at both ends of each axis (to add, if negative)."""
    if isinstance(padding, str):
        if padding not in ("valid", "same"):
            raise ValueError(
                "expected a padding of valid, same, an integer, or a pair (before, "
                "after) for each spatial axis in a transposed convolution; got "
                f"{padding!r}"
            )
        return tuple(
            _named_cut(padding, n, e, s, more)
            for n, e, s, more in zip(space, size, strides, extra, strict=True)
        )
    pairs = padding_pairs(padding, space, size, strides, (1,) * len(size))
    return tuple(
        (low, high - (more or 0))
        for (low, high), more in zip(pairs, extra, strict=True)
    )


def _named_cut(padding, n, size, stride, more) -> tuple[int, int]:
    """Amounts to remove for the output size of Keras."""
    full = (n - 1) * stride + size
    if padding == "valid":
        return 0, -(max(stride - size, 0) if more is None else more)
    wanted = n * stride if more is None else (n - 1) * stride + size % 2 + more
    low = max(full - wanted, 0) // 2
    return low, full - wanted - low
