"""A cell along a trajectory, as a map from vector to vector, and its Jacobian."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float

from nets.recurrent import batch as batches
from nets.recurrent import unroll
from nets.recurrent.initial_state import initial_state
from nets.recurrent.padding import on_device, padding_mask, select_valid
from nets.recurrent.state_vectors import as_state, as_vector
from nets.types import Cell, Params, State


class Trajectory(NamedTuple):
    """State and input of each step of a cell, in the order of reading.

    Attributes:
        before: s_{t-1}, the state before each step, [time, *batch, ...].
        xs: x_t, [time, *batch, inputs].
        real: True at real steps, [time, *leading batch axes]; None if there is no
            padding.
    """

    before: State
    xs: Any
    real: Bool[Array, "time *batch"] | None


def trajectory(
    cell: Cell,
    params: Params,
    xs: Any,
    state: State | None = None,
    *,
    lengths: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    reverse: bool = False,
) -> Trajectory:
    """Run a cell, and keep the state and the input of each step.

    Args:
        cell: Any `Cell`.
        params: Parameters of the cell.
        xs: Inputs, [time, *batch, inputs].
        state: State before the first step, as in `nets.unroll`.
        lengths: As in `nets.unroll`.
        mask: As in `nets.unroll`.
        reverse: As in `nets.unroll`.

    Returns:
        A `Trajectory`.

    Example:
        >>> import nets
        >>> cell = nets.gru()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> trajectory(cell, params, jnp.ones((10, 5, 3))).before.hidden.shape
        (10, 5, 8)
    """
    xs = on_device(xs)
    real = padding_mask(xs, lengths, mask, cell.spatial_dims)
    xs = select_valid(real, xs, 0.0)
    x = jax.tree.map(lambda x: jnp.zeros(x.shape[1:], x.dtype), xs)
    state = initial_state(cell, params, x, state)
    options = {"lengths": lengths, "mask": mask, "reverse": reverse}
    states, _ = unroll(cell, params, xs, state, all_states=True, **options)
    if reverse:
        states, xs, real = jax.tree.map(lambda leaf: leaf[::-1], (states, xs, real))
    before = jax.tree.map(
        lambda first, after: jnp.concatenate([first[None], after])[: len(after)],
        state,
        states,
    )
    return Trajectory(before, xs, real)


def batch_shape(cell: Cell, params: Params, walk: Trajectory) -> tuple[int, ...]:
    """Sizes of the batch axes of a trajectory.

    Args:
        cell: Any `Cell`.
        params: Parameters of the cell.
        walk: A `Trajectory` of the cell.

    Returns:
        Sizes of the leading axes that state and inputs have in common, as returned by
        `nets.recurrent.batch.batch_shape`.

    Example:
        >>> import nets
        >>> cell = nets.gru()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> batch_shape(cell, params, trajectory(cell, params, jnp.ones((10, 5, 3))))
        (5,)
    """
    x, state = one_step(walk.xs), one_step(walk.before)
    return batches.batch_shape(cell, params, x, state)


def one_step(tree: Any) -> Any:
    """Shapes and dtypes of one step of arrays [time, ...].

    Args:
        tree: Arrays [time, ...].

    Returns:
        A tree of `jax.ShapeDtypeStruct`.

    Example:
        >>> one_step(jnp.ones((10, 5))).shape
        (5,)
    """
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), tree)


def jacobian_product(
    cell: Cell, params: Params
) -> Callable[[Trajectory, Float[Array, "*batch n k"]], Float[Array, "*batch n k"]]:
    """J_t V, for one step of a trajectory and any number of columns V.

        J_t = ds_t/ds_{t-1} of the whole state

    Forward-mode differentiation is used if the step supports it, reverse mode
    otherwise. In padding the state does not change, and J_t = I.

    Args:
        cell: Any `Cell`.
        params: Parameters of the cell.

    Returns:
        `product(step, columns)`, where `step` is one step of a `Trajectory`.

    Example:
        >>> import nets
        >>> cell = nets.elman(activation=lambda x: x)
        >>> params = cell.init(jax.random.key(0), 3, 2)
        >>> walk = trajectory(cell, params, jnp.ones((4, 3)))
        >>> product = jacobian_product(cell, params)
        >>> step = jax.tree.map(lambda leaf: leaf[0], walk)
        >>> bool(jnp.allclose(product(step, jnp.eye(2)), params.w_h.T, atol=1e-6))
        True
    """

    def product(step, columns):
        batch_axes = columns.ndim - 2

        def vector_step(vector):
            state, _ = cell.step(params, as_state(vector, step.before), step.xs)
            return as_vector(state, batch_axes)

        vector = as_vector(step.before, batch_axes)
        # By default, GPUs compute products of float32 with 10 bits of precision.
        with jax.default_matmul_precision("highest"):
            try:
                _, push = jax.linearize(vector_step, vector)
                # Column by column in memory, as the QR decomposition reads them.
                pushed = jnp.moveaxis(
                    jax.vmap(push)(jnp.moveaxis(columns, -1, 0)), 0, -1
                )
            except TypeError:  # a step with a custom backward pass (`custom_vjp`)
                jacobian = _by_reverse_mode(vector_step, vector)
                pushed = jnp.matmul(jacobian, columns, precision="highest")
        return select_valid(step.real, pushed, columns)

    return product


def _by_reverse_mode(vector_step, vector):
    """The whole Jacobian, [*batch, n, n], row by row."""
    after, pull = jax.vjp(vector_step, vector)
    rows = jnp.eye(after.shape[-1], dtype=after.dtype)

    def row(e):
        return pull(jnp.broadcast_to(e, after.shape))[0]

    return jax.vmap(row, out_axes=-2)(rows)


def identity(walk: Trajectory, batch: tuple[int, ...]) -> Float[Array, "*batch n n"]:
    """Identity matrix of the size of the state, for every sequence.

    Args:
        walk: A `Trajectory`.
        batch: Sizes of the batch axes, from `batch_shape`.

    Returns:
        Identity matrices [*batch, n, n].

    Example:
        >>> walk = Trajectory(jnp.zeros((10, 5, 2)), jnp.zeros((10, 5, 3)), None)
        >>> identity(walk, (5,)).shape
        (5, 2, 2)
    """
    vector = jax.eval_shape(
        lambda state: as_vector(state, len(batch)), one_step(walk.before)
    )
    eye = jnp.eye(vector.shape[-1], dtype=vector.dtype)
    return jnp.broadcast_to(eye, (*batch, *eye.shape))
