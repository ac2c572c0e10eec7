"""Lyapunov exponents: at which rates small differences of the state grow or shrink."""

from typing import Any, NamedTuple, SupportsIndex

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float

from nets.compiling import compiled
from nets.flow.arguments import coordinates, integer
from nets.flow.layers import in_every_cell
from nets.flow.linearized import (
    batch_shape,
    identity,
    jacobian_product,
    trajectory,
)
from nets.flow.ranks import LOST, SHARE, row_sizes, triangle
from nets.recurrent.padding import check_padding, select_valid
from nets.types import Cell, Params, State

BLOCKS = 10  # of time, over which the exponents' error is estimated
PROBES = 4  # directions by which the Jacobian's size is estimated, if not all are asked


class LyapunovSpectrum(NamedTuple):
    """Exponents, and how far they have converged.

    Attributes:
        exponents: Nats a step, descending, [*batch, count].
        errors: The standard error of each, from the means over ten blocks of time,
            [*batch, count]; nan where fewer than twenty steps count, inf where the
            exponent is -inf.
    """

    exponents: Float[Array, "*batch count"]
    errors: Float[Array, "*batch count"]


@in_every_cell
def lyapunov_spectrum(
    cell: Cell,
    params: Params,
    xs: Any,
    state: State | None = None,
    *,
    count: SupportsIndex | None = None,
    warmup: SupportsIndex = 0,
    lengths: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    reverse: bool = False,
) -> LyapunovSpectrum:
    """The Lyapunov exponents of the whole state along a run.

        Q_t R_t = J_t Q_{t-1},   lambda_i = mean over t of ln |R_ii|

    from random orthonormal columns Q, made orthonormal anew in every step, so that
    nothing over- or underflows. The sum of all exponents is the mean of ln |det J_t|,
    whatever the steps. The exponents can be differentiated by the parameters.

    Args:
        cell: Any `Cell`, or a recurrent layer, each of whose cells is then measured.
        params: Its parameters.
        xs: The inputs, [time, *batch, inputs]: zeros for an autonomous system.
        state: The state before the first step.
        count: How many of the largest exponents, by default all: as many as the state
            has coordinates.
        warmup: How many steps, padding not counted, pass before the mean begins, in
            which the state settles and the columns turn to their directions.
        lengths: As in `nets.unroll`; padding does not count.
        mask: As in `nets.unroll`.
        reverse: As in `nets.unroll`.

    Returns:
        A `LyapunovSpectrum`; nan for a sequence that is all padding and warmup. -inf
        where a direction is lost altogether: where at any step that counts no more is
        left of it than the rounding of that step, which float32 reaches sooner than
        float64. What is lost in the warmup is replaced by another direction. Rank that
        several steps lose together may be missed: one exponent too many is then
        finite, far below the others. A direction that shrinks below rounding in
        some steps but comes back, as in an sLSTM, has too high an exponent: in float32
        by up to 0.9.

    Raises:
        ValueError: `count` or `warmup` is out of range, or as in `nets.unroll`.

    Example:
        >>> import nets
        >>> cell = nets.elman(activation=lambda x: x)
        >>> params = cell.init(jax.random.key(0), 1, 2)  # whose w_h is orthogonal
        >>> spectrum = lyapunov_spectrum(cell, params, jnp.zeros((100, 1)))
        >>> bool(jnp.abs(spectrum.exponents).max() < 1e-6)
        True

    References:
        Benettin, Galgani, Giorgilli and Strelcyn 1980, Lyapunov characteristic
        exponents for smooth dynamical systems, Meccanica 15.
        Engelken, Wolf and Abbott 2023, Lyapunov spectra of chaotic recurrent neural
        networks, https://arxiv.org/abs/2006.02427
        Vogt et al. 2022, On Lyapunov exponents for RNNs,
        https://arxiv.org/abs/2006.14123
    """
    found = growths(
        cell,
        params,
        xs,
        state,
        count=count,
        warmup=warmup,
        lengths=lengths,
        mask=mask,
        reverse=reverse,
    )
    return _averaged(found)


@compiled
def _averaged(found):
    """The exponents in descending order, and their errors."""
    exponents = found.exponents()
    errors = found.errors(exponents)
    some = found.counts.any(axis=0)
    some = some.reshape(*some.shape, *(1,) * (exponents.ndim - some.ndim))
    exponents = jnp.where(some, exponents, jnp.nan)
    order = jnp.argsort(-exponents, axis=-1)
    return LyapunovSpectrum(
        jnp.take_along_axis(exponents, order, axis=-1),
        jnp.take_along_axis(errors, order, axis=-1),
    )


