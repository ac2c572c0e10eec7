"""Where time stands: first in the pure functions, after the batch in Flax's modules."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, PyTree, Shaped

from nets.types import Layer, Params, State


def time_first(xs: PyTree[Shaped[Array, "..."]]) -> PyTree[Shaped[Array, "..."]]:
    """[*batch, time, features] to [time, *batch, features], what scan wants.

    Args:
        xs: An array, or a tree of them.

    Returns:
        The same, time in front.

    Example:
        >>> time_first(jnp.ones((5, 10, 3))).shape
        (10, 5, 3)
    """
    return jax.tree.map(lambda x: jnp.moveaxis(x, -2, 0), xs)


def batch_first(
    ys: PyTree[Shaped[Array, "..."]], batch_axes: int | None = None
) -> PyTree[Shaped[Array, "..."]]:
    """[time, *batch, features] to [*batch, time, features], what Flax's users expect.

    Args:
        ys: An array, or a tree of them.
        batch_axes: How many there are, where one axis of features is not all that
            follows them, as in a state that is a matrix.

    Returns:
        The same, time after the batch.

    Example:
        >>> batch_first(jnp.ones((10, 5, 3))).shape
        (5, 10, 3)
        >>> batch_first(jnp.ones((10, 5, 3, 3)), batch_axes=1).shape
        (5, 10, 3, 3)
    """
    place = -2 if batch_axes is None else batch_axes
    return jax.tree.map(lambda y: jnp.moveaxis(y, 0, place), ys)


def apply_batch_first(
    layer: Layer,
    params: Params,
    xs: Shaped[Array, "*batch time inputs"],
    state: State | None = None,
    *,
    mask: ArrayLike | None = None,
    **options: Any,
) -> tuple[State, Any]:
    """Run a recurrent layer on arrays that have the batch first, as Flax's users do.

    Args:
        layer: A recurrent `Layer`.
        params: Its parameters.
        xs: The inputs, [*batch, time, inputs].
        state: The first state.
        mask: Booleans, [*batch, time], true where a step is real.
        **options: What else `nets.unroll` takes.

    Returns:
        The state, and the outputs, [*batch, time, features]. States of all steps have
        time after the batch too.

    Raises:
        ValueError: The inputs or the mask have not these axes, or as in `nets.unroll`.

    Example:
        >>> import nets
        >>> layer = nets.as_layer(nets.gru())
        >>> params = layer.init(jax.random.key(0), 3, 8)
        >>> state, ys = apply_batch_first(layer, params, jnp.ones((5, 10, 3)))
        >>> ys.shape
        (5, 10, 8)
    """
    if xs.ndim < 2:
        raise ValueError(
            f"expected inputs [*batch, time, inputs]; got shape {list(xs.shape)}"
        )
    if mask is not None:
        mask = jnp.asarray(mask)
        batch = mask.shape[:-1]
        if mask.shape[-1:] != xs.shape[-2:-1] or batch != xs.shape[:-2][: len(batch)]:
            raise ValueError(
                "expected a mask [*batch, time] for inputs [*batch, time, inputs] of "
                f"shape {list(xs.shape)}; got {list(mask.shape)}"
            )
        mask = jnp.moveaxis(mask, -1, 0)
    state, ys = layer.apply(params, time_first(xs), state, mask=mask, **options)
    if options.get("all_states"):
        state = batch_first(state, xs.ndim - 2)
    return state, batch_first(ys)
