"""Geometry of windows: checks of arguments, numbers of windows, and their slices."""

import itertools
import math
import operator
from collections.abc import Sequence
from typing import Any, SupportsIndex, TypeGuard

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Shaped

IntLike = SupportsIndex  # an integer, of Python or NumPy
Sizes = IntLike | Sequence[IntLike]  # one for all axes, or one per axis
Pairs = tuple[tuple[int, int], ...]


def per_axis(name: str, value: Sizes, axes: int, least: int = 1) -> tuple[int, ...]:
    """Return one integer per spatial axis.

    Args:
        name: Name of the argument, for the error message.
        value: One integer for all axes, or one per axis.
        axes: Number of axes.
        least: Smallest allowed value.

    Returns:
        The integers.

    Raises:
        ValueError: The number of values is not `axes`, or a value is not an integer or
            is too small.

    Example:
        >>> per_axis("strides", 2, axes=3)
        (2, 2, 2)
    """
    values = (value,) * axes if is_integer(value) else value
    if (
        not isinstance(values, Sequence)
        or len(values) != axes
        or not all(is_integer(v) and int(v) >= least for v in values)
    ):
        raise ValueError(
            f"expected {name} to be an integer of at least {least}, or {axes} of them, "
            f"one for each spatial axis; got {value!r}"
        )
    return tuple(int(v) for v in values)


def window_size(name: str, size: Any) -> tuple[int, ...]:
    """Check the sizes of a window, one per spatial axis.

    Args:
        name: Name of the argument, for the error message.
        size: A tuple of positive integers: (3, 3) for images, (8,) for sequences.

    Returns:
        The sizes.

    Raises:
        ValueError: `size` is a single number, which does not determine the number of
            axes, or not a tuple of positive integers.

    Example:
        >>> window_size("kernel_size", [3, 3])
        (3, 3)
    """
    if (
        not isinstance(size, Sequence)
        or isinstance(size, str)
        or not size
        or not all(is_integer(v) and int(v) >= 1 for v in size)
    ):
        raise ValueError(
            f"expected {name} to be a tuple of positive integers, one for each spatial "
            f"axis, such as (3, 3) for images or (3,) for sequences; got {size!r}"
        )
    return tuple(int(v) for v in size)


def dilated_size(size: Sequence[int], dilation: Sequence[int]) -> tuple[int, ...]:
    """Compute the size of a dilated window, e = (k - 1) d + 1 along each axis.

    Args:
        size: k of each axis.
        dilation: d of each axis.

    Returns:
        One number per axis.

    Example:
        >>> dilated_size((3, 5), (2, 1))
        (5, 5)
    """
    return tuple((k - 1) * d + 1 for k, d in zip(size, dilation, strict=True))


def output_sizes(
    space: Sequence[int],
    size: Sequence[int],
    strides: Sequence[int],
    dilation: Sequence[int],
    pairs: Pairs,
    what: str = "kernel",
) -> tuple[int, ...]:
    """Compute the number of windows along each axis.

        floor((n + before + after - (k - 1) d - 1) / s) + 1

    Args:
        space: n of each axis.
        size: k of each axis.
        strides: s of each axis.
        dilation: d of each axis.
        pairs: (before, after) of each axis.
        what: Name of the window, for the error message.

    Returns:
        One number per axis, at least 1.

    Raises:
        ValueError: The window is larger than the padded input.

    Example:
        >>> output_sizes((28, 28), (5, 5), (1, 1), (1, 1), ((2, 2), (2, 2)))
        (28, 28)
    """
    dilated = dilated_size(size, dilation)
    padded = [n + sum(pair) for n, pair in zip(space, pairs, strict=True)]
    if any(n < e for n, e in zip(padded, dilated, strict=True)):
        raise ValueError(
            f"expected an input at least as large as the {what}: the padded input is "
            f"{format_shape(padded)}, the {what} spans "
            f"{format_shape(dilated)}; pad more, or make the {what} smaller"
        )
    return tuple(
        (n - e) // s + 1 for n, e, s in zip(padded, dilated, strides, strict=True)
    )


