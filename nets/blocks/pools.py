"""Layers that shrink or enlarge feature maps, without parameters.

Each is a function of `nets` as a layer: the options are those of the function.

Example:
    >>> import jax.numpy as jnp
    >>> from nets import blocks
    >>> xs = jnp.ones((5, 8, 8, 3))
    >>> blocks.max_pool((2, 2)).apply((), xs).shape
    (5, 4, 4, 3)
    >>> blocks.adaptive_mean_pool((3, None)).apply((), xs).shape
    (5, 3, 8, 3)
    >>> blocks.global_mean_pool(2).apply((), xs).shape
    (5, 3)
    >>> blocks.upsample((2, 2), method="linear").apply((), xs).shape
    (5, 16, 16, 3)
"""

import inspect
import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from typing import Any, Concatenate, NamedTuple, ParamSpec

import jax
import jax.numpy as jnp
from jaxtyping import Array, Shaped

from nets import convolutional
from nets.blocks.reshaping import no_params
from nets.convolutional.geometry import (
    IntLike,
    format_shape,
    per_axis,
    positive,
    window_size,
)
from nets.convolutional.upsampling import scaled
from nets.factories import factory
from nets.types import ImageLayer, ReceptiveField

P = ParamSpec("P")

# Number of inputs that an interpolation combines, along each axis.
SUPPORTS = {"nearest": 1, "linear": 2, "cubic": 4, "cubic-pytorch": 4} | {
    "lanczos3": 6,
    "lanczos5": 10,
}


class _Description(NamedTuple):
    """Checked options of a layer, its number of spatial axes, name and `window`."""

    options: dict[str, Any]
    axes: int
    name: str
    window: Callable[[Sequence[int]], ReceptiveField | None] | None = None


def _as_layer(
    function: Callable[Concatenate[Array, P], Array],
    describe: Callable[..., _Description],
) -> Callable[P, ImageLayer]:
    """Turn a function of feature maps into a factory of layers with its options."""
    signature = inspect.signature(function)
    options = [p for n, p in signature.parameters.items() if n not in _NOT_OPTIONS]
    signature = signature.replace(parameters=options, return_annotation=ImageLayer)

    def make(*args: P.args, **kwargs: P.kwargs) -> ImageLayer:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        options, axes, name, window = describe(function.__name__, **bound.arguments)
        run = partial(_apply, partial(function, **options))
        return ImageLayer(no_params, run, axes, name, window)

    make.__name__ = make.__qualname__ = function.__name__
    make.__doc__ = _document(function, list(signature.parameters))
    vars(make)["__signature__"] = signature
    return factory(make)


_NOT_OPTIONS = "xs", "return_indices"


def _document(function: Callable, options: Sequence[str]) -> str:
    """Docstring of a layer, from that of its function."""
    head, _, rest = (inspect.getdoc(function) or "").partition("\nArgs:\n")
    entries = re.split(r"\n(?=    \w)", rest.partition("\n\n")[0])
    entries = [e for e in entries if e.split(":")[0].strip() in options]
    summary, _, details = head.partition("\n")
    return "\n".join(
        [
            f"{summary.rstrip('.')}, as a layer (see `nets.{function.__name__}`).",
            details,
            "Args:",
            *entries,
            "",
            "Returns:",
            "    A `ImageLayer` without parameters.",
        ]
    )


def _moving(name: str, window: Any, strides: Any, **options: Any) -> _Description:
    """Describe a pool that moves a window."""
    size = window_size("window", window)
    strides = size if strides is None else per_axis("strides", strides, len(size))
    dilation = per_axis("dilation", options.get("dilation", 1), len(size))
    field = ReceptiveField(
        tuple(Fraction((k - 1) * d + 1) for k, d in zip(size, dilation, strict=True)),
        tuple(map(Fraction, strides)),
    )
    suffix = "" if strides == size else f", stride {format_shape(strides)}"
    return _Description(
        {"window": size, "strides": strides, **options},
        len(size),
        f"{name} {format_shape(size)}{suffix}",
        lambda shape: field,
    )


