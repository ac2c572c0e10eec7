"""Lyapunov exponents: at which rates small differences of the state grow or shrink."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from nets.flow.layers import in_every_cell
from nets.flow.linearised import (
    batch_shape,
    identity,
    jacobian_product,
    trajectory,
)
from nets.types import Cell, Params, State

BLOCKS = 10  # of time, over which the exponents' error is estimated


class LyapunovSpectrum(NamedTuple):
    """Exponents, and how far they have converged.

    Attributes:
        exponents: Nats a step, descending, [*batch, count].
        errors: The standard error of each, from the means over ten blocks of time,
            [*batch, count]; nan where fewer than twenty steps count.
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
    count: int | None = None,
    warmup: int = 0,
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
        cell: Any `Cell`, or a recurrent
            `Layer`, each of whose cells is then measured.
        params: Its parameters.
        xs: The inputs, [time, *batch, inputs]: zeros for an autonomous system.
        state: The state before the first step.
        count: How many of the largest exponents, by default all: as many as the state
            has coordinates.
        warmup: How many steps, padding not counted, pass before the mean begins, in
            which the state settles and the columns turn to their directions.
        lengths: As in `nets.unroll`; padding does not count.
        mask: As in `nets.unroll`, likewise.
        reverse: As in `nets.unroll`.

    Returns:
        A `LyapunovSpectrum`; -inf where a direction is lost altogether, nan for a
        sequence that is all padding and warmup.

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
    walk = trajectory(cell, params, xs, state, **options)
    product, eye = jacobian_product(cell, params), identity(walk, batch_shape(cell, xs))
    time, size = len(jax.tree.leaves(walk.xs)[0]), eye.shape[-1]
    count = size if count is None else count
    if type(count) is not int or not 1 <= count <= size:
        raise ValueError(
            f"expected an integer count from 1 to {size}, the coordinates of the "
            f"state; got {count}"
        )
    if not time:
        raise ValueError("expected at least one step; got a sequence of none")
    if not 0 <= warmup < time:
        raise ValueError(
            f"expected a warmup from 0 to {time - 1}, below the number of steps; got "
            f"{warmup}"
        )
    start, _ = jnp.linalg.qr(jax.random.normal(jax.random.key(0), eye.shape, eye.dtype))

    def turn(columns, step):
        columns, upper = jnp.linalg.qr(product(step, columns))
        growth = jnp.abs(jnp.diagonal(upper, axis1=-2, axis2=-1))
        return columns, jnp.log(growth)

    _, growth = jax.lax.scan(turn, start[..., :count], walk)
    if walk.real is None:
        return _averaged(growth[warmup:], jnp.ones(time - warmup, bool))
    settled = jnp.cumsum(walk.real, axis=0) > warmup
    return _averaged(growth, walk.real & settled)


def _averaged(growth, weight) -> LyapunovSpectrum:
    """The mean over steps, and its error by the means over blocks of them."""
    weight = weight.reshape(*weight.shape, *(1,) * (growth.ndim - weight.ndim))
    growth = jnp.where(weight, growth, 0.0)
    steps = weight.sum(axis=0)
    exponents = growth.sum(axis=0) / jnp.maximum(steps, 1)
    exponents = jnp.where(steps == 0, jnp.nan, exponents)
    block = (jnp.cumsum(weight, axis=0) - 1) * BLOCKS // jnp.maximum(steps, 1)[None]
    spread = jnp.zeros_like(exponents)
    for i in range(BLOCKS):
        inside = weight & (block == i)
        total = jnp.where(inside, growth, 0.0).sum(axis=0)
        mean = total / jnp.maximum(inside.sum(axis=0), 1)
        spread += (mean - exponents) ** 2
    errors = jnp.sqrt(spread / (BLOCKS * (BLOCKS - 1)))
    errors = jnp.where(steps < 2 * BLOCKS, jnp.nan, errors)
    order = jnp.argsort(-exponents, axis=-1)
    return LyapunovSpectrum(
        jnp.take_along_axis(exponents, order, axis=-1),
        jnp.take_along_axis(errors, order, axis=-1),
    )
