"""How a gradient decays over time, as numbers."""

import math
from collections.abc import Sequence
from typing import NamedTuple, SupportsIndex

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float
from scipy.special import stdtrit

from nets.flow.arguments import floats, integer
from nets.types import State


def log_norms(
    gradients: State, batch_axes: SupportsIndex | None = None
) -> Float[Array, "time *batch"]:
    """ln of the Euclidean norm of each step's gradient, over the whole state.

        ln |g_t| = ln m + 1/2 ln sum (g_t / m)^2,   m = max |g_t|

    Scaled by its largest entry the sum of squares cannot underflow, which in float32 it
    would do from |g_t| = 1e-19 downwards.

    Args:
        gradients: What `state_gradients` returns: arrays [time, *batch, ...].
        batch_axes: How many axes are batch; all others are the state's, those of space
            in a cell of images too. By default 1, if that leaves the state an axis; a
            state of one number per sequence, [time, *batch], needs it.
            Entries that lack these axes, as a counter that all sequences share, have no
            gradient of one sequence, and are left out.

    Returns:
        Nats, [time, *batch], in float32 at the least; -inf where the gradient is zero
        (or below what its dtype holds), inf where it has overflowed, nan where it is.

    Raises:
        ValueError: No axis is left for the state, as for one sequence without a batch,
            which wants batch_axes=0, or for the batch.

    Example:
        >>> log_norms([jnp.full((2, 1, 4), 1e-30)]).round(3).tolist()
        [[-68.38400268554688], [-68.38400268554688]]
    """
    leaves = [floats(jnp.abs(jnp.asarray(leaf))) for leaf in jax.tree.leaves(gradients)]
    shapes = [list(leaf.shape) for leaf in leaves]
    if batch_axes is None and all(len(shape) < 3 for shape in shapes):
        raise ValueError(
            "expected gradients [time, *batch, ...] with 1 axis of batch and some of "
            f"the state; got {shapes}; give another batch_axes, or batch_axes=1 if the "
            "state is one number a sequence"
        )
    axes = 1 if batch_axes is None else integer(batch_axes)
    if axes is None or axes < 0:
        raise ValueError(f"expected batch_axes of 0 or above; got {batch_axes!r}")
    leaves = [leaf for leaf in leaves if leaf.ndim > axes]
    leading = {leaf.shape[: 1 + axes] for leaf in leaves}
    if len(leading) != 1:
        raise ValueError(
            f"expected gradients [time, *batch, ...] with {axes} axes of batch; got "
            f"{shapes}; give another batch_axes"
        )
    (front,) = leading
    dtype = jnp.result_type(*leaves)
    flat = [
        leaf.reshape(*front, math.prod(leaf.shape[1 + axes :])).astype(dtype)
        for leaf in leaves
    ]
    sizes = jnp.concatenate(flat, axis=-1)
    # Checked separately: on some processors the largest of nan and 0 is 0.
    unknown = jnp.isnan(sizes).any(axis=-1)
    largest = jnp.where(unknown, jnp.nan, sizes.max(axis=-1, initial=0.0))
    known = (largest > 0) & (largest < jnp.inf)
    scale = jnp.where(known, largest, 1)
    scaled = jnp.where(known[..., None], sizes / scale[..., None], 1)
    logs = jnp.log(scale) + jnp.log((scaled**2).sum(axis=-1)) / 2
    others = jnp.where(largest > 0, largest, -jnp.inf)  # inf, and -inf where it is 0
    return jnp.where(known, logs, jnp.where(unknown, jnp.nan, others))


def norms_of(gradients: State, batch_axes: int = 1) -> Float[Array, "time *batch"]:
    """`log_norms` of gradients that are known to have so many axes of batch.

    Args:
        gradients: Arrays [time, *batch, ...]; a state may be one number a sequence.
        batch_axes: How many axes are batch.

    Returns:
        Nats, [time, *batch].

    Example:
        >>> norms_of(jnp.ones((2, 1))).tolist()
        [[0.0], [0.0]]
    """
    return log_norms(gradients, batch_axes)


