"""Sharding of the state in the same way as the inputs."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from jaxtyping import PyTree

from nets.types import State


def with_split_state(
    body: Callable[[State, Any], tuple[State, Any]], state: State, inputs: PyTree
) -> tuple[Callable[[State, Any], tuple[State, Any]], State]:
    """Give the state of a scan the same sharding before and after a step.

    An initial state of zeros is replicated over the devices of a mesh. If the inputs
    are split, by `jax.shard_map` or on a mesh with explicit axes, the state after a
    step is split too. `jax.lax.scan` requires the same type of both.

    Args:
        body: Body of a scan.
        state: Initial state.
        inputs: Inputs of the scan, arrays [time, ...].

    Returns:
        The body and the initial state; unchanged if no mesh has such axes.

    Example:
        >>> body = lambda s, x: (s + x, s)
        >>> body, state = with_split_state(body, 0.0, jnp.ones(3))
        >>> state
        0.0
    """
    if not _is_split((state, inputs)) or 0 in jax.tree.leaves(inputs)[0].shape[:1]:
        return body, state
    now = _types(state)
    while True:  # Each pass splits more axes, so the loop ends.
        after = jax.eval_shape(
            lambda s, i: body(s, jax.tree.map(lambda a: a[0], i))[0], state, inputs
        )
        state = jax.tree.map(split_like, state, after)
        before, now = now, _types(state)
        if now == before:
            break

    def moved(carry, x):
        new, out = body(carry, x)
        return jax.tree.map(split_like, new, carry), out

    return moved, state


def split_as(xs: PyTree, state: State, space: int = 0) -> State:
    """Split the initial state over a mesh with explicit axes, like the batch of inputs.

    Args:
        xs: Inputs, [time, *batch, *space, inputs].
        state: Arrays [*batch, ...]; arrays of other shapes are not split.
        space: Number of spatial axes, as in `Cell`.

    Returns:
        The state, split over the devices.

    Example:
        >>> split_as(jax.numpy.ones((5, 2, 3)), jax.numpy.zeros((2, 4))).shape
        (2, 4)
    """
    x = jax.tree.leaves(xs)[0]
    sharding = jax.typeof(x).sharding
    if AxisType.Explicit not in sharding.mesh.axis_types:
        return state
    features = 1 if jnp.issubdtype(x.dtype, jnp.inexact) else 0
    axes = x.ndim - 1 - space - features

    def leaf(s):
        if s.shape[:axes] != x.shape[1 : 1 + axes]:
            return s
        spec = PartitionSpec(*sharding.spec[1 : 1 + axes])
        return jax.sharding.reshard(s, NamedSharding(sharding.mesh, spec))

    return jax.tree.map(leaf, state)


def _is_split(tree: PyTree) -> bool:
    """True if an array is on a mesh with manual or explicit axes."""
    meshes = [jax.typeof(leaf).sharding.mesh for leaf in jax.tree.leaves(tree)]
    kinds = {kind for mesh in meshes for kind in mesh.axis_types}
    return bool(kinds & {AxisType.Manual, AxisType.Explicit})


def _types(tree: PyTree) -> list[Any]:
    """Types of the arrays, including their sharding."""
    return [str(jax.typeof(leaf)) for leaf in jax.tree.leaves(tree)]


def split_like(array: Any, like: Any) -> Any:
    """Split an array over the devices like a second array.

    Args:
        array: Array with axes that can be split like the axes of the second array.
        like: Second array, or its shape from `jax.eval_shape`.

    Returns:
        The array, split over the devices.

    Example:
        >>> split_like(jnp.zeros(3), jnp.ones(3)).tolist()
        [0.0, 0.0, 0.0]
    """
    like = like if isinstance(like, jax.ShapeDtypeStruct) else jax.typeof(like)
    current, sharding = jax.typeof(array), like.sharding
    varying = like.manual_axis_type.varying if like.manual_axis_type else frozenset()
    missing = varying - current.manual_axis_type.varying
    if missing:
        array = jax.lax.pcast(array, tuple(sorted(missing)), to="varying")
    if sharding is None or AxisType.Explicit not in sharding.mesh.axis_types:
        return array
    if current.sharding == sharding:
        return array
    return jax.sharding.reshard(array, sharding)
