"""How a gradient decays over time, as numbers."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy import stats

from nets.types import State


def log_norms(gradients: State, batch_axes: int = 1) -> Float[Array, "time *batch"]:
    """ln of the Euclidean norm of each step's gradient, over the whole state.

        ln |g_t| = ln m + 1/2 ln sum (g_t / m)^2,   m = max |g_t|

    Scaled by its largest entry the sum of squares cannot underflow, which in float32 it
    would do from |g_t| = 1e-19 downwards.

    Args:
        gradients: What `state_gradients` returns: arrays [time, *batch, ...].
        batch_axes: How many axes are batch; all others are the state's, those of space
            in a cell of images too.

    Returns:
        Nats, [time, *batch]; -inf where the gradient is zero (or below what its dtype
        holds), inf where it has overflowed.

    Raises:
        ValueError: No axis is left for the state, as for one sequence without a batch,
            which wants batch_axes=0.

    Example:
        >>> log_norms([jnp.full((2, 1, 4), 1e-30)]).round(3).tolist()
        [[-68.38400268554688], [-68.38400268554688]]
    """
    leaves = jax.tree.leaves(gradients)
    # One number a sequence, such as a counter, has no axis of its own.
    if all(leaf.ndim < 2 + batch_axes for leaf in leaves):
        raise ValueError(
            f"expected gradients [time, *batch, ...] with {batch_axes} axes of batch "
            f"and some of the state; got {[list(leaf.shape) for leaf in leaves]}; "
            "give another batch_axes"
        )
    flat = [leaf.reshape(*leaf.shape[: 1 + batch_axes], -1) for leaf in leaves]
    sizes = jnp.abs(jnp.concatenate(flat, axis=-1))  # real, of complex numbers too
    largest = sizes.max(axis=-1, keepdims=True)
    scaled = sizes / jnp.where(largest == 0, 1, largest)
    log_norms = jnp.log(largest[..., 0]) + jnp.log((scaled**2).sum(axis=-1)) / 2
    return jnp.where(jnp.isposinf(largest[..., 0]), jnp.inf, log_norms)


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
    return log_norms(jax.tree.map(lambda g: g[..., None], gradients), batch_axes)


def decay_rate(log_norms: Float[Array, "time *batch"]) -> Float[Array, "*batch"]:
    """The slope of ln |g_t| against t, by least squares.

        ln |g_t| ~ a + rate t

    Args:
        log_norms: Nats, [time, ...]. Steps where it is not finite are left out.

    Returns:
        Nats a step, [...]: positive if the gradient shrinks on its way back in time,
        negative if it grows; nan if fewer than two steps are finite.

    Example:
        >>> decay_rate(jnp.array([-4.0, -3.0, -2.0, -1.0])).item()
        1.0
    """
    known = jnp.isfinite(log_norms)
    count = known.sum(axis=0)
    steps = jnp.arange(len(log_norms), dtype=log_norms.dtype)
    steps = jnp.broadcast_to(
        steps.reshape(-1, *(1,) * (log_norms.ndim - 1)), log_norms.shape
    )

    def centred(values):
        values = jnp.where(known, values, 0)
        mean = values.sum(axis=0, keepdims=True) / jnp.maximum(count, 1)[None]
        return jnp.where(known, values - mean, 0)

    t = centred(steps)
    slope = (t * centred(log_norms)).sum(axis=0) / (t**2).sum(axis=0)
    return jnp.where(count < 2, jnp.nan, slope)


def half_life(decay_rate: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """Steps in which a gradient halves on its way back (or doubles, if it grows).

        half-life = ln 2 / |rate|

    Args:
        decay_rate: Nats a step.

    Returns:
        Steps; inf if the rate is zero.

    Example:
        >>> half_life(jnp.array(0.0693147)).round(3).item()
        10.0
    """
    return jnp.log(2.0).astype(decay_rate.dtype) / jnp.abs(decay_rate)


def reach(
    log_norms: Float[Array, "time *batch"], fall: float = 1e-3
) -> Float[Array, "*batch"]:
    """Steps back from the end until the gradient has fallen to a share of what it was.

        min k with |g_{T-1-k}| <= fall |g_{T-1}|

    Args:
        log_norms: Nats, [time, ...], in the order of reading. Steps at the end without
            a gradient, as padding, are left out.
        fall: The share.

    Returns:
        Steps, [...]; inf where it does not fall so far within the sequence, nan where
        there is no gradient at all.

    Raises:
        ValueError: The share is not between 0 and 1.

    Example:
        >>> reach(jnp.log(jnp.array([1e-6, 1e-4, 1e-2, 1.0]))).item()
        2.0
    """
    if not 0 < fall < 1:
        raise ValueError(f"expected a share between 0 and 1; got {fall}")
    back = log_norms[::-1]
    start = jnp.argmax(jnp.isfinite(back), axis=0, keepdims=True)
    level = jnp.take_along_axis(back, start, axis=0) + jnp.log(fall)
    steps = jnp.arange(len(back)).reshape(-1, *(1,) * (back.ndim - 1))
    fallen = (back <= level) & (steps > start)
    first = (jnp.argmax(fallen, axis=0) - start[0]).astype(log_norms.dtype)
    steps = jnp.where(fallen.any(axis=0), first, jnp.inf)
    return jnp.where(jnp.isfinite(back).any(axis=0), steps, jnp.nan)


class Profile(NamedTuple):
    """How a gradient decays on its way back.

    Attributes:
        log_norm: ln |g| by distance from the last step, the mean over samples, [time].
        rate: The decay rate, nats a step: the mean over samples of their slopes.
        low: Where its 95 % confidence interval begins; nan for one sample.
        high: Where it ends.
        half_life: At that rate, steps.
        reach: Steps until the gradient has fallen to 1e-3, the median over samples.
    """

    log_norm: Float[Array, " time"]
    rate: Float[Array, ""]
    low: Float[Array, ""]
    high: Float[Array, ""]
    half_life: Float[Array, ""]
    reach: Float[Array, ""]


def profile(
    log_norms: Float[Array, "time *samples"], *, reverse: bool = False
) -> Profile:
    """What a gradient's log norms say, over samples: sequences, or seeds.

    Each sample is one decay rate, a slope by least squares; the interval is Student's,
    of their mean, and so takes the samples, not the steps, to be independent.

    Args:
        log_norms: Nats, [time, *samples], as by `log_norms`. Where it is not finite, in
            padding say, is left out of the slopes and means; so is a sample with fewer
            than two finite steps.
        reverse: Whether the cell read from the last step to the first.

    Returns:
        A `Profile`.

    Example:
        >>> slopes = jnp.array([[0.1, 0.2, 0.3]])
        >>> found = profile(jnp.arange(50.0)[:, None] * slopes)
        >>> round(float(found.rate), 3), round(float(found.low), 3)
        (0.2, -0.048)
    """
    flat = log_norms.reshape(len(log_norms), -1)
    flat = flat[::-1] if reverse else flat
    rates = decay_rate(flat)
    rate = jnp.nanmean(rates)
    if len(rates) > 1:
        # Of how many samples are known, only the most can be told under jit.
        known = jnp.isfinite(rates).sum()
        students = jnp.asarray(stats.t.ppf(0.975, np.arange(1, len(rates))), rate.dtype)
        error = jnp.nanstd(rates, ddof=1) / jnp.sqrt(known.astype(rate.dtype))
        width = jnp.where(known > 1, students[known - 2] * error, jnp.nan)
    else:
        width = jnp.full_like(rate, jnp.nan)
    back = flat[::-1]
    known = jnp.isfinite(back)
    mean = jnp.where(known, back, 0.0).sum(axis=1) / jnp.maximum(known.sum(axis=1), 1)
    mean = jnp.where(known.any(axis=1), mean, -jnp.inf)
    return Profile(
        mean,
        rate,
        rate - width,
        rate + width,
        half_life(rate),
        jnp.nanmedian(reach(flat)),
    )
