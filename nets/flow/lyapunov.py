"""Lyapunov exponents: the rates at which small differences of the state grow."""

from functools import partial
from typing import Any, NamedTuple, SupportsIndex

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float

from nets.compiling import compiled
from nets.flow.arguments import coordinates, integer
from nets.flow.columns import first_column
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

BLOCKS = 10  # number of blocks of time from which standard errors are estimated
PROBES = 4  # extra directions that estimate the size of the Jacobian, if count < n


class LyapunovSpectrum(NamedTuple):
    """Lyapunov exponents and their standard errors.

    Attributes:
        exponents: Exponents in nats per step, descending, [*batch, count].
        errors: Standard errors of the exponents, from the means over ten blocks of
            time, [*batch, count]; nan if fewer than twenty steps count, inf if the
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
    """Lyapunov exponents of the whole state along a trajectory.

        Q_t R_t = J_t Q_{t-1},   lambda_i = mean over t of ln |R_ii|

    The columns of Q are random and orthonormal at the beginning, and are made
    orthonormal again in every step, so that nothing over- or underflows. The sum of all
    exponents is the mean of ln |det J_t|, whatever the number of steps. The exponents
    can be differentiated by the parameters.

    Where the state is a matrix whose columns have the same Jacobian, as in
    `nets.delta_net`, one column is measured, and its exponents are repeated.

    Only the states, and one number per direction, are kept of each step, and no
    Jacobian. The derivative by the parameters also keeps the columns of Q of each step.

    Args:
        cell: Any `Cell`, or a recurrent layer, of which each cell is measured.
        params: Parameters of the cell or layer.
        xs: Inputs, [time, *batch, inputs]: zeros for an autonomous system.
        state: State before the first step.
        count: Number of exponents, the largest first; by default all, one per
            coordinate of the state.
        warmup: Number of steps before the mean begins, without padding. During the
            warmup the state settles and the columns align with their directions.
        lengths: As in `nets.unroll`; padding does not count.
        mask: As in `nets.unroll`.
        reverse: As in `nets.unroll`.

    Returns:
        A `LyapunovSpectrum`. Exponents of a sequence that is all padding and warmup are
        nan. The exponent of a lost direction is -inf. A direction is lost at a step
        that counts in which only rounding errors remain of it; float32 reaches this
        point sooner than float64. A direction that is lost in the warmup is replaced by
        a new direction. Rank that is lost gradually, over several steps, may be missed:
        then one exponent too many is finite, far below the remaining exponents. A
        direction that shrinks below rounding in some steps and grows again, as in an
        sLSTM, has too high an exponent: in float32 by up to 0.9.

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
    options = {"lengths": lengths, "mask": mask, "reverse": reverse}
    return _averaged(
        growths(cell, params, xs, state, count=count, warmup=warmup, **options)
    )


@compiled
def _averaged(growth):
    """Exponents in descending order, and their errors."""
    exponents = growth.exponents()
    errors = growth.errors(exponents)
    known = growth.counts.any(axis=0)
    known = known.reshape(*known.shape, *(1,) * (exponents.ndim - known.ndim))
    exponents = jnp.where(known, exponents, jnp.nan)
    order = jnp.argsort(-exponents, axis=-1)
    return LyapunovSpectrum(
        jnp.take_along_axis(exponents, order, axis=-1),
        jnp.take_along_axis(errors, order, axis=-1),
    )