def decay_rate(
    log_norms: Float[ArrayLike, "time *batch"] | Sequence[float],
) -> Float[Array, "*batch"]:
    """The slope of ln |g_t| against t, by least squares.

        ln |g_t| ~ a + rate t

    Args:
        log_norms: Nats, [time, ...]. Steps at which it is -inf are left out: padding,
            and where there is no gradient.

    Returns:
        Nats a step, [...], in float32 at the least: positive if the gradient shrinks on
        its way back in time, negative if it grows; nan if any step has overflowed or is
        nan, or if fewer than two steps have a gradient.

    Example:
        >>> decay_rate(jnp.array([-4.0, -3.0, -2.0, -1.0])).item()
        1.0
    """
    logs = floats(log_norms)
    there = ~jnp.isneginf(logs)
    count = there.sum(axis=0)
    steps = jnp.arange(len(logs), dtype=logs.dtype)
    steps = jnp.broadcast_to(steps.reshape(-1, *(1,) * (logs.ndim - 1)), logs.shape)
    divisor = jnp.maximum(count, 1).astype(logs.dtype)[None]
    # Where a step has overflowed, sums of it would be nan in a less obvious way.
    finite = jnp.isfinite(jnp.where(there, logs, 0)).all(axis=0)

    def centred(values):
        values = jnp.where(there & finite[None], values, 0)
        mean = values.sum(axis=0, keepdims=True) / divisor
        return jnp.where(there, values - mean, 0)

    t = centred(steps)
    squares = (t**2).sum(axis=0)
    slope = (t * centred(logs)).sum(axis=0) / jnp.where(squares == 0, 1, squares)
    return jnp.where((count < 2) | ~finite, jnp.nan, slope)


def half_life(decay_rate: Float[ArrayLike, "*batch"]) -> Float[Array, "*batch"]:
    """Steps in which a gradient halves on its way back (or doubles, if it grows).

        half-life = ln 2 / |rate|

    Args:
        decay_rate: Nats a step.

    Returns:
        Steps, in float32 at the least; inf if the rate is zero.

    Example:
        >>> half_life(0.0693147).round(3).item()
        10.0
    """
    rate = jnp.abs(floats(decay_rate))
    return math.log(2) / rate


def gradient_horizon(
    log_norms: Float[ArrayLike, "time *batch"] | Sequence[float], fall: float = 1e-3
) -> Float[Array, "*batch"]:
    """Steps back from the end until the gradient has fallen to a share of what it was.

        min k with |g_{T-1-k}| <= fall |g_{T-1}|

    Args:
        log_norms: Nats, [time, ...], in the order of reading. Steps at the end without
            a gradient, as padding, are left out.
        fall: The share.

    Returns:
        Steps, [...], in float32 at the least; inf where it does not fall so far within
        the sequence, nan where there is no gradient at all, where it has overflowed at
        the end, and where it is nan before it falls.

    Raises:
        ValueError: The share is not between 0 and 1.

    Example:
        >>> gradient_horizon(jnp.log(jnp.array([1e-6, 1e-4, 1e-2, 1.0]))).item()
        2.0
    """
    if not 0 < fall < 1:
        raise ValueError(f"expected a share between 0 and 1; got {fall}")
    back = floats(log_norms)[::-1]
    if not len(back):
        return jnp.full(back.shape[1:], jnp.nan, back.dtype)
    there = ~jnp.isneginf(back)
    start = jnp.argmax(there, axis=0, keepdims=True)
    first = jnp.take_along_axis(back, start, axis=0)
    steps = jnp.arange(len(back)).reshape(-1, *(1,) * (back.ndim - 1))
    fallen = (back <= first + math.log(fall)) & (steps > start)
    # A nan ends the way as a fall does, and is then what is found.
    unknown = jnp.isnan(back) | ((steps == start) & jnp.isposinf(back))
    ends = fallen | unknown
    end = jnp.argmax(ends, axis=0, keepdims=True)
    known = there.any(axis=0) & ~jnp.take_along_axis(unknown, end, axis=0)[0]
    found = jnp.where(ends.any(axis=0), (end - start)[0].astype(back.dtype), jnp.inf)
    return jnp.where(known, found, jnp.nan)


