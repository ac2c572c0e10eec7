"""The exponential moving average of the parameters, kept by the optimizer."""

from typing import Any, NamedTuple

import jax
import optax


class _AverageState(NamedTuple):
    average: Any


def average_parameters(decay: float) -> optax.GradientTransformation:
    """Keep the exponential moving average of the parameters in the optimizer's state.

        average' = decay average + (1 - decay) params'

    It is the last transformation of a chain, as it needs the final updates, which it
    does not change. The average begins at the initial parameters.

    Args:
        decay: Share of the average that each step keeps, from 0 to 1.

    Returns:
        An optax transformation; `averaged` reads its state.

    Example:
        >>> import jax.numpy as jnp
        >>> optimizer = optax.chain(optax.sgd(1.0), average_parameters(0.75))
        >>> params = jnp.array(0.0)
        >>> updates, state = optimizer.update(
        ...     jnp.array(-4.0), optimizer.init(params), params
        ... )
        >>> updates.item(), averaged(state).item()
        (4.0, 1.0)

    References:
        Polyak and Juditsky 1992, Acceleration of stochastic approximation by averaging,
        https://doi.org/10.1137/0330046
    """

    def init(params):
        return _AverageState(params)

    def update(updates, state, params=None):
        if params is None:
            raise ValueError("expected the parameters as the third argument; got None")
        new = optax.apply_updates(params, updates)
        average = optax.incremental_update(new, state.average, 1 - decay)
        return updates, _AverageState(average)

    return optax.GradientTransformation(init, update)


def averaged(opt_state: optax.OptState) -> Any:
    """The average of the parameters, from the state of an optimizer.

    Args:
        opt_state: State of an optimizer that contains `average_parameters`. It may be
            stacked over models.

    Returns:
        A tree of arrays as the parameters; None if the optimizer keeps no average.

    Example:
        >>> import jax.numpy as jnp
        >>> averaged(optax.sgd(0.1).init(jnp.zeros(2))) is None
        True
    """

    def is_average(node):
        return isinstance(node, _AverageState)

    nodes = jax.tree.leaves(opt_state, is_leaf=is_average)
    return next((node.average for node in nodes if is_average(node)), None)