class Growths(NamedTuple):
    """Growth of each direction in each step.

    Attributes:
        logs: ln |R_ii|, [time, *batch, count]; -inf if the direction is lost.
        counts: True at steps that count, [time, *leading batch axes].
    """

    logs: Float[Array, "time *batch count"]
    counts: Bool[Array, "time *batch"]

    def _inside(self):
        """`counts`, with as many axes as `logs`."""
        extra = self.logs.ndim - self.counts.ndim
        return self.counts.reshape(*self.counts.shape, *(1,) * extra)

    def exponents(self) -> Float[Array, "*batch count"]:
        """Mean over the steps that count; 0 if no step counts."""
        inside = self._inside()
        total = jnp.where(inside, self.logs, 0.0).sum(axis=0)
        return total / _count(jnp.maximum(inside.sum(axis=0), 1), total)

    def errors(self, exponents) -> Float[Array, "*batch count"]:
        """Standard errors of the exponents, from the means over blocks of steps."""
        inside = self._inside()
        steps = inside.sum(axis=0)
        block = (jnp.cumsum(inside, axis=0) - 1) * BLOCKS
        block //= jnp.maximum(steps, 1)[None]
        lost = jnp.isneginf(exponents)
        center = jnp.where(lost, 0, exponents)

        def add(spread, i):
            here = inside & (block == i)
            total = jnp.where(here & ~lost[None], self.logs, 0.0).sum(axis=0)
            mean = total / _count(jnp.maximum(here.sum(axis=0), 1), total)
            return spread + (mean - center) ** 2, None

        # One block after another, or the compiler would keep `logs` once per block.
        start = jnp.zeros_like(exponents)
        spread, _ = jax.lax.scan(add, start, jnp.arange(BLOCKS))
        errors = jnp.sqrt(spread / (BLOCKS * (BLOCKS - 1)))
        errors = jnp.where(lost, jnp.inf, errors)
        return jnp.where(steps < 2 * BLOCKS, jnp.nan, errors)


def _count(steps, like):
    """Number of steps, in the dtype of the array that is divided by it."""
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
    """Growth of each direction in each step, whose mean is `lyapunov_spectrum`.

    Args:
        cell: Any `Cell`.
        params: Parameters of the cell.
        xs: Inputs, [time, *batch, inputs].
        state: State before the first step.
        count: Number of directions; None for all.
        warmup: Number of steps before the first step that counts. A direction lost in
            the warmup is replaced.
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
    cell, state, copies = first_column(cell, params, xs, state)
    walk = trajectory(cell, params, xs, state, reverse=reverse, **options)
    product = jacobian_product(cell, params)
    eye = identity(walk, batch_shape(cell, params, walk))
    time, size = len(jax.tree.leaves(walk.before)[0]), eye.shape[-1]
    whole = coordinates(count, copies * size)
    count = -(-whole // copies)
    if not time:
        raise ValueError("expected at least one step; got a sequence of none")
    steps = integer(warmup)
    if steps is None or not 0 <= steps < time:
        raise ValueError(
            f"expected a warmup from 0 to {time - 1}, below the number of steps; got "
            f"{warmup}"
        )
    # The columns are the same in float32 and float64, so that results are comparable.
    start = jax.random.normal(jax.random.key(0), eye.shape, jnp.float32)
    start, _ = jnp.linalg.qr(start.astype(eye.dtype))
    probes = start[..., count : count + PROBES]

    # The gradient keeps the columns of each step, and recomputes all other values: the
    # tangents of every column through the step would take ten times the memory.
    @partial(jax.checkpoint, prevent_cse=False)
    def turn(carry, inputs):
        (columns, doubts), (step, settled) = carry, inputs
        moved = product(step, jnp.concatenate([columns, probes], axis=-1))
        rows = row_sizes(jax.lax.stop_gradient(moved), count)
        order = jnp.argsort(doubts == LOST, axis=-1, stable=True)
        before = jnp.take_along_axis(doubts, order, axis=-1)
        result = triangle(moved[..., :count], rows, None, order, before)
        place = jnp.argsort(result.order, axis=-1)
        columns = jnp.take_along_axis(result.q, place[..., None, :], axis=-1)
        after = jnp.take_along_axis(result.doubts, place, axis=-1)
        after = select_valid(settled, after, 0.0)
        after = select_valid(step.real, after, doubts)
        return (columns, after), jnp.take_along_axis(result.growth, place, axis=-1)

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
    logs = jnp.where(doubts > total * SHARE[0] // SHARE[1], -jnp.inf, logs)
    return Growths(jnp.repeat(logs, copies, axis=-1)[..., :whole], counts)
