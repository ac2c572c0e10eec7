"""The IRNN: a simple recurrent network of ReLUs, initialized with the identity."""

import jax

from nets import initializers
from nets.cells.elman import elman
from nets.factories import factory
from nets.types import Cell


@factory
def irnn(init: initializers.Initializer = initializers.irnn) -> Cell:
    """The IRNN: `elman` with ReLUs and the identity as its initial recurrent matrix.

        h' = relu(W_i x + W_h h + b),    initially W_h = I and b = 0

    Initially the gradient passes unchanged through active units and is blocked by
    inactive units. Nothing preserves this property during training.

    Args:
        init: Initializer of the parameters, from `nets.initializers`.

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
