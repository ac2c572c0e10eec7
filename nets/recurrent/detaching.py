"""h-detach: stop part of the gradient through the recurrent weights."""

import jax
import jax.numpy as jnp

from nets.factories import factory
from nets.recurrent.drop_hook import check_takes_drop, step_with
from nets.recurrent.dropout import check_rate
from nets.types import Cell


@factory
def h_detach(cell: Cell, rate: float = 0.5) -> Cell:
    """h-detach: at random steps, stop the gradient through the recurrent weights.

        W_h h  <-  W_h stop_gradient(h)   with probability `rate`, drawn at each step

    The forward pass does not change. The part of the state that a gate carries over,
    such as c of an LSTM, keeps its gradient, which the gradient through the weights can
    dominate.

    Args:
        cell: A `Cell` with `takes_drop`, as all our cells with recurrent weights are.
        rate: Probability that a step is detached, from 0 to below 1. Without a key no
            gradient is stopped.

    Returns:
        A `Cell` with the parameters and states of the given cell.

    Raises:
        ValueError: The rate is out of range, or the cell does not take `drop`.

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
