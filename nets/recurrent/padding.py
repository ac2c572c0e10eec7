"""Padding: masks of real steps, and selection of real and padded values."""

from collections.abc import Callable
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, PyTree


def padding_mask(
    xs: PyTree, lengths: ArrayLike | None, mask: ArrayLike | None, space: int = 0
) -> Bool[Array, "time *batch"] | None:
    """Mask of the real steps of sequences, from their lengths or a mask.

    Args:
        xs: Inputs, [time, *batch, inputs], or a tree of inputs.
        lengths: Integers from 0 to time, [*batch] or its leading axes, or None.
        mask: Booleans, [time, *batch] or its leading axes, or None.
        space: Number of spatial axes between batch and inputs, as in `Cell`.

    Returns:
        Booleans, [time, *leading batch axes]; None where there is no padding.

    Raises:
        ValueError: Both are given, or do not fit the inputs.

    Example:
        >>> padding_mask(jnp.ones((3, 2, 1)), jnp.array([3, 1]), None).T.tolist()
        [[True, True, True], [True, False, False]]
    """
    check_padding(xs, lengths, mask, space)
    if mask is not None:
        return jnp.asarray(mask)
    if lengths is None:
        return None
    lengths = jnp.asarray(lengths).astype(int)  # the default one, as the steps' numbers
    time = jax.tree.leaves(xs)[0].shape[0]
    return jnp.arange(time).reshape(time, *(1,) * lengths.ndim) < lengths[None]


def check_padding(
    xs: PyTree, lengths: ArrayLike | None, mask: ArrayLike | None, space: int = 0
) -> None:
    """Check that lengths and masks fit the inputs.

    Args:
        xs: As in `padding_mask`.
        lengths: As in `padding_mask`. Concrete values are checked.
        mask: As in `padding_mask`.
        space: As in `padding_mask`.

    Raises:
        ValueError: Both are given, or one does not fit the inputs.

    Example:
        >>> check_padding(jnp.ones((3, 2, 1)), jnp.array([3, 4]), None)
        Traceback (most recent call last):
        ValueError: expected lengths from 0 to 3, the number of steps; got lengths \
from 3 to 4
    """
    if not jax.tree.leaves(xs):
        raise ValueError("expected inputs of shape [time, *batch, inputs]; got none")
    if lengths is not None and mask is not None:
        raise ValueError("expected lengths or a mask; got both")
    if mask is not None:
        given = array_like(mask)
        if given.dtype != bool:
            raise ValueError(f"expected a mask of booleans; got {given.dtype}")
        _fit(xs, space, given.shape, "a mask [time, *batch]", "the mask has")
    if lengths is None:
        return
    given = array_like(lengths)
    shape = given.shape
    if not jnp.issubdtype(given.dtype, jnp.integer):
        raise ValueError(f"expected integer lengths; got {given.dtype}")
    time = jax.tree.leaves(xs)[0].shape[0]
    wanted = "lengths of the shape of the inputs' batch axes"
    _fit(xs, space, (time, *shape), wanted, "lengths have", shape)
    known = not isinstance(given, jax.core.Tracer) and isinstance(time, int)
    if known and 0 not in shape:
        known = np.asarray(given)
        if known.min() < 0 or known.max() > time:
            raise ValueError(
                f"expected lengths from 0 to {time}, the number of steps; got lengths "
                f"from {known.min()} to {known.max()}"
            )


def array_like(given: Any) -> Any:
    """The argument if it is an array, or a NumPy array of a list or a number.

    Args:
        given: Anything that `np.asarray` takes.

    Returns:
        An object with a shape and a dtype; concrete if the argument was.

    Example:
        >>> array_like([3, 1]).shape
        (2,)
    """
    return given if hasattr(given, "dtype") else np.asarray(given)


def on_device(tree: PyTree) -> PyTree:
    """Convert the NumPy arrays of a tree to JAX arrays.

    Args:
        tree: Any tree.

    Returns:
        The tree; float64 becomes float32, except under `jax_enable_x64`.

    Example:
        >>> on_device(np.ones(2)).dtype.name
        'float32'
    """
    return jax.tree.map(lambda a: jnp.asarray(a) if type(a) is np.ndarray else a, tree)


