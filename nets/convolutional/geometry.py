"""Where windows lie, how many there are, and what they see."""

import itertools
import math
import operator
from collections.abc import Sequence
from typing import Any, SupportsIndex, TypeGuard

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Shaped

Whole = SupportsIndex  # an integer, of Python or NumPy
Sizes = Whole | Sequence[Whole]  # one number for every axis, or one an axis
Pairs = tuple[tuple[int, int], ...]


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
    values = (value,) * axes if whole_number(value) else value
    if (
        not isinstance(values, Sequence)
        or len(values) != axes
        or not all(whole_number(v) and int(v) >= least for v in values)
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
        or not all(whole_number(v) and int(v) >= 1 for v in size)
    ):
        raise ValueError(
            f"expected {name} to be a tuple of positive integers, one for each spatial "
            f"axis, such as (3, 3) for images or (3,) for sequences; got {size!r}"
        )
    return tuple(int(v) for v in size)


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


def window_slices(
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
        xs: [*batch, *space, channels], of JAX or NumPy.
        axes: How many spatial axes there are.
        what: What takes it, for the error.

    Returns:
        [examples, *space, channels], and the shape of the batch.

    Raises:
        ValueError: It has too few axes, or a spatial axis of length 0.

    Example:
        >>> xs, batch = one_batch(jnp.ones((2, 3, 8, 8, 1)), axes=2, what="conv")
        >>> xs.shape, batch
        ((6, 8, 8, 1), (2, 3))
    """
    xs = jnp.asarray(xs)
    names = ", ".join(("time",) if axes == 1 else ("depth", "height", "width")[-axes:])
    if xs.ndim < axes + 1:
        raise ValueError(
            f"expected {what} to be given [*batch, {names}, channels]; got shape "
            f"{list(xs.shape)}"
        )
    batch = xs.shape[: xs.ndim - axes - 1]
    if not all(xs.shape[len(batch) : -1]):
        raise ValueError(
            f"expected {what} to be given at least one place along each spatial axis, "
            f"[*batch, {names}, channels]; got shape {list(xs.shape)}"
        )
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


def whole_number(value: Any) -> TypeGuard[int]:
    """Whether it is an integer, of Python or NumPy, and no boolean.

    Args:
        value: Anything.

    Returns:
        Whether.

    Example:
        >>> whole_number(3), whole_number(3.0), whole_number(True)
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
    """An integer of at least 1.

    Args:
        name: Its name, for the error.
        value: Anything.

    Returns:
        The integer, as Python's.

    Raises:
        ValueError: It is no integer, or less than 1.

    Example:
        >>> positive("filters", np.int64(4))
        4
    """
    if not whole_number(value) or int(value) < 1:
        raise ValueError(f"expected {name} to be a positive integer; got {value!r}")
    return int(value)
