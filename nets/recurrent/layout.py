"""Layouts of arrays: time first in pure functions, batch first in Flax modules."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, PyTree, Shaped

from nets.recurrent.stacking import RecurrentLayer
from nets.types import Params, State


def time_first(
    xs: PyTree[Shaped[Array | np.ndarray, "..."]], space: int = 0
) -> PyTree[Shaped[Array | np.ndarray, "..."]]:
    """Move time first: [*batch, time, features] to [time, *batch, features].

    Args:
        xs: Array, or a tree of arrays.
        space: Number of spatial axes between time and features, as in `Cell`.

    Returns:
        The arrays with time first, the layout of `jax.lax.scan`.

    Example:
        >>> time_first(jnp.ones((5, 10, 3))).shape
        (10, 5, 3)
        >>> time_first(jnp.ones((5, 10, 28, 28, 3)), space=2).shape
        (10, 5, 28, 28, 3)
    """
    return jax.tree.map(lambda x: jnp.moveaxis(x, -2 - space, 0), xs)


def batch_first(
    ys: PyTree[Shaped[Array | np.ndarray, "..."]], batch_axes: int | None = None
) -> PyTree[Shaped[Array | np.ndarray, "..."]]:
    """Move the batch first: [time, *batch, features] to [*batch, time, features].

    Args:
        ys: Array, or a tree of arrays.
        batch_axes: Number of batch axes. Required if more than one axis follows them,
            as in an image or a state that is a matrix.

    Returns:
        The arrays with time after the batch, the layout of Flax.

    Example:
        >>> batch_first(jnp.ones((10, 5, 3))).shape
        (5, 10, 3)
        >>> batch_first(jnp.ones((10, 5, 3, 3)), batch_axes=1).shape
        (5, 10, 3, 3)
    """
    place = -2 if batch_axes is None else batch_axes
    return jax.tree.map(lambda y: jnp.moveaxis(y, 0, place), ys)


def apply_batch_first(
    layer: RecurrentLayer,
    params: Params,
    xs: Shaped[Array | np.ndarray, "*batch time inputs"],
    state: State | None = None,
    *,
    mask: ArrayLike | None = None,
    **options: Any,
) -> tuple[State, Any]:
    """Run a recurrent layer on arrays with the batch first, the layout of Flax.

    Args:
        layer: A `RecurrentLayer`.
        params: Parameters of the layer.
        xs: Inputs, [*batch, time, *space, inputs], with the spatial axes of the layer.
        state: Initial state.
        mask: Booleans, [*batch, time], true at real steps.
        **options: Other options of `nets.unroll`. `perturbations` have time after the
            batch.

    Returns:
        The state, and the outputs, [*batch, time, *space, features]. States of all
        steps have time after the batch.

    Raises:
        ValueError: The inputs or the mask do not have these axes, or as in
            `nets.unroll`.

    Example:
        >>> import nets
        >>> layer = nets.as_layer(nets.gru())
        >>> params = layer.init(jax.random.key(0), 3, 8)
        >>> state, ys = apply_batch_first(layer, params, jnp.ones((5, 10, 3)))
        >>> ys.shape
        (5, 10, 8)
    """
    space, batch_axes = layer.spatial_dims, xs.ndim - layer.spatial_dims - 2
    axes = f"[*batch, time, *space, inputs] with space = {space}"
    axes = axes if space else "[*batch, time, inputs]"
    if batch_axes < 0:
        raise ValueError(f"expected inputs {axes}; got shape {list(xs.shape)}")
    if mask is not None:
        mask = jnp.asarray(mask)
        batch, time = mask.shape[:-1], xs.shape[batch_axes : batch_axes + 1]
        if mask.shape[-1:] != time or batch != xs.shape[:batch_axes][: len(batch)]:
            raise ValueError(
                f"expected a mask [*batch, time] for inputs {axes} of shape "
                f"{list(xs.shape)}; got {list(mask.shape)}"
            )
        mask = jnp.moveaxis(mask, -1, 0)
    if options.get("perturbations") is not None:
        options["perturbations"] = jax.tree.map(
            lambda d: jnp.moveaxis(d, batch_axes, 0), options["perturbations"]
        )
    state, ys = layer.apply(params, time_first(xs, space), state, mask=mask, **options)
    if options.get("all_states"):
        state = batch_first(state, batch_axes)
    return state, batch_first(ys, batch_axes)
