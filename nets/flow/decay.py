"""Statistics of gradient decay over time."""

import math
from collections.abc import Sequence
from typing import NamedTuple, SupportsIndex

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from nets.flow.arguments import floats, integer
from nets.types import State


def log_norms(
    gradients: State, batch_axes: SupportsIndex | None = None
) -> Float[Array, "time *batch"]:
    """Logarithm of the Euclidean norm of each step's gradient, over the whole state.

        ln |g_t| = ln m + 1/2 ln sum (g_t / m)^2,   m = max |g_t|

    The gradient is scaled by its largest entry, so that the sum of squares cannot
    underflow. Without scaling, float32 would underflow from |g_t| = 1e-19 downwards.

    Args:
        gradients: Gradients from `state_gradients`: arrays [time, *batch, ...].
        batch_axes: Number of batch axes. All remaining axes belong to the state,
            including the spatial axes of a cell of images. The default is 1, if the
            state then has an axis left; a state of one number per sequence, [time,
            *batch], needs an explicit value. Entries without these axes, such as a
            counter that all sequences share, are left out, because they have no
            gradient per sequence.

    Returns:
        Norms in nats, [time, *batch], in float32 or wider. A norm is -inf where the
        gradient is zero (or below the range of its dtype), inf where the gradient has
        overflowed, and nan where the gradient is nan.

    Raises:
        ValueError: No axis is left for the state or for the batch; one sequence without
            a batch requires batch_axes=0.

    Example:
        >>> log_norms([jnp.full((2, 1, 4), 1e-30)]).round(3).tolist()
        [[-68.38400268554688], [-68.38400268554688]]
    """
    leaves = [floats(jnp.abs(jnp.asarray(leaf))) for leaf in jax.tree.leaves(gradients)]
    shapes = [list(leaf.shape) for leaf in leaves]
    if batch_axes is None and all(len(shape) < 3 for shape in shapes):
        raise ValueError(
            "expected gradients [time, *batch, ...] with 1 batch axis and at least 1 "
            f"axis of the state; got {shapes}; give another batch_axes, or "
            "batch_axes=1 if the state is one number per sequence"
        )
    axes = 1 if batch_axes is None else integer(batch_axes)
    if axes is None or axes < 0:
        raise ValueError(f"expected batch_axes of 0 or above; got {batch_axes!r}")
    leaves = [leaf for leaf in leaves if leaf.ndim > axes]
    leading = {leaf.shape[: 1 + axes] for leaf in leaves}
    if len(leading) != 1:
        raise ValueError(
            f"expected gradients [time, *batch, ...] with {axes} batch axes; got "
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
    infinite = jnp.where(largest > 0, largest, -jnp.inf)  # -inf if the gradient is 0
    return jnp.where(known, logs, jnp.where(unknown, jnp.nan, infinite))


def norms_of(gradients: State, batch_axes: int = 1) -> Float[Array, "time *batch"]:
    """`log_norms` of gradients whose number of batch axes is known.

    Args:
        gradients: Arrays [time, *batch, ...]; a state may be one number per sequence.
        batch_axes: Number of batch axes.

    Returns:
        Norms in nats, [time, *batch].

    Example:
        >>> norms_of(jnp.ones((2, 1))).tolist()
        [[0.0], [0.0]]
    """
    return log_norms(gradients, batch_axes)


def decay_rate(
    log_norms: Float[ArrayLike, "time *batch"] | Sequence[float],
) -> Float[Array, "*batch"]:
    """Slope of ln |g_t| against t, by least squares.

        ln |g_t| ~ a + rate t

    Args:
        log_norms: Log norms in nats, [time, ...]. Steps at -inf are left out: these are
            padding, or have no gradient.

    Returns:
        Rates in nats per step, [...], in float32 or wider. A rate is positive if the
        gradient shrinks as it flows back in time, and negative if the gradient grows.
        A rate is nan if a step has overflowed or is nan, or if fewer than two steps
        have a gradient.

    Example:
        >>> decay_rate(jnp.array([-4.0, -3.0, -2.0, -1.0])).item()
        1.0
    """
    logs = floats(log_norms)
    present = ~jnp.isneginf(logs)
    count = present.sum(axis=0)
    steps = jnp.arange(len(logs), dtype=logs.dtype)
    steps = jnp.broadcast_to(steps.reshape(-1, *(1,) * (logs.ndim - 1)), logs.shape)
    divisor = jnp.maximum(count, 1).astype(logs.dtype)[None]
    # Steps that overflow are checked here; their sums would hide the overflow.
    finite = jnp.isfinite(jnp.where(present, logs, 0)).all(axis=0)

    def centered(values):
        values = jnp.where(present & finite[None], values, 0)
        mean = values.sum(axis=0, keepdims=True) / divisor
        return jnp.where(present, values - mean, 0)

    t = centered(steps)
    squares = (t**2).sum(axis=0)
    slope = (t * centered(logs)).sum(axis=0) / jnp.where(squares == 0, 1, squares)
    return jnp.where((count < 2) | ~finite, jnp.nan, slope)


def half_life(decay_rate: Float[ArrayLike, "*batch"]) -> Float[Array, "*batch"]:
    """Number of steps back in time in which a gradient halves (or doubles).

        half-life = ln 2 / |rate|

    Args:
        decay_rate: Rates in nats per step.

    Returns:
        Half-lives in steps, in float32 or wider; inf if the rate is zero.

    Example:
        >>> half_life(0.0693147).round(3).item()
        10.0
    """
    rate = jnp.abs(floats(decay_rate))
    return math.log(2) / rate


def gradient_horizon(
    log_norms: Float[ArrayLike, "time *batch"] | Sequence[float], fall: float = 1e-3
) -> Float[Array, "*batch"]:
    """Number of steps back in time until the gradient falls to a share of its norm.

        min k with |g_{T-1-k}| <= fall |g_{T-1}|

    Args:
        log_norms: Log norms in nats, [time, ...], in the order of reading. Steps at the
            end without a gradient, such as padding, are left out.
        fall: Share of the norm at the last step.

    Returns:
        Numbers of steps, [...], in float32 or wider. The number is inf if the gradient
        does not fall to the share within the sequence. The number is nan if there is no
        gradient at all, if the gradient has overflowed at the end, or if the gradient
        is nan before it falls.

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
    present = ~jnp.isneginf(back)
    start = jnp.argmax(present, axis=0, keepdims=True)
    first = jnp.take_along_axis(back, start, axis=0)
    steps = jnp.arange(len(back)).reshape(-1, *(1,) * (back.ndim - 1))
    fallen = (back <= first + math.log(fall)) & (steps > start)
    # The search ends at a nan too, and then returns nan.
    unknown = jnp.isnan(back) | ((steps == start) & jnp.isposinf(back))
    ends = fallen | unknown
    end = jnp.argmax(ends, axis=0, keepdims=True)
    known = present.any(axis=0) & ~jnp.take_along_axis(unknown, end, axis=0)[0]
    distance = (end - start)[0].astype(back.dtype)
    horizon = jnp.where(ends.any(axis=0), distance, jnp.inf)
    return jnp.where(known, horizon, jnp.nan)


class DecayProfile(NamedTuple):
    """Decay of a gradient that flows back in time.

    Attributes:
        log_norm: ln |g| by distance from the last step, the mean over samples, [time].
        rate: Decay rate in nats per step, the mean over samples of their slopes.
        low: Lower bound of the 95 % confidence interval of the rate; nan for one
            sample.
        high: Upper bound of this interval.
        half_life: Half-life at this rate, in steps.
        horizon: Number of steps until the gradient has fallen to 1e-3, the median over
            samples.
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
    """Decay of a gradient, summarized over samples (sequences or seeds).

    Each sample has one decay rate, a slope by least squares. The interval is Student's
    t interval of the mean rate. It assumes that samples are independent, but not that
    steps are.

    Args:
        log_norms: Log norms in nats, [time, *samples], as from `log_norms`. Steps at
            -inf, such as padding, are left out of the slopes and means; so are samples
            with fewer than two remaining steps. A sample that is nan or has overflowed
            is not left out: the result is then nan or inf.
        reverse: True if the cell read from the last step to the first.

    Returns:
        A `DecayProfile`, in float32 or wider.

    Example:
        >>> slopes = jnp.array([[0.1, 0.2, 0.3]])
        >>> profile = decay_profile(jnp.arange(50.0)[:, None] * slopes)
        >>> round(float(profile.rate), 3), round(float(profile.low), 3)
        (0.2, -0.048)
    """
    logs = floats(log_norms)
    flat = logs.reshape(len(logs), math.prod(logs.shape[1:]))
    flat = flat[::-1] if reverse else flat
    present = ~jnp.isneginf(flat)
    rate, width = _interval(decay_rate(flat), present.sum(axis=0) >= 2)
    back, known = flat[::-1], present[::-1]
    mean, any_known = _mean(back, known, axis=1), known.any(axis=1)
    return DecayProfile(
        jnp.where(any_known, mean, -jnp.inf),
        rate,
        rate - width,
        rate + width,
        half_life(rate),
        _median(gradient_horizon(flat), present.any(axis=0)),
    )


def _mean(values, known, axis):
    """Mean of the known values; 0 if no value is known."""
    count = jnp.maximum(known.sum(axis=axis), 1).astype(values.dtype)
    return jnp.where(known, values, 0.0).sum(axis=axis) / count


def _interval(rates, known):
    """Mean of the known rates, and half the width of its 95 % interval."""
    count = known.sum()
    mean = jnp.where(count > 0, _mean(rates, known, 0), jnp.nan)
    if len(rates) < 2:
        return mean, jnp.full_like(mean, jnp.nan)
    # Under jit, only an upper bound of the number of known samples is available.
    from scipy.special import stdtrit  # a sixth of the time that importing nets takes

    students = jnp.asarray(stdtrit(np.arange(1.0, len(rates)), 0.975), mean.dtype)
    squares = jnp.where(known, rates - mean[None], 0.0) ** 2
    freedom = jnp.maximum(count - 1, 1).astype(mean.dtype)
    error = jnp.sqrt(squares.sum() / freedom / (freedom + 1))
    return mean, jnp.where(count > 1, students[count - 2] * error, jnp.nan)


def _median(values, known):
    """Median of the known values; nan if a known value is nan, or if none is known."""
    if not len(values):
        return jnp.full((), jnp.nan, values.dtype)
    ordered = jnp.sort(jnp.where(known, values, jnp.inf))
    count = jnp.maximum(known.sum(), 1)
    median = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
    unknown = ~known.any() | (known & jnp.isnan(values)).any()
    return jnp.where(unknown, jnp.nan, median)
