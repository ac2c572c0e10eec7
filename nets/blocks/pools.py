"""Layers that shrink or enlarge feature maps, without parameters."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Shaped

from nets import convolutional
from nets.blocks.reshaping import no_params
from nets.convolutional.geometry import Sizes, Whole, by, per_axis, positive
from nets.convolutional.geometry import window as checked
from nets.convolutional.padding import Padding
from nets.convolutional.upsampling import scaled
from nets.factories import factory
from nets.types import ImageLayer, ReceptiveField

# How many inputs an interpolation weighs, along each axis.
REACH = {"nearest": 1, "linear": 2, "cubic": 4, "cubic-pytorch": 4} | {
    "lanczos3": 6,
    "lanczos5": 10,
}


@factory
def max_pool(
    window: Sequence[Whole],
    *,
    strides: Sizes | None = None,
    padding: Padding = "valid",
    dilation: Sizes = 1,
    ceil_mode: bool = False,
) -> ImageLayer:
    """The largest number of each window: `nets.max_pool` as a layer.

    Args:
        window: A tuple, whose length is the number of spatial axes.
        strides: By default the window's sizes; as in `nets.max_pool`, like the rest.
        padding: Likewise.
        dilation: Likewise.
        ceil_mode: Likewise.

    Returns:
        An `ImageLayer` without parameters.

    Example:
        >>> import jax
        >>> from nets import blocks
        >>> blocks.max_pool((2, 2)).apply((), jax.numpy.ones((5, 8, 8, 3))).shape
        (5, 4, 4, 3)
    """
    return _pool(
        convolutional.max_pool,
        window,
        strides,
        padding=padding,
        dilation=dilation,
        ceil_mode=ceil_mode,
    )


@factory
def mean_pool(
    window: Sequence[Whole],
    *,
    strides: Sizes | None = None,
    padding: Padding = "valid",
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    count_padding: bool = False,
) -> ImageLayer:
    """The mean of each window: `nets.mean_pool` as a layer.

    Args:
        window: A tuple, whose length is the number of spatial axes.
        strides: By default the window's sizes; as in `nets.mean_pool`, like the rest.
        padding: Likewise.
        dilation: Likewise.
        ceil_mode: Likewise.
        count_padding: Likewise.

    Returns:
        An `ImageLayer` without parameters.

    Example:
        >>> import jax
        >>> from nets import blocks
        >>> blocks.mean_pool((2, 2)).apply((), jax.numpy.ones((5, 8, 8, 3))).shape
        (5, 4, 4, 3)
    """
    return _pool(
        convolutional.mean_pool,
        window,
        strides,
        padding=padding,
        dilation=dilation,
        ceil_mode=ceil_mode,
        count_padding=count_padding,
    )


@factory
def lp_pool(
    window: Sequence[Whole],
    p: int | float = 2.0,
    *,
    strides: Sizes | None = None,
    padding: Padding = "valid",
    ceil_mode: bool = False,
) -> ImageLayer:
    """The p-norm of each window: `nets.lp_pool` as a layer.

    Args:
        window: A tuple, whose length is the number of spatial axes.
        p: Of the norm.
        strides: By default the window's sizes; as in `nets.lp_pool`, like the rest.
        padding: Likewise.
        ceil_mode: Likewise.

    Returns:
        An `ImageLayer` without parameters.

    Example:
        >>> import jax
        >>> from nets import blocks
        >>> blocks.lp_pool((2, 2)).apply((), jax.numpy.ones((8, 8, 1)))[0, 0].tolist()
        [2.0]
    """
    return _pool(
        convolutional.lp_pool,
        window,
        strides,
        p=p,
        padding=padding,
        ceil_mode=ceil_mode,
    )


@factory
def adaptive_max_pool(sizes: Sequence[Whole | None]) -> ImageLayer:
    """The largest numbers, in so many windows: `nets.adaptive_max_pool` as a layer.

    Args:
        sizes: Of the output, one a spatial axis; None keeps what there is.

    Returns:
        An `ImageLayer` without parameters.

    Example:
        >>> import jax
        >>> from nets import blocks
        >>> pool = blocks.adaptive_max_pool((3, 3))
        >>> pool.apply((), jax.numpy.ones((5, 8, 8, 2))).shape
        (5, 3, 3, 2)
    """
    return _adaptive(convolutional.adaptive_max_pool, sizes)


@factory
def adaptive_mean_pool(sizes: Sequence[Whole | None]) -> ImageLayer:
    """The means, in so many windows: `nets.adaptive_mean_pool` as a layer.

    Args:
        sizes: Of the output, one a spatial axis; None keeps what there is.

    Returns:
        An `ImageLayer` without parameters.

    Example:
        >>> import jax
        >>> from nets import blocks
        >>> pool = blocks.adaptive_mean_pool((3, None))
        >>> pool.apply((), jax.numpy.ones((5, 8, 8, 2))).shape
        (5, 3, 8, 2)
    """
    return _adaptive(convolutional.adaptive_mean_pool, sizes)


@factory
def global_max_pool(axes: Whole) -> ImageLayer:
    """The largest number of each feature map: `nets.global_max_pool` as a layer.

    Args:
        axes: How many spatial axes there are.

    Returns:
        An `ImageLayer` without parameters.

    Example:
        >>> import jax
        >>> from nets import blocks
        >>> blocks.global_max_pool(2).apply((), jax.numpy.ones((5, 8, 8, 3))).shape
        (5, 3)
    """
    return _global(convolutional.global_max_pool, axes)


@factory
def global_mean_pool(axes: Whole) -> ImageLayer:
    """The mean of each feature map: `nets.global_mean_pool` as a layer.

    Args:
        axes: How many spatial axes there are.

    Returns:
        An `ImageLayer` without parameters.

    Example:
        >>> import jax
        >>> from nets import blocks
        >>> blocks.global_mean_pool(2).apply((), jax.numpy.ones((5, 8, 8, 3))).shape
        (5, 3)
    """
    return _global(convolutional.global_mean_pool, axes)


@factory
def upsample(
    factor: Sequence[Any] | None = None,
    *,
    sizes: Sequence[Whole] | None = None,
    method: str = "nearest",
    align_corners: bool = False,
) -> ImageLayer:
    """Larger feature maps, by interpolation: `nets.upsample` as a layer.

    Args:
        factor: How much larger, along each spatial axis.
        sizes: How large, in place of `factor`.
        method: As in `nets.upsample`, like the rest.
        align_corners: Likewise.

    Returns:
        An `ImageLayer` without parameters.

    Example:
        >>> import jax
        >>> from nets import blocks
        >>> larger = blocks.upsample((2, 2), method="linear")
        >>> larger.apply((), jax.numpy.ones((5, 4, 4, 3))).shape
        (5, 8, 8, 3)
    """
    if method not in REACH:
        raise ValueError(f"expected a method of {', '.join(REACH)}; got {method!r}")
    if not isinstance(sizes if factor is None else factor, Sequence):
        raise ValueError(
            "expected a factor or sizes, a tuple with a number for each spatial axis; "
            f"got factor={factor}, sizes={sizes}"
        )
    if sizes is not None:
        sizes = per_axis("sizes", sizes, len(sizes))
    reach = REACH[method]
    run = partial(
        convolutional.upsample,
        factor=factor,
        sizes=sizes,
        method=method,
        align_corners=align_corners,
    )

    def window(shape):
        space = shape[:-1]
        wanted = sizes or scaled(space, factor or ())[0]
        axes = [
            _resized(n, o, reach, align_corners)
            for n, o in zip(space, wanted, strict=True)
        ]
        return ReceptiveField(*map(tuple, zip(*axes, strict=True)))

    given = tuple(sizes or factor or ())
    return ImageLayer(
        no_params,
        partial(_apply, run),
        len(given),
        f"upsample {'to ' if sizes else ''}{'x'.join(map(str, given))}, {method}",
        receptive_field=window,
    )


@factory
def unpool(window: Sequence[Whole]) -> ImageLayer:
    """Each number at the first place of its window, and zeros around it, as a layer.

    Where the maxima of a pool were, `nets.unpool` sets each number at its own place: it
    is told the indices, which a layer of one input cannot be.

    Args:
        window: Of the pool, as large as its strides.

    Returns:
        An `ImageLayer` without parameters.

    Example:
        >>> from nets import blocks
        >>> ys = blocks.unpool((2,)).apply((), jnp.array([[1.0], [2.0]]))
        >>> ys[:, 0].tolist()
        [1.0, 0.0, 2.0, 0.0]

    References:
        Zeiler and Fergus 2014, Visualizing and understanding convolutional networks,
        ECCV, https://arxiv.org/abs/1311.2901
    """
    size = checked("window", window)
    one = (Fraction(1),) * len(size)
    seen = ReceptiveField(one, tuple(Fraction(1, k) for k in size))
    return ImageLayer(
        no_params,
        partial(_apply, partial(_spread, size=size)),
        len(size),
        name=f"unpool {by(size)}",
        receptive_field=lambda shape: seen,
    )


def _spread(xs: Shaped[Array, "..."], size: Sequence[int]) -> Shaped[Array, "..."]:
    """Zeros after each number, along each spatial axis."""
    if xs.ndim < len(size) + 1:
        raise ValueError(
            f"expected an input [*batch, *space, channels] with {len(size)} spatial "
            f"axes; got shape {list(xs.shape)}"
        )
    others = [(0, 0, 0)] * (xs.ndim - len(size) - 1)
    edges = [*others, *((0, k - 1, k - 1) for k in size), (0, 0, 0)]
    return jax.lax.pad(xs, jnp.zeros((), xs.dtype), edges)


def _pool(
    function: Callable, window: Sequence[Whole], strides: Sizes | None, **options: Any
) -> ImageLayer:
    """A layer that moves a window."""
    size = checked("window", window)
    stride = size if strides is None else per_axis("strides", strides, len(size))
    dilation = per_axis("dilation", options.get("dilation", 1), len(size))
    seen = ReceptiveField(
        tuple(Fraction((k - 1) * d + 1) for k, d in zip(size, dilation, strict=True)),
        tuple(map(Fraction, stride)),
    )
    moved = "" if stride == size else f", stride {by(stride)}"
    return ImageLayer(
        no_params,
        partial(_apply, partial(function, window=size, strides=stride, **options)),
        len(size),
        name=f"{function.__name__} {by(size)}{moved}",
        receptive_field=lambda shape: seen,
    )


def _adaptive(function: Callable, sizes: Sequence[Whole | None]) -> ImageLayer:
    """A layer of windows that are as large as they need to be."""
    if not isinstance(sizes, Sequence):
        raise ValueError(
            "expected sizes, a tuple with a number (or None) for each spatial axis; "
            f"got {sizes!r}"
        )
    sizes = [o if o is None else positive("each of sizes", o) for o in sizes]

    def window(shape):
        stride = [Fraction(n, o or n) for n, o in zip(shape[:-1], sizes, strict=True)]
        # A window may begin and end within a place, which it then sees.
        extent = [s + 2 * (1 - Fraction(1, s.denominator)) for s in stride]
        return ReceptiveField(tuple(extent), tuple(stride))

    said = "x".join("all" if size is None else str(size) for size in sizes)
    return ImageLayer(
        no_params,
        partial(_apply, partial(function, sizes=sizes)),
        len(sizes),
        name=f"{function.__name__} to {said}",
        receptive_field=window,
    )


def _global(function: Callable, axes: Whole) -> ImageLayer:
    """A layer that sees all of a feature map."""
    axes = positive("axes", axes)
    return ImageLayer(
        no_params,
        partial(_apply, partial(function, axes=axes)),
        axes,
        function.__name__,
    )


def _resized(n, o, reach, align_corners) -> tuple[Fraction, Fraction]:
    """What an output sees along an axis of n inputs and o outputs, and the stride.

    How far a place is from an input is a multiple of 1 / q, if the stride is p / q.
    """
    if n == o:
        return Fraction(1), Fraction(1)
    ends = align_corners and o > 1
    stride = Fraction(n - 1, o - 1) if ends else Fraction(n, o)
    return reach + 1 - Fraction(1, stride.denominator), stride


def _apply(function, params, xs):
    return function(xs)
