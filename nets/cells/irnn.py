"""The simple recurrent network of ReLUs that starts as the identity."""

import jax

from nets import initializers
from nets.cells.elman import elman
from nets.factories import factory
from nets.types import Cell


@factory
def irnn(init: initializers.Initializer = initializers.irnn) -> Cell:
    """`elman` with ReLUs, whose recurrent matrix starts as the identity.

        h' = relu(W_i x + W_h h + b),    W_h = I and b = 0 at the start

    At the start the gradient passes each step as it is wherever a unit is on, and not
    at all where it is off; nothing but the start keeps it so.

    Args:
        init: How the parameters start, of `nets.initializers`.

    Returns:
        A `Cell` with `ElmanParams` and `ElmanState`.

    Example:
        >>> import jax.numpy as jnp, nets
        >>> cell = nets.irnn()
        >>> params = cell.init(jax.random.key(0), 3, 2)
        >>> params.w_h.tolist()
        [[1.0, 0.0], [0.0, 1.0]]
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)))
        >>> ys.shape
        (10, 5, 2)

    References:
        Le, Jaitly and Hinton 2015, A simple way to initialize recurrent networks of
        rectified linear units, https://arxiv.org/abs/1504.00941
    """
    return elman(jax.nn.relu, init)