def window_slices(
    xs: Shaped[Array, "batch *padded channels"],
    size: Sequence[int],
    strides: Sequence[int],
    dilation: Sequence[int],
    sizes: Sequence[int],
) -> list[Shaped[Array, "batch *space channels"]]:
    """Return the inputs at each offset within the window, for all windows.

    Args:
        xs: Padded input.
        size: k of each axis.
        strides: s of each axis.
        dilation: d of each axis.
        sizes: Number of windows along each axis.

    Returns:
        One array per offset within the window, in row-major order.

    Example:
        >>> xs = jnp.arange(4.0).reshape(1, 4, 1)
        >>> [x.ravel().tolist() for x in window_slices(xs, (2,), (2,), (1,), (2,))]
        [[0.0, 2.0], [1.0, 3.0]]
    """
    slices = []
    for offset in itertools.product(*map(range, size)):
        cuts = tuple(
            slice(p * d, p * d + (n - 1) * s + 1, s)
            for p, d, s, n in zip(offset, dilation, strides, sizes, strict=True)
        )
        slices.append(xs[(slice(None), *cuts)])
    return slices


def flatten_batch(
    xs: Shaped[Array, "..."], axes: int, what: str
) -> tuple[Shaped[Array, "..."], tuple[int, ...]]:
    """Flatten all batch axes of the input to one; return also the shape of the batch.

    Args:
        xs: Input, [*batch, *space, channels], of JAX or NumPy.
        axes: Number of spatial axes.
        what: Name of the operation, for the error message.

    Returns:
        xs as [examples, *space, channels], and the shape of the batch.

    Raises:
        ValueError: `xs` has too few axes, or a spatial axis of length 0.

    Example:
        >>> xs, batch = flatten_batch(jnp.ones((2, 3, 8, 8, 1)), axes=2, what="conv")
        >>> xs.shape, batch
        ((6, 8, 8, 1), (2, 3))
    """
    xs = jnp.asarray(xs)
    names = ", ".join(("time",) if axes == 1 else ("depth", "height", "width")[-axes:])
    if xs.ndim < axes + 1:
        raise ValueError(
            f"expected an input [*batch, {names}, channels] for {what}; got shape "
            f"{list(xs.shape)}"
        )
    batch = xs.shape[: xs.ndim - axes - 1]
    if not all(xs.shape[len(batch) : -1]):
        raise ValueError(
            f"expected an input [*batch, {names}, channels] for {what}, with at least "
            f"one position along each spatial axis; got shape {list(xs.shape)}"
        )
    return xs.reshape(math.prod(batch), *xs.shape[len(batch) :]), batch


def format_shape(sizes: Sequence[int]) -> str:
    """Format sizes for messages and names.

    Args:
        sizes: One size per axis.

    Returns:
        "3x3".

    Example:
        >>> format_shape((3, 3))
        '3x3'
    """
    return "x".join(map(str, sizes))


def is_integer(value: Any) -> TypeGuard[int]:
    """Whether a value is an integer of Python or NumPy, and not a boolean.

    Args:
        value: Any value.

    Returns:
        The answer.

    Example:
        >>> is_integer(3), is_integer(3.0), is_integer(True)
        (True, False, False)
    """
    if isinstance(value, bool | np.bool_):
        return False
    try:
        operator.index(value)
    except TypeError:
        return False
    return True


def positive(name: str, value: Any) -> int:
    """Check that a value is an integer of at least 1.

    Args:
        name: Name of the argument, for the error message.
        value: Any value.

    Returns:
        The value as a Python integer.

    Raises:
        ValueError: `value` is not an integer, or is less than 1.

    Example:
        >>> positive("filters", np.int64(4))
        4
    """
    if not is_integer(value) or int(value) < 1:
        raise ValueError(f"expected {name} to be a positive integer; got {value!r}")
    return int(value)
