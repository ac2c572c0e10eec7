"""Where windows lie: padding, output sizes, and the windows themselves."""

import itertools
import math
from collections.abc import Sequence
from typing import Any, SupportsIndex, TypeGuard

import jax.numpy as jnp
from jaxtyping import Array, Shaped

Sizes = int | Sequence[int]  # one number for every axis, or one an axis
Padding = str | int | Sequence[tuple[int, int]]
Pairs = tuple[tuple[int, int], ...]

# What stands in the padding, where it is not zero: how NumPy calls it.
FILLS = {"reflect": "reflect", "circular": "wrap", "replicate": "edge"}
PADDINGS = ("valid", "same", "causal", "full", *FILLS)


def per_axis(name: str, value: Sizes, axes: int, least: int = 1) -> tuple[int, ...]:
    """One whole number for every spatial axis.

    Args:
        name: What it is, for the error.
        value: An integer that holds for all, or one an axis.
        axes: How many axes there are.
        least: The least that is allowed.

    Returns:
        The numbers.

    Raises:
        ValueError: They are too few or many, no integers, or too small.

    Example:
        >>> per_axis("strides", 2, axes=3)
        (2, 2, 2)
    """
    values = (value,) * axes if _whole(value) else value
    if (
        not isinstance(values, Sequence)
        or len(values) != axes
        or not all(_whole(v) and int(v) >= least for v in values)
    ):
        raise ValueError(
            f"expected {name} to be an integer of at least {least}, or {axes} of them, "
            f"one for each spatial axis; got {value!r}"
        )
    return tuple(int(v) for v in values)


def window(name: str, size: Any) -> tuple[int, ...]:
    """The sizes of a window, whose number tells how many spatial axes there are.

    Args:
        name: What it is, for the error.
        size: A tuple of positive integers: (3, 3) for images, (8,) for sequences.

    Returns:
        The sizes.

    Raises:
        ValueError: It is a single number, which would leave the axes open, or no tuple
            of positive integers.

    Example:
        >>> window("kernel_size", [3, 3])
        (3, 3)
    """
    if (
        not isinstance(size, Sequence)
        or isinstance(size, str)
        or not size
        or not all(_whole(v) and v >= 1 for v in size)
    ):
        raise ValueError(
            f"expected {name} to be a tuple of positive integers, one for each spatial "
            f"axis, such as (3, 3) for images or (3,) for sequences; got {size!r}"
        )
    return tuple(int(v) for v in size)


def pads(
    padding: Padding,
    space: Sequence[int],
    size: Sequence[int],
    strides: Sequence[int],
    dilation: Sequence[int],
) -> Pairs:
    """How much is added before and after each spatial axis.

    With n the length, k the size, s the stride, d the dilation, and e = (k - 1) d + 1
    the extent of the window:

        valid       (0, 0)
        same        (floor(p / 2), ceil(p / 2)),
                    p = max((ceil(n / s) - 1) s + e - n, 0)
        causal      (e - 1, 0)
        full        (e - 1, e - 1)
        reflect, circular, replicate    (floor((e - 1) / 2), ceil((e - 1) / 2))

    "same", as XLA and Keras have it, gives ceil(n / s) outputs; at a stride above 1 it
    pads less than PyTorch's `padding=k // 2`, and it may be asymmetric.

    Args:
        padding: One of these names, an integer for both sides of every axis, or a pair
            (before, after) for each axis.
        space: n of each axis.
        size: k of each axis.
        strides: s of each axis.
        dilation: d of each axis.

    Returns:
        A pair for each axis.

    Raises:
        ValueError: The padding is none of these, or is larger than what it is filled
            from: a reflection reaches n - 1 far, a circle n.

    Example:
        >>> pads("same", space=(8,), size=(3,), strides=(2,), dilation=(1,))
        ((0, 1),)
    """
    extents = [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)]
    if isinstance(padding, str):
        if padding not in PADDINGS:
            raise ValueError(
                f"expected a padding of {', '.join(PADDINGS)}, an integer, or a pair "
                f"(before, after) for each spatial axis; got {padding!r}"
            )
        pairs = tuple(
            _pair(padding, n, e, s)
            for n, e, s in zip(space, extents, strides, strict=True)
        )
        for (low, high), n in zip(pairs, space, strict=True):
            most = {"reflect": n - 1, "circular": n}.get(padding, math.inf)
            if max(low, high) > most:
                raise ValueError(
                    f"expected {padding!r} padding of at most {most} on an axis of "
                    f"length {n}; the kernel asks for {max(low, high)}"
                )
        return pairs
    pairs = ((padding, padding),) * len(size) if _whole(padding) else padding
    if (
        not isinstance(pairs, Sequence)
        or len(pairs) != len(size)
        or not all(
            isinstance(pair, Sequence)
            and len(pair) == 2
            and all(_whole(v) and v >= 0 for v in pair)
            for pair in pairs
        )
    ):
        raise ValueError(
            f"expected a padding of {', '.join(PADDINGS)}, an integer of at least 0, "
            f"or {len(size)} pairs (before, after) of such, one for each spatial axis; "
            f"got {padding!r}"
        )
    return tuple((int(low), int(high)) for low, high in pairs)