def _adaptive(name: str, sizes: Any) -> _Description:
    """Describe a pool with a given output size."""
    if not isinstance(sizes, Sequence):
        raise ValueError(
            "expected sizes, a tuple with a number (or None) for each spatial axis; "
            f"got {sizes!r}"
        )
    sizes = [o if o is None else positive("each of sizes", o) for o in sizes]

    def window(shape):
        stride = [Fraction(n, o or n) for n, o in zip(shape[:-1], sizes, strict=True)]
        # A window may begin and end within an input, which then belongs to it.
        size = [s + 2 * (1 - Fraction(1, s.denominator)) for s in stride]
        return ReceptiveField(tuple(size), tuple(stride))

    label = "x".join("all" if size is None else str(size) for size in sizes)
    return _Description({"sizes": sizes}, len(sizes), f"{name} to {label}", window)


def _global(name: str, axes: Any) -> _Description:
    """Describe a pool over all of a feature map."""
    axes = positive("axes", axes)
    return _Description({"axes": axes}, axes, name)


def _resizing(
    name: str, factor: Any, sizes: Any, method: str, align_corners: bool
) -> _Description:
    """Describe an interpolation."""
    if method not in SUPPORTS:
        raise ValueError(f"expected a method of {', '.join(SUPPORTS)}; got {method!r}")
    if not isinstance(sizes if factor is None else factor, Sequence):
        raise ValueError(
            "expected a factor or sizes, a tuple with a number for each spatial axis; "
            f"got factor={factor}, sizes={sizes}"
        )
    if sizes is not None:
        sizes = per_axis("sizes", sizes, len(sizes))

    def window(shape):
        space = shape[:-1]
        outputs = sizes or scaled(space, factor or ())[0]
        axes = [
            _resized(n, o, SUPPORTS[method], align_corners)
            for n, o in zip(space, outputs, strict=True)
        ]
        return ReceptiveField(*map(tuple, zip(*axes, strict=True)))

    target = tuple(sizes or factor or ())
    options = {"factor": factor, "sizes": sizes}
    return _Description(
        options | {"method": method, "align_corners": align_corners},
        len(target),
        f"{name} {'to ' if sizes else ''}{'x'.join(map(str, target))}, {method}",
        window,
    )


def _resized(n, o, support, align_corners) -> tuple[Fraction, Fraction]:
    """Receptive field and stride of the outputs along an axis of n inputs, o outputs.

    Distances between outputs and inputs are multiples of 1 / q for a stride p / q.
    """
    if n == o:
        return Fraction(1), Fraction(1)
    ends = align_corners and o > 1
    stride = Fraction(n - 1, o - 1) if ends else Fraction(n, o)
    return support + 1 - Fraction(1, stride.denominator), stride


def _apply(function, params, xs):
    return function(xs)


max_pool = _as_layer(convolutional.max_pool, _moving)
mean_pool = _as_layer(convolutional.mean_pool, _moving)
lp_pool = _as_layer(convolutional.lp_pool, _moving)
adaptive_max_pool = _as_layer(convolutional.adaptive_max_pool, _adaptive)
adaptive_mean_pool = _as_layer(convolutional.adaptive_mean_pool, _adaptive)
global_max_pool = _as_layer(convolutional.global_max_pool, _global)
global_mean_pool = _as_layer(convolutional.global_mean_pool, _global)
upsample = _as_layer(convolutional.upsample, _resizing)


@factory
def unpool(window: Sequence[IntLike]) -> ImageLayer:
    """Unpooling without indices: each number at the first position of its window.

    The other positions are zero. `nets.unpool` instead places each number at the index
    of the maximum; these indices are a second input, which a layer cannot have.

    Args:
        window: Sizes and strides of the pool.

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
    size = window_size("window", window)
    field = ReceptiveField(
        (Fraction(1),) * len(size), tuple(Fraction(1, k) for k in size)
    )
    return ImageLayer(
        no_params,
        partial(_apply, partial(_spread, size=size)),
        len(size),
        f"unpool {format_shape(size)}",
        lambda shape: field,
    )


def _spread(xs: Shaped[Array, "..."], size: Sequence[int]) -> Shaped[Array, "..."]:
    """Insert zeros after each number, along each spatial axis."""
    if xs.ndim < len(size) + 1:
        raise ValueError(
            f"expected an input [*batch, *space, channels] with {len(size)} spatial "
            f"axes; got shape {list(xs.shape)}"
        )
    batch = [(0, 0, 0)] * (xs.ndim - len(size) - 1)
    edges = [*batch, *((0, k - 1, k - 1) for k in size), (0, 0, 0)]
    return jax.lax.pad(xs, jnp.zeros((), xs.dtype), edges)
