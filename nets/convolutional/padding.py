"""Padding of inputs."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Shaped

from nets.convolutional.geometry import IntLike, Pairs, dilated_size, is_integer

Padding = str | IntLike | Sequence[tuple[IntLike, IntLike]]

# Paddings that are filled from the input, with NumPy's names for them.
FILLS = {"reflect": "reflect", "circular": "wrap", "replicate": "edge"}
PADDINGS = ("valid", "same", "causal", "full", *FILLS)


def padding_pairs(
    padding: Padding,
    space: Sequence[int],
    size: Sequence[int],
    strides: Sequence[int],
    dilation: Sequence[int],
) -> Pairs:
    """Compute the amounts of padding before and after each spatial axis.

    With n the length, k the size, s the stride, d the dilation, and e = (k - 1) d + 1
    the size of the dilated window:

        valid       (0, 0)
        same        (floor(p / 2), ceil(p / 2)),
                    p = max((ceil(n / s) - 1) s + e - n, 0)
        causal      (e - 1, 0)
        full        (e - 1, e - 1)
        reflect, circular, replicate    (floor((e - 1) / 2), ceil((e - 1) / 2))

    "same" gives ceil(n / s) outputs, as in XLA and Keras. With a stride above 1 it pads
    less than PyTorch's `padding=k // 2`, and may be asymmetric.

    Args:
        padding: One of these names, an integer for both sides of every axis, or one
            pair (before, after) per axis.
        space: n of each axis.
        size: k of each axis.
        strides: s of each axis.
        dilation: d of each axis.

    Returns:
        One pair (before, after) per axis.

    Raises:
        ValueError: The padding is not one of these, or is larger than the input that
            fills it: at most n - 1 for "reflect", n for "circular".

    Example:
        >>> padding_pairs("same", space=(8,), size=(3,), strides=(2,), dilation=(1,))
        ((0, 1),)
    """
    dilated = dilated_size(size, dilation)
    if isinstance(padding, str):
        if padding not in PADDINGS:
            raise ValueError(
                f"expected a padding of {', '.join(PADDINGS)}, an integer, or a pair "
                f"(before, after) for each spatial axis; got {padding!r}"
            )
        pairs = tuple(
            _pair(padding, n, e, s)
            for n, e, s in zip(space, dilated, strides, strict=True)
        )
        for (low, high), n in zip(pairs, space, strict=True):
            most = {"reflect": n - 1, "circular": n}.get(padding, math.inf)
            if max(low, high) > most:
                raise ValueError(
                    f"expected {padding!r} padding of at most {most} on an axis of "
                    f"length {n}; the kernel requires {max(low, high)}"
                )
        return pairs
    pairs = ((padding, padding),) * len(size) if is_integer(padding) else padding
    if (
        not isinstance(pairs, Sequence)
        or len(pairs) != len(size)
        or not all(
            isinstance(pair, Sequence)
            and len(pair) == 2
            and all(is_integer(v) and v >= 0 for v in pair)
            for pair in pairs
        )
    ):
        raise ValueError(
            f"expected a padding of {', '.join(PADDINGS)}, an integer of at least 0, "
            f"or {len(size)} such pairs (before, after), one for each spatial axis; "
            f"got {padding!r}"
        )
    return tuple((int(low), int(high)) for low, high in pairs)


def pad(
    xs: Shaped[Array, "..."], pairs: Pairs, padding: Padding = 0, fill: Any = 0
) -> Shaped[Array, "..."]:
    """Pad the spatial axes of an input.

    Args:
        xs: Input, [*batch, *space, channels].
        pairs: One pair (before, after) per spatial axis.
        padding: "reflect" (without the edge itself), "circular", or "replicate" (copies
            of the edge); any other value pads with `fill`.
        fill: Number that fills the padding.

    Returns:
        The padded input.

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


def _pair(padding: str, n: int, size: int, stride: int) -> tuple[int, int]:
    """Return the amounts of padding before and after one axis."""
    if padding == "same":
        total = max((-(-n // stride) - 1) * stride + size - n, 0)
        return total // 2, total - total // 2
    total = size - 1
    return {
        "valid": (0, 0),
        "causal": (total, 0),
        "full": (total, total),
    }.get(padding, (total // 2, total - total // 2))
