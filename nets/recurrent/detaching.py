"""Stopping some of the gradient that goes through the recurrent weights."""

import jax
import jax.numpy as jnp

from nets.factories import factory
from nets.recurrent.reading import check_takes_drop, step_with
from nets.recurrent.regularisers import check_rate
from nets.types import Cell


@factory
def h_detach(cell: Cell, rate: float = 0.5) -> Cell:
    """h-detach: at some steps no gradient passes what the recurrent weights read.

        W_h h  <-  W_h stop_gradient(h)   with probability `rate`, drawn at each step

    The numbers stay as they are. What a gate carries over, as c in an LSTM, keeps its
    gradient: the highway, which the gradient through the weights can drown.

    Args:
        cell: A `Cell` whose `step` has an argument `drop`, a function that it calls on
            the h that its recurrent weights read, as our cells do that have such
            weights.
        rate: How likely a step is detached, from 0 to below 1. Only with a key: without
            one no gradient is stopped.

    Returns:
        A `Cell` with the parameters and states of the given one.

    Raises:
        ValueError: The rate is out of range, or the cell's step takes no `drop`.

    Example:
        >>> import nets
        >>> cell = nets.h_detach(nets.lstm(), 0.25)
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> xs = jnp.ones((10, 5, 3))
        >>> state, ys = nets.unroll(cell, params, xs, key=jax.random.key(1))
        >>> bool((ys == nets.unroll(cell, params, xs)[1]).all())
        True

    References:
        Arpit et al. 2018, h-detach: modifying the LSTM gradient towards better
        optimization, https://arxiv.org/abs/1810.03023
    """
    rate = check_rate("rate", rate)
    check_takes_drop(cell)

    def stochastic_step(key, params, x):
        def step(state, x, key):
            detached = jax.random.bernoulli(key, rate)

            def drop(h):
                return jnp.where(detached, jax.lax.stop_gradient(h), h)

            return step_with(cell, params, state, x, drop)

        return step

    return cell._replace(stochastic_step=stochastic_step)
