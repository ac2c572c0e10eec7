"""The members of a study: many models in one program, divided among devices."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Bool, Int, PyTree

from train.step import TrainState

STUDY, DATA = "study", "data"  # axes of a mesh
PER_MEMBER, PER_STEP, SHARED = P(STUDY), P(None, STUDY), P()


class Members(NamedTuple):
    """State of all members of a study.

    Attributes:
        state: State of training, arrays [members, ...].
        training: False for members that do not train any more.
        nonfinite: Number of steps that were not finite.
    """

    state: TrainState
    training: Bool[Array, " members"]
    nonfinite: Int[Array, " members"]


def check_mesh(mesh: Mesh | None, batch_size: int) -> None:
    """Check that a mesh has the axes that `fit` needs, and divides the batch.

    Args:
        mesh: As in `fit`.
        batch_size: Examples per step.

    Raises:
        ValueError: An axis is missing, or the batch cannot be divided.
    """
    if mesh is None:
        return
    if set(mesh.axis_names) != {STUDY, DATA}:
        raise ValueError(
            f"expected a mesh with the axes {STUDY!r} and {DATA!r}; got "
            f"{', '.join(map(repr, mesh.axis_names))}"
        )
    if batch_size % mesh.shape[DATA]:
        raise ValueError(
            f"expected a batch size that is a multiple of {mesh.shape[DATA]}, the "
            f"number of devices that share a batch; got {batch_size}"
        )


def missing(count: int, mesh: Mesh | None) -> int:
    """Number of members to add, so that every device has equally many.

    Args:
        count: Number of members.
        mesh: As in `fit`.

    Returns:
        A number from 0 to the number of devices.

    Example:
        >>> missing(3, None)
        0
    """
    return 0 if mesh is None else -count % mesh.shape[STUDY]


def repeat_last(tree: PyTree, count: int, axis: int = 0) -> PyTree:
    """Arrays whose last entry is repeated.

    Args:
        tree: A tree of arrays.
        count: Number of repetitions to add.
        axis: Axis of the entries.

    Returns:
        The tree, with arrays longer by `count`.

    Example:
        >>> repeat_last(np.array([1, 2]), 2).tolist()
        [1, 2, 2, 2]
    """
    if not count:
        return tree

    def longer(leaf):
        numpy = np if isinstance(leaf, np.ndarray) else jnp
        last = leaf[(slice(None),) * axis + (slice(-1, None),)]
        return numpy.concatenate([leaf] + [last] * count, axis=axis)

    return jax.tree.map(longer, tree)


def put(tree: PyTree, mesh: Mesh | None, spec: P) -> PyTree:
    """Place arrays on the devices of a mesh.

    Args:
        tree: A tree of arrays.
        mesh: The mesh; None for the default device.
        spec: Axes of the mesh that divide the arrays.

    Returns:
        The tree.
    """
    if mesh is None:
        return jax.tree.map(jnp.asarray, tree)
    return jax.device_put(tree, NamedSharding(mesh, spec))


def fetch(tree: PyTree) -> PyTree:
    """Arrays on the host, also those that are divided among processes.

    Args:
        tree: A tree of arrays.

    Returns:
        A tree of NumPy arrays; keys are JAX arrays on the default device.
    """

    def one(leaf):
        if not isinstance(leaf, jax.Array):
            return np.asarray(leaf)
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            data = one(jax.random.key_data(leaf))
            return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))
        if leaf.is_fully_addressable or leaf.is_fully_replicated:
            return np.asarray(leaf)
        from jax.experimental import multihost_utils

        return np.asarray(multihost_utils.process_allgather(leaf, tiled=True))

    return jax.tree.map(one, tree)


def first(tree: PyTree, count: int, mesh: Mesh | None) -> PyTree:
    """The first members, on the default device.

    Args:
        tree: A tree of arrays [members, ...].
        count: Number of members.
        mesh: The mesh on which the arrays are.

    Returns:
        A tree of arrays [count, ...].
    """
    if mesh is None:
        return tree
    return jax.tree.map(lambda leaf: jnp.asarray(leaf[:count]), fetch(tree))
