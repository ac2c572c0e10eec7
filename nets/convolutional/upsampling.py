"""Resizing of feature maps by interpolation."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Shaped

from nets.convolutional.adaptive import weighted_sum
from nets.convolutional.dtypes import mean_dtypes, wide
from nets.convolutional.geometry import IntLike, flatten_batch, per_axis


class Interpolation(NamedTuple):
    """Interpolation weights of the inputs around a position.

    Attributes:
        radius: Distance beyond which the weight of an input is zero.
        kernel: Weight of an input as a function of its distance.
        clamped: Whether the edge is repeated outside the input. Otherwise only inputs
            inside count, and the weights are divided by their sum.
    """

    radius: int
    kernel: Callable[[np.ndarray], np.ndarray]
    clamped: bool = False


def _cubic(a):
    def kernel(x):
        near = ((a + 2) * x - (a + 3)) * x**2 + 1
        return np.where(x < 1, near, a * (((x - 5) * x + 8) * x - 4) * (x < 2))

    return kernel


def _lanczos(radius):
    return lambda x: np.sinc(x) * np.sinc(x / radius) * (x < radius)


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
    sizes: Sequence[IntLike] | None = None,
    method: str = "nearest",
    align_corners: bool = False,
) -> Shaped[Array, "..."]:
    """Resize feature maps by interpolation along each spatial axis.

        y[i, c] = sum over p of w(|p - q(i)|) x[p, c]

    where q(i) is the position of output i among the n inputs. Inputs are cells of width
    1, outputs are cells of width n / o, or 1 / factor. Both start at the same edge, and
    each number is at the center of its cell,

        q(i) = (i + 1/2) n / o - 1/2

    With `align_corners`, the first inputs and outputs coincide, and so do the last,

        q(i) = i (n - 1) / (o - 1)

    Args:
        xs: Input, [*batch, *space, channels].
        factor: Scale factor, one number above 0 per spatial axis: (2, 2) for images.
            Sizes are rounded down, unless the factor is o / n up to rounding. Axes
            whose size does not change are returned unchanged.
        sizes: Output sizes, one per spatial axis, instead of `factor`.
        method: "nearest" (in PyTorch "nearest-exact"); "linear" (bilinear in images);
            "cubic" (Keys, a = -1/2, as in JAX and Keras), "cubic-pytorch" (a = -3/4, as
            in PyTorch); "lanczos3", "lanczos5". No method smooths when the output is
            smaller than the input.
        align_corners: Whether the corners of input and output coincide; not for
            "nearest".

    Returns:
        Output, [*batch, *sizes, channels], of xs's dtype. For integers, all methods
        except "nearest" return float32.

    Raises:
        ValueError: Not exactly one of `factor` and `sizes` is given, it does not match
            the input, or the method is unknown.

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
            "expected align_corners with a method that combines several inputs; got "
            "nearest, which copies one"
        )
    given = factor if sizes is None else sizes
    if (
        not isinstance(given, Sequence)
        or not given
        or (factor is not None and sizes is not None)
    ):
        raise ValueError(
            "expected a factor or sizes, not both, a tuple with a number for "
            f"each spatial axis; got factor={factor}, sizes={sizes}"
        )
    xs, batch = flatten_batch(xs, len(given), "upsampling")
    space = xs.shape[1:-1]
    if sizes is None:
        sizes, widths = scaled(space, given)
    else:
        sizes = per_axis("sizes", sizes, len(given))
        widths = list(zip(space, sizes, strict=True))
    # Wide even if numbers are only copied: the gradient sums over all copies.
    ys = xs.astype(wide(xs.dtype) if method == "nearest" else mean_dtypes(xs)[1])
    for axis, (n, o, width) in enumerate(zip(space, sizes, widths, strict=True), 1):
        if n == o:
            continue
        if method == "nearest":
            ys = _nearest(ys, n, o, _centers(o, width), axis)
            continue
        positions = _centers(o, width) - 0.5
        if align_corners:
            positions = np.arange(o) * (n - 1) / max(o - 1, 1)
        ys = weighted_sum(ys, _weights(n, positions, METHODS[method]), axis)
    dtype = xs.dtype if method == "nearest" else mean_dtypes(xs)[0]
    return ys.astype(dtype).reshape(*batch, *sizes, xs.shape[-1])


def scaled(
    space: Sequence[int], factor: Sequence[Any]
) -> tuple[tuple[int, ...], list[tuple[int, int | float]]]:
    """Compute the output sizes for a factor, and the width of an output in inputs.

    A factor computed as o / n is rounded, so n times the factor may be slightly below
    o. The output size is then o nevertheless.

    Args:
        space: n of each axis.
        factor: One number above 0 per axis.

    Returns:
        The size o of each axis, and the widths as fractions (numerator, denominator):
        (n, o) if the factor is o / n, otherwise (1, factor).

    Raises:
        ValueError: A factor is not above 0, or the output would be empty.

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
    """Convert a factor to a float (or NaN), and bound its relative rounding error."""
    try:
        value = float(factor)
    except (TypeError, ValueError, OverflowError):
        return math.nan, 0.0
    narrow = isinstance(factor, np.floating)
    return value, 4 * float(np.finfo(factor.dtype if narrow else np.float64).eps)


def _centers(o, width):
    """Distance of the center of each output's cell from the edge of the input.

    The width is a fraction, divided last: rounded earlier, it could move a center that
    lies between two inputs to the previous input.
    """
    numerator, denominator = width
    return (np.arange(o) + 0.5) * numerator / denominator


def _nearest(xs, n, o, centers, axis):
    """Copy to each output the input whose cell contains its center."""
    positions = np.minimum(np.floor(centers).astype(int), n - 1)
    if o % n == 0 and (positions == np.arange(o) // (o // n)).all():
        return jnp.repeat(xs, o // n, axis)  # no gather, which is slow on accelerators
    return jnp.take(xs, positions, axis, mode="clip")


def _weights(n, positions, method):
    """Weight of each input in each output, [inputs, outputs]."""
    inputs = np.arange(1 - method.radius, method.radius + 1)
    inputs = np.floor(positions)[:, None].astype(int) + inputs
    weights = method.kernel(np.abs(positions[:, None] - inputs))
    if not method.clamped:
        weights = weights * ((inputs >= 0) & (inputs < n))
        weights = weights / weights.sum(axis=1, keepdims=True)
    matrix = np.zeros((n, len(positions)))
    columns = np.arange(len(positions))[:, None]
    np.add.at(matrix, (np.clip(inputs, 0, n - 1), columns), weights)
    return matrix