def pad(
    xs: Shaped[Array, "..."], pairs: Pairs, padding: Padding = 0, fill: Any = 0
) -> Shaped[Array, "..."]:
    """An input with its spatial axes padded.

    Args:
        xs: [*batch, *space, channels].
        pairs: (before, after) for each spatial axis.
        padding: "reflect" (without the edge itself), "circular", or "replicate" (the
            edge again and again); anything else pads with `fill`.
        fill: One number.

    Returns:
        The input, made larger.

    Example:
        >>> pad(jnp.arange(3.0)[:, None], ((2, 1),), "reflect")[:, 0].tolist()
        [2.0, 1.0, 0.0, 1.0, 2.0, 1.0]
    """
    if not any(itertools.chain(*pairs)):
        return xs
    widths = [(0, 0)] * (xs.ndim - len(pairs) - 1) + [*pairs, (0, 0)]
    if isinstance(padding, str) and padding in FILLS:
        return jnp.pad(xs, widths, FILLS[padding])
    return jnp.pad(xs, widths, constant_values=jnp.asarray(fill, xs.dtype))


def output_sizes(
    space: Sequence[int],
    size: Sequence[int],
    strides: Sequence[int],
    dilation: Sequence[int],
    pairs: Pairs,
    what: str = "kernel",
) -> tuple[int, ...]:
    """How many windows fit along each axis.

        floor((n + before + after - (k - 1) d - 1) / s) + 1

    Args:
        space: n of each axis.
        size: k of each axis.
        strides: s of each axis.
        dilation: d of each axis.
        pairs: (before, after) of each axis.
        what: How the window is called, for the error.

    Returns:
        A number for each axis, at least 1.

    Raises:
        ValueError: The window is larger than the padded input.

    Example:
        >>> output_sizes((28, 28), (5, 5), (1, 1), (1, 1), ((2, 2), (2, 2)))
        (28, 28)
    """
    extents = [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)]
    padded = [n + sum(pair) for n, pair in zip(space, pairs, strict=True)]
    if any(n < e for n, e in zip(padded, extents, strict=True)):
        raise ValueError(
            f"expected an input at least as large as the {what}: padded it is "
            f"{by(padded)}, the {what} spans {by(extents)}; pad more, or make the "
            f"{what} smaller"
        )
    return tuple(
        (n - e) // s + 1 for n, e, s in zip(padded, extents, strides, strict=True)
    )


def taps(
    xs: Shaped[Array, "batch *padded channels"],
    size: Sequence[int],
    strides: Sequence[int],
    dilation: Sequence[int],
    sizes: Sequence[int],
) -> list[Shaped[Array, "batch *space channels"]]:
    """What each place of the window sees, over all positions of the window.

    Args:
        xs: A padded input.
        size: k of each axis.
        strides: s of each axis.
        dilation: d of each axis.
        sizes: How many windows there are along each axis.

    Returns:
        An array for each place of the window, in row-major order.

    Example:
        >>> xs = jnp.arange(4.0).reshape(1, 4, 1)
        >>> [tap.ravel().tolist() for tap in taps(xs, (2,), (2,), (1,), (2,))]
        [[0.0, 2.0], [1.0, 3.0]]
    """
    found = []
    for place in itertools.product(*map(range, size)):
        cuts = tuple(
            slice(p * d, p * d + (n - 1) * s + 1, s)
            for p, d, s, n in zip(place, dilation, strides, sizes, strict=True)
        )
        found.append(xs[(slice(None), *cuts)])
    return found


def one_batch(
    xs: Shaped[Array, "..."], axes: int, what: str
) -> tuple[Shaped[Array, "..."], tuple[int, ...]]:
    """The input with all its batch axes as one, and what they were.

    Args:
        xs: [*batch, *space, channels].
        axes: How many spatial axes there are.
        what: What takes it, for the error.

    Returns:
        [examples, *space, channels], and the shape of the batch.

    Raises:
        ValueError: It has too few axes.

    Example:
        >>> xs, batch = one_batch(jnp.ones((2, 3, 8, 8, 1)), axes=2, what="conv")
        >>> xs.shape, batch
        ((6, 8, 8, 1), (2, 3))
    """
    names = ", ".join(("time",) if axes == 1 else ("depth", "height", "width")[-axes:])
    if xs.ndim < axes + 1:
        raise ValueError(
            f"expected {what} to be given [*batch, {names}, channels]; got shape "
            f"{list(xs.shape)}"
        )
    batch = xs.shape[: xs.ndim - axes - 1]
    return xs.reshape(math.prod(batch), *xs.shape[len(batch) :]), batch


def by(sizes: Sequence[int]) -> str:
    """Sizes in words.

    Args:
        sizes: One an axis.

    Returns:
        "3x3".

    Example:
        >>> by((3, 3))
        '3x3'
    """
    return "x".join(map(str, sizes))


def _whole(value: Any) -> TypeGuard[int]:
    return isinstance(value, SupportsIndex) and not isinstance(value, bool)


def _pair(padding: str, n: int, extent: int, stride: int) -> tuple[int, int]:
    """Before and after one axis."""
    if padding == "same":
        total = max((-(-n // stride) - 1) * stride + extent - n, 0)
        return total // 2, total - total // 2
    total = extent - 1
    return {
        "valid": (0, 0),
        "causal": (total, 0),
        "full": (total, total),
    }.get(padding, (total // 2, total - total // 2))