class Growths(NamedTuple):
    """Growth of each direction in each step.

    Attributes:
        logs: ln |R_ii|, [time, *batch, count]; -inf from where it is lost.
        counts: True for steps that count, [time, *leading batch axes].
    """

    logs: Float[Array, "time *batch count"]
    counts: Bool[Array, "time *batch"]

    def _inside(self):
        """`counts`, with an axis for each of `logs`."""
        extra = self.logs.ndim - self.counts.ndim
        return self.counts.reshape(*self.counts.shape, *(1,) * extra)

    def exponents(self) -> Float[Array, "*batch count"]:
        """The mean over the steps that count; 0 where there is none."""
        inside = self._inside()
        total = jnp.where(inside, self.logs, 0.0).sum(axis=0)
        return total / _count(jnp.maximum(inside.sum(axis=0), 1), total)

    def errors(self, exponents) -> Float[Array, "*batch count"]:
        """The standard errors, by the means over blocks of steps."""
        inside = self._inside()
        steps = inside.sum(axis=0)
        block = (jnp.cumsum(inside, axis=0) - 1) * BLOCKS
        block //= jnp.maximum(steps, 1)[None]
        lost = jnp.isneginf(exponents)
        centre = jnp.where(lost, 0, exponents)
        spread = jnp.zeros_like(exponents)
        for i in range(BLOCKS):
            here = inside & (block == i)
            total = jnp.where(here & ~lost[None], self.logs, 0.0).sum(axis=0)
            mean = total / _count(jnp.maximum(here.sum(axis=0), 1), total)
            spread += (mean - centre) ** 2
        errors = jnp.sqrt(spread / (BLOCKS * (BLOCKS - 1)))
        errors = jnp.where(lost, jnp.inf, errors)
        return jnp.where(steps < 2 * BLOCKS, jnp.nan, errors)


def _count(steps, like):
    """A number of steps, in the dtype that is divided by it."""
    return steps.astype(like.dtype)


def growths(
    cell: Cell,
    params: Params,
    xs: Any,
    state: State | None = None,
    *,
    count: SupportsIndex | None,
    warmup: SupportsIndex = 0,
    **options: Any,
) -> Growths:
    """The growths whose means are `lyapunov_spectrum`, with the same arguments.

    Args:
        cell: Any `Cell`.
        params: Its parameters.
        xs: The inputs.
        state: The state before the first step.
        count: Number of directions; None for all.
        warmup: Number of steps before. A direction lost in them is replaced.
        **options: `lengths`, `mask` and `reverse`.

    Returns:
        A `Growths`.

    Raises:
        ValueError: As in `lyapunov_spectrum`.

    Example:
        >>> import nets
        >>> cell = nets.gru()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> growths(cell, params, jnp.ones((10, 5, 3)), count=2).logs.shape
        (10, 5, 2)
    """
    check_padding(xs, options.get("lengths"), options.get("mask"), cell.spatial_dims)
    plain = {
        name: value if integer(value) is None else integer(value)
        for name, value in {"count": count, "warmup": warmup}.items()
    }
    return _growths(cell, params, xs, state, **plain, **options)


@compiled
def _growths(cell, params, xs, state, *, count, warmup, reverse=False, **options):
    walk = trajectory(cell, params, xs, state, reverse=reverse, **options)
    product = jacobian_product(cell, params)
    eye = identity(walk, batch_shape(cell, params, walk))
    time, size = len(jax.tree.leaves(walk.before)[0]), eye.shape[-1]
    count = coordinates(count, size)
    if not time:
        raise ValueError("expected at least one step; got a sequence of none")
    steps = integer(warmup)
    if steps is None or not 0 <= steps < time:
        raise ValueError(
            f"expected a warmup from 0 to {time - 1}, below the number of steps; got "
            f"{warmup}"
        )
    # The same columns in float32 and in float64, so that their results compare.
    start = jax.random.normal(jax.random.key(0), eye.shape, jnp.float32)
    start, _ = jnp.linalg.qr(start.astype(eye.dtype))
    probes = start[..., count : count + PROBES]

    def turn(carry, inputs):
        (columns, doubts), (step, settled) = carry, inputs
        moved = product(step, jnp.concatenate([columns, probes], axis=-1))
        rows = row_sizes(jax.lax.stop_gradient(moved), count)
        order = jnp.argsort(doubts == LOST, axis=-1, stable=True)
        before = jnp.take_along_axis(doubts, order, axis=-1)
        found = triangle(moved[..., :count], rows, None, order, before)
        place = jnp.argsort(found.order, axis=-1)
        columns = jnp.take_along_axis(found.q, place[..., None, :], axis=-1)
        after = jnp.take_along_axis(found.doubts, place, axis=-1)
        after = select_valid(settled, after, 0.0)
        after = select_valid(step.real, after, doubts)
        return (columns, after), jnp.take_along_axis(found.growth, place, axis=-1)

    real = jnp.ones(time, bool) if walk.real is None else walk.real
    settled = jnp.cumsum(real, axis=0) > steps
    columns = start[..., :count]
    none = jnp.zeros((*columns.shape[:-2], count), int)
    (_, doubts), logs = jax.lax.scan(turn, (columns, none), (walk, settled))
    counts = real & settled
    total = counts.sum(axis=0).reshape(
        *counts.shape[1:], *(1,) * (logs.ndim - counts.ndim)
    )
    # LOST is far above any number of steps.
    return Growths(
        jnp.where(doubts > total * SHARE[0] // SHARE[1], -jnp.inf, logs), counts
    )