def _fit(xs, space, shape, wanted, got, given=None):
    """Check that a shape is that of the leading axes of every input.

    `nets.unroll` separates batch axes from features by the state. Images always have
    their features last, after the spatial axes.
    """
    for x in jax.tree.leaves(xs):
        most = x.ndim - space - 1 if space else x.ndim
        if not 1 <= len(shape) <= most or x.shape[: len(shape)] != shape:
            raise ValueError(
                f"expected {wanted}: inputs [time, *batch, {'*space, ' * bool(space)}"
                f"inputs] have shape {list(x.shape)}, {got} "
                f"{list(shape if given is None else given)}"
            )


def check_waiting(
    real: Bool[Array, "time *batch"],
    batch: tuple[Any, ...],
    state: Any,
    *,
    masked: bool = False,
) -> None:
    """Check that padding is along batch axes, and that the state can be kept in it.

    Args:
        real: Result of `padding_mask`.
        batch: Sizes of the batch axes, by `nets.recurrent.batch.batch_shape`.
        state: The state before the first step.
        masked: True if a mask was given, for the message.

    Raises:
        ValueError: An axis of `real` is not a batch axis, or an entry of the state is
            shared by several sequences, some of which may be in padding.

    Example:
        >>> check_waiting(jnp.ones((10, 5), bool), (5,), jnp.zeros((5, 8)))
    """
    given = real.shape[1:]
    if given != batch[: len(given)]:
        wanted = "lengths of the shape of the inputs' batch axes"
        got = f"lengths have {list(given)}"
        if masked:
            wanted, got = "a mask [time, *batch]", f"the mask has {list(real.shape)}"
        raise ValueError(f"expected {wanted}: the batch has shape {list(batch)}, {got}")
    shared = [s for s in jax.tree.leaves(state) if jnp.shape(s)[: len(given)] != given]
    if shared:
        raise ValueError(
            f"expected a state that has the batch, {list(given)}, in front of every "
            "entry, so that each sequence can wait in its padding; got entries of "
            f"shapes {[list(jnp.shape(s)) for s in shared]}"
        )


def select_valid(real: Array | None, new: Any, old: Any) -> Any:
    """`new` where a step is real, `old` where it is padding, leaf by leaf.

    Args:
        real: Booleans of the leading axes of every leaf; None if all steps are real.
        new: A tree of arrays.
        old: A tree of the same structure, or one number for all leaves.

    Returns:
        A tree like `new`.

    Example:
        >>> select_valid(jnp.array([True, False]), jnp.ones((2, 2)), 0.0).tolist()
        [[1.0, 1.0], [0.0, 0.0]]
    """
    if real is None:
        return new

    def choose(n, o):
        return jnp.where(real.reshape(real.shape + (1,) * (n.ndim - real.ndim)), n, o)

    if isinstance(old, float):
        return jax.tree.map(lambda n: choose(n, jnp.asarray(old, n.dtype)), new)
    return jax.tree.map(choose, new, old)


def pack_left(xs: PyTree, real: Bool[Array, "time *batch"]) -> tuple[PyTree, Callable]:
    """Move the real steps of each sequence to its front, in their order.

    A parallel recurrence cannot skip steps, so padding before and between the real
    steps is moved to the end.

    Args:
        xs: Inputs, [time, *batch, ...].
        real: Mask of the real steps, [time, *leading batch axes].

    Returns:
        The packed inputs, and a function `unpack(before, after)`. It takes the values
        after each packed step back to the original positions. A padded step has the
        value of the step before it, and `before` if there is none.

    Example:
        >>> xs, real = jnp.array([9, 1, 9, 2]), jnp.array([False, True, False, True])
        >>> moved, back = pack_left(xs, real)
        >>> moved[:2].tolist(), back(jnp.array(0), moved).tolist()
        ([1, 2], [0, 1, 1, 2])
    """
    order = jnp.argsort(~real, axis=0, stable=True)
    passed = jnp.cumsum(real, axis=0)

    def take(tree, index):
        def leaf(a):
            i = index.reshape(index.shape + (1,) * (a.ndim - index.ndim))
            return jnp.take_along_axis(a, i, axis=0)

        return jax.tree.map(leaf, tree)

    def back(before, after):
        both = jax.tree.map(lambda b, a: jnp.concatenate([b[None], a]), before, after)
        return take(both, passed)

    return take(xs, order), back
