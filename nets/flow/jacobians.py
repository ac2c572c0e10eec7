"""Jacobians of all steps."""

from typing import Any

import jax
from jaxtyping import Array, ArrayLike, Float

from nets.compiling import compiled
from nets.flow.layers import in_every_cell
from nets.flow.linearized import (
    batch_shape,
    identity,
    jacobian_product,
    trajectory,
)
from nets.recurrent.padding import check_padding
from nets.types import Cell, Params, State


@in_every_cell
def step_jacobians(
    cell: Cell,
    params: Params,
    xs: Any,
    state: State | None = None,
    *,
    lengths: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    reverse: bool = False,
) -> Float[Array, "time *batch n n"]:
    """J_t = ds_t/ds_{t-1} of the whole state, for every step.

    The state is one vector: n of an LSTM is twice its number of units, h first, then c.
    A complex entry counts as two coordinates, real and imaginary part. Integers are
    left out.

    Args:
        cell: Any `Cell`, or a recurrent layer. In a layer, each cell is measured with
            the inputs that it receives there.
        params: Parameters of the cell or layer.
        xs: Inputs, [time, *batch, inputs].
        state: State before the first step.
        lengths: As in `nets.unroll`. In padding the state does not change, and J_t = I.
        mask: As in `nets.unroll`.
        reverse: As in `nets.unroll`. Then J_t = ds_t/ds_{t+1}, at the index t of its
            input.

    Returns:
        Jacobians [time, *batch, n, n]; for a layer, one such array in place of the
        state of each cell.

    Raises:
        ValueError: As in `nets.unroll`.

    Example:
        >>> import jax.numpy as jnp, nets
        >>> cell = nets.lstm()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> step_jacobians(cell, params, jnp.ones((10, 5, 3))).shape
        (10, 5, 16, 16)

    References:
        Pascanu, Mikolov and Bengio 2013, On the difficulty of training recurrent neural
        networks, https://arxiv.org/abs/1211.5063
    """
    check_padding(xs, lengths, mask, cell.spatial_dims)
    options = {"lengths": lengths, "mask": mask, "reverse": reverse}
    return _step_jacobians(cell, params, xs, state, **options)


@compiled
def _step_jacobians(cell, params, xs, state, *, reverse, **options):
    options["reverse"] = reverse
    walk = trajectory(cell, params, xs, state, **options)
    product = jacobian_product(cell, params)
    eye = identity(walk, batch_shape(cell, params, walk))

    jacobians = jax.lax.map(lambda step: product(step, eye), walk)
    return jacobians[::-1] if reverse else jacobians