class DecayProfile(NamedTuple):
    """How a gradient decays on its way back.

    Attributes:
        log_norm: ln |g| by distance from the last step, the mean over samples, [time].
        rate: The decay rate, nats a step: the mean over samples of their slopes.
        low: Where its 95 % confidence interval begins; nan for one sample.
        high: Where it ends.
        half_life: At that rate, steps.
        horizon: Steps until the gradient has fallen to 1e-3, the median over samples.
    """

    log_norm: Float[Array, " time"]
    rate: Float[Array, ""]
    low: Float[Array, ""]
    high: Float[Array, ""]
    half_life: Float[Array, ""]
    horizon: Float[Array, ""]


def decay_profile(
    log_norms: Float[ArrayLike, "time *samples"], *, reverse: bool = False
) -> DecayProfile:
    """What a gradient's log norms say, over samples: sequences, or seeds.

    Each sample is one decay rate, a slope by least squares; the interval is Student's,
    of their mean, and so takes the samples, not the steps, to be independent.

    Args:
        log_norms: Nats, [time, *samples], as by `log_norms`. Where it is -inf, in
            padding say, is left out of the slopes and means; so is a sample with fewer
            than two steps that are not. A sample that is nan or has overflowed is not
            left out: its result is nan or inf.
        reverse: Whether the cell read from the last step to the first.

    Returns:
        A `DecayProfile`, in float32 at the least.

    Example:
        >>> slopes = jnp.array([[0.1, 0.2, 0.3]])
        >>> found = decay_profile(jnp.arange(50.0)[:, None] * slopes)
        >>> round(float(found.rate), 3), round(float(found.low), 3)
        (0.2, -0.048)
    """
    logs = floats(log_norms)
    flat = logs.reshape(len(logs), math.prod(logs.shape[1:]))
    flat = flat[::-1] if reverse else flat
    there = ~jnp.isneginf(flat)
    rate, width = _interval(decay_rate(flat), there.sum(axis=0) >= 2)
    back, known = flat[::-1], there[::-1]
    mean, any_known = _mean(back, known, axis=1), known.any(axis=1)
    return DecayProfile(
        jnp.where(any_known, mean, -jnp.inf),
        rate,
        rate - width,
        rate + width,
        half_life(rate),
        _median(gradient_horizon(flat), there.any(axis=0)),
    )


def _mean(values, known, axis):
    """The mean of those that are known, 0 if none is."""
    count = jnp.maximum(known.sum(axis=axis), 1).astype(values.dtype)
    return jnp.where(known, values, 0.0).sum(axis=axis) / count


def _interval(rates, known):
    """The mean of those that are known, and half the width of its interval."""
    count = known.sum()
    mean = jnp.where(count > 0, _mean(rates, known, 0), jnp.nan)
    if len(rates) < 2:
        return mean, jnp.full_like(mean, jnp.nan)
    # Of how many samples are known, only the most can be told under jit.
    students = jnp.asarray(stdtrit(np.arange(1.0, len(rates)), 0.975), mean.dtype)
    squares = jnp.where(known, rates - mean[None], 0.0) ** 2
    freedom = jnp.maximum(count - 1, 1).astype(mean.dtype)
    error = jnp.sqrt(squares.sum() / freedom / (freedom + 1))
    return mean, jnp.where(count > 1, students[count - 2] * error, jnp.nan)


def _median(values, known):
    """The median of those that are known; nan if one is nan, or there is none."""
    if not len(values):
        return jnp.full((), jnp.nan, values.dtype)
    ordered = jnp.sort(jnp.where(known, values, jnp.inf))
    count = jnp.maximum(known.sum(), 1)
    median = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
    unknown = ~known.any() | (known & jnp.isnan(values)).any()
    return jnp.where(unknown, jnp.nan, median)
