"""Larger (or smaller) feature maps, by interpolation."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Shaped

from nets.convolutional.adaptive import weighted_sum
from nets.convolutional.dtypes import mean_dtypes, wide
from nets.convolutional.geometry import Whole, one_batch, per_axis


class Interpolation(NamedTuple):
    """How the inputs around a place are weighed.

    Attributes:
        reach: How far away an input may be to have a weight.
        kernel: The weight of an input at a distance.
        clamped: Whether the edge is repeated outside; else only what is inside counts,
            and the weights are divided by their sum.
    """

    reach: int
    kernel: Callable[[np.ndarray], np.ndarray]
    clamped: bool = False


def _cubic(a):
    def kernel(x):
        near = ((a + 2) * x - (a + 3)) * x**2 + 1
        return np.where(x < 1, near, a * (((x - 5) * x + 8) * x - 4) * (x < 2))

    return kernel


def _lanczos(reach):
    return lambda x: np.sinc(x) * np.sinc(x / reach) * (x < reach)


METHODS = {
    "linear": Interpolation(1, lambda x: np.maximum(1 - x, 0)),
    "cubic": Interpolation(2, _cubic(-0.5)),
    "cubic-pytorch": Interpolation(2, _cubic(-0.75), clamped=True),
    "lanczos3": Interpolation(3, _lanczos(3)),
    "lanczos5": Interpolation(5, _lanczos(5)),
}


def upsample(
    xs: Shaped[Array, "..."],
    factor: Sequence[Any] | None = None,
    *,
    sizes: Sequence[Whole] | None = None,
    method: str = "nearest",
    align_corners: bool = False,
) -> Shaped[Array, "..."]:
    """Feature maps of another size, by interpolation along one axis after the other.

        y[i, c] = sum over p of w(|p - q(i)|) x[p, c]

    where q(i) is the place of output i among the n inputs: the inputs are cells of
    width 1 and the outputs of width n / o, or 1 / factor, both starting at the same
    edge, and each number stands in the middle of its cell,

        q(i) = (i + 1/2) n / o - 1/2

    or, with `align_corners`, the first and the last numbers fall on each other,

        q(i) = i (n - 1) / (o - 1)

    Args:
        xs: [*batch, *space, channels].
        factor: How much larger, a number above 0 for each spatial axis: (2, 2) for
            images. The sizes are rounded down, unless the factor is o / n but for its
            rounding; where one stays what it was, its axis is left as it is.
        sizes: How large, one for each spatial axis, in place of `factor`.
        method: "nearest" (in PyTorch "nearest-exact"); "linear" (bilinear in images);
            "cubic" (Keys, a = -1/2, as in JAX and Keras), "cubic-pytorch" (a = -3/4, as
            in PyTorch); "lanczos3", "lanczos5". None smooths where the output is
            smaller.
        align_corners: Of all methods but "nearest".

    Returns:
        [*batch, *sizes, channels], of xs's dtype; where that is of integers, float32
        from all methods but "nearest".

    Raises:
        ValueError: Not exactly one of `factor` and `sizes` is given, they do not fit
            the input, or there is no such method.

    Example:
        >>> xs = jnp.array([0.0, 1.0])[:, None]
        >>> upsample(xs, (2,))[:, 0].tolist()
        [0.0, 0.0, 1.0, 1.0]
        >>> upsample(xs, (2,), method="linear")[:, 0].tolist()
        [0.0, 0.25, 0.75, 1.0]
        >>> upsample(xs, sizes=(3,), method="linear", align_corners=True)[:, 0].tolist()
        [0.0, 0.5, 1.0]

    References:
        Keys 1981, Cubic convolution interpolation for digital image processing, IEEE
        Transactions on Acoustics, Speech, and Signal Processing 29.
        Odena, Dumoulin and Olah 2016, Deconvolution and checkerboard artifacts,
        Distill, https://doi.org/10.23915/distill.00003
    """
    if method != "nearest" and method not in METHODS:
        raise ValueError(
            f"expected a method of nearest, {', '.join(METHODS)}; got {method!r}"
        )
    if align_corners and method == "nearest":
        raise ValueError(
            "expected align_corners with a method that weighs several inputs; the "
            "nearest is one"
        )
    given = factor if sizes is None else sizes
    if (
        not isinstance(given, Sequence)
        or not given
        or (factor is not None and sizes is not None)
    ):
        raise ValueError(
            "expected a factor or sizes, one of the two, a tuple with a number for "
            f"each spatial axis; got factor={factor}, sizes={sizes}"
        )
    xs, batch = one_batch(xs, len(given), "upsampling")
    space = xs.shape[1:-1]
    if sizes is None:
        sizes, widths = scaled(space, given)
    else:
        sizes = per_axis("sizes", sizes, len(given))
        widths = list(zip(space, sizes, strict=True))
    # Wide even where numbers are only copied: the gradient adds up that of all copies.
    ys = xs.astype(wide(xs.dtype) if method == "nearest" else mean_dtypes(xs)[1])
    for axis, (n, o, width) in enumerate(zip(space, sizes, widths, strict=True), 1):
        if n == o:
            continue
        if method == "nearest":
            ys = _nearest(ys, n, o, _middles(o, width), axis)
            continue
        places = _middles(o, width) - 0.5
        if align_corners:
            places = np.arange(o) * (n - 1) / max(o - 1, 1)
        ys = weighted_sum(ys, _weights(n, places, METHODS[method]), axis)
    dtype = xs.dtype if method == "nearest" else mean_dtypes(xs)[0]
    return ys.astype(dtype).reshape(*batch, *sizes, xs.shape[-1])


def scaled(
    space: Sequence[int], factor: Sequence[Any]
) -> tuple[tuple[int, ...], list[tuple[int, int | float]]]:
    """The sizes that a factor gives, and the width of an output among the inputs.

    A factor computed as o / n is rounded, and n times it may be a little below o, which
    is meant all the same.

    Args:
        space: n of each axis.
        factor: A number above 0 for each.

    Returns:
        The sizes, o of each axis; and fractions, above and below: (n, o) where the
        factor is o / n, otherwise (1, factor).

    Raises:
        ValueError: A factor is not above 0, or leaves no output.

    Example:
        >>> int(88 * (120 / 88)), scaled((88,), (120 / 88,))
        (119, ((120,), [(88, 120)]))
        >>> scaled((5,), (1.5,))
        ((7,), [(1, 1.5)])
    """
    sizes, widths = [], []
    for n, f in zip(space, factor, strict=True):
        value, slack = _number(f)
        o = math.floor(n * value * (1 + slack)) if math.isfinite(value) else 0
        if o < 1:
            raise ValueError(
                "expected a factor above 0 for each spatial axis that leaves at least "
                f"one output of {tuple(space)}; got {tuple(factor)}"
            )
        sizes.append(o)
        widths.append((n, o) if abs(o - n * value) <= slack * o else (1, value))
    return tuple(sizes), widths


def _number(factor):
    """A factor as a float (NaN if it is none), and how far rounding may put it off."""
    try:
        value = float(factor)
    except (TypeError, ValueError, OverflowError):
        return math.nan, 0.0
    narrow = isinstance(factor, np.floating)
    return value, 4 * float(np.finfo(factor.dtype if narrow else np.float64).eps)


def _middles(o, width):
    """How far the middle of each output's cell is from the edge of the input.

    The width comes as a fraction, to be divided by last: rounded before, it could move
    a middle that falls between two inputs to the one before.
    """
    above, below = width
    return (np.arange(o) + 0.5) * above / below


def _nearest(xs, n, o, middles, axis):
    """Each output is the input in whose cell its middle is."""
    places = np.minimum(np.floor(middles).astype(int), n - 1)
    if o % n == 0 and (places == np.arange(o) // (o // n)).all():
        return jnp.repeat(xs, o // n, axis)  # no gather, which accelerators are slow at
    return jnp.take(xs, places, axis, mode="clip")


def _weights(n, places, method):
    """How much of each input there is in each output, [inputs, outputs]."""
    seen = np.arange(1 - method.reach, method.reach + 1)
    seen = np.floor(places)[:, None].astype(int) + seen
    weights = method.kernel(np.abs(places[:, None] - seen))
    if not method.clamped:
        weights = weights * ((seen >= 0) & (seen < n))
        weights = weights / weights.sum(axis=1, keepdims=True)
    matrix = np.zeros((n, len(places)))
    columns = np.arange(len(places))[:, None]
    np.add.at(matrix, (np.clip(seen, 0, n - 1), columns), weights)
    return matrix
