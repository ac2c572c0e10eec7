"""Batch axes of the inputs and the state of a cell."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from nets.types import Cell, Params, State


def batch_shape(cell: Cell, params: Params, x: Any, state: State) -> tuple[Any, ...]:
    """Sizes of the batch axes: the leading axes that inputs and state have in common.

    An axis is batch if the cell also runs with a larger size of it: the initial state
    (or the step, if the initial state does not depend on it) is evaluated abstractly
    with larger inputs. Names and dtypes of the inputs do not matter, nor do entries of
    the state without a batch, such as a counter or a key. If features and batch cannot
    be distinguished, as in `0.9 * state + x`, the last axis of `x` is features, as in
    [*batch, inputs]; only integers [batch], and numbers [batch] of a state [batch,
    ...], are one per sequence.

    Args:
        cell: Any `Cell`. Its `initial_state` may be None.
        params: Parameters of the cell.
        x: Inputs of one step, [*batch, *space, inputs], or a tree of inputs; or their
            shapes and dtypes.
        state: State before the step, or its shapes and dtypes.

    Returns:
        Sizes of the batch axes; () for one sequence.

    Example:
        >>> import nets
        >>> def step(params, state, x):
        ...     state = state + x["dt"][..., None] * jnp.tanh(x["u"] @ params)
        ...     return state, state
        >>> cell = nets.Cell(None, None, step)
        >>> inputs = {"dt": jnp.ones(5), "u": jnp.ones((5, 3))}
        >>> batch_shape(cell, jnp.ones((3, 8)), inputs, jnp.zeros((5, 8)))
        (5,)
    """
    x, state = _shapes(x), _shapes(state)
    widest = _widest(x)
    axes, real = len(widest.shape), jnp.issubdtype(widest.dtype, jnp.inexact)
    if not axes:
        return ()
    limit = axes - cell.spatial_dims - 1 if real and axes > 1 else axes
    count = 0
    while count < limit and _is_batch(
        cell, params, x, state, count, known=limit < axes
    ):
        count += 1
    # A cell that only runs with one size of the batch is read by convention.
    while count < axes - cell.spatial_dims - 1 and _is_shared(
        cell, params, x, state, count
    ):
        count += 1
    if count == axes or cell.spatial_dims:
        more = all(len(s.shape) > count for s in _moving(state))
        if axes == 1 and not cell.spatial_dims:
            count = count if more or not real else 0
        else:
            last = axes - 1
            tokens = not real and more and (count == axes or cell.spatial_dims)
            tokens = tokens and _is_batch(cell, params, x, state, last, known=False)
            count = min(count, axes - cell.spatial_dims - (0 if tokens else 1))
    return widest.shape[: max(count, 0)]


def with_larger_batch(
    cell: Cell, params: Params, x: Any, state: State, axis: int = 0
) -> tuple[Any, State] | None:
    """Shapes of inputs and state with a larger batch axis, with which the step runs.

    Args:
        cell: Any `Cell`.
        params: Parameters of the cell.
        x: Inputs of one step, or their shapes and dtypes.
        state: State before the step, or its shapes and dtypes.
        axis: Index of the axis that is made larger.

    Returns:
        Trees of `jax.ShapeDtypeStruct`; entries without the axis do not change. None if
        the cell does not run with a larger axis.

    Example:
        >>> import nets
        >>> cell = nets.gru()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> x, state = jnp.ones((5, 3)), nets.cells.GRUState(jnp.ones((5, 8)))
        >>> with_larger_batch(cell, params, x, state)[1].hidden.shape
        (49, 8)
    """
    x, state = _shapes(x), _shapes(state)
    size = _unused(params, x, state)
    prefix = _widest(x).shape[: axis + 1]
    for inputs in (_has(x, prefix), _has(x, prefix, len(_widest(x).shape))):
        larger = _resized(x, inputs, axis, size)
        for entries in _entries(cell, params, x, larger, state, prefix, size):
            grown = _resized(state, entries, axis, size)
            after = _evaluate(lambda s, x: cell.step(params, s, x)[0], grown, larger)
            if any(entries) and after is not None and _shapes(after) == grown:
                return larger, grown
    return None


def any_image(inputs: int, space: int) -> tuple[int, ...]:
    """Shape of an input without a batch, large enough for the kernel of any cell.

    The parameters of a cell and the number of its features do not depend on the size
    of the image, but a kernel that is larger than the image is refused.

    Args:
        inputs: Number of features of the input.
        space: Number of spatial axes.

    Returns:
        Shape [*space, inputs], about 30 thousand positions in all.

    Example:
        >>> any_image(3, space=0), any_image(3, space=2)
        ((3,), (128, 128, 3))
    """
    return (*(2 ** (15 // axes) for axes in [space] * space), inputs)


def _is_batch(cell, params, x, state, axis, known):
    """True if an axis can have a different size, but only the same in x and state.

    `known`: the axis is not an axis of features. Then the initial state suffices.
    """
    if axis >= min((len(s.shape) for s in _moving(state) if s.shape), default=0):
        return False
    prefix = _widest(x).shape[: axis + 1]
    size = _unused(params, x, state)
    larger = _resized(x, _has(x, prefix), axis, size)
    first = _first(cell, params, x, larger, axis, size)
    if first is not None and any(first) and known:
        return True
    if with_larger_batch(cell, params, x, state, axis) is None:
        return False
    if first is None or any(first):
        return True
    alone = _evaluate(lambda s, x: cell.step(params, s, x)[0], state, larger)
    return alone is None or _shapes(alone) != state


def _is_shared(cell, params, x, state, axis):
    """True if an axis has one size in x and state, and no other size is possible."""
    prefix = _widest(x).shape[: axis + 1]
    alike = [s.shape[: axis + 1] == prefix for s in _moving(state)]
    if not alike or not all(alike):
        return False
    larger = _resized(x, _has(x, prefix), axis, _unused(params, x, state))
    run = lambda s, x: cell.step(params, s, x)[0]  # noqa: E731
    return _evaluate(run, state, larger) is None


def _entries(cell, params, x, larger, state, prefix, size):
    """Candidates for the entries of the state that have the batch axes `prefix`."""
    first = _first(cell, params, x, larger, len(prefix) - 1, size)
    if first is not None and any(first):
        return [first]
    alike = _has(state, prefix)
    moving = [
        same and jnp.issubdtype(s.dtype, jnp.inexact)
        for same, s in zip(alike, jax.tree.leaves(state), strict=True)
    ]
    return [alike, moving]


def _first(cell, params, x, larger, axis, size) -> list[bool] | None:
    """Entries of the initial state that grow with the inputs; None if unknown."""
    if cell.initial_state is None:
        return None
    make = lambda x: cell.initial_state(params, x)  # noqa: E731
    before, after = _evaluate(make, x), _evaluate(make, larger)
    if before is None or after is None:
        return None
    grows = []
    for s, t in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        wanted = (*s.shape[:axis], size, *s.shape[axis + 1 :])
        grows.append(len(s.shape) > axis and t.shape == wanted != s.shape)
    return grows


def _evaluate(function: Callable[..., Any], *args: Any) -> Any:
    """Shapes that a function returns; None if the function raises an error.

    A user's step may raise any error for a shape that does not fit.
    """
    try:
        return jax.eval_shape(function, *args)
    except Exception:
        return None


def _shapes(tree: Any) -> Any:
    """Shapes and dtypes of a tree of arrays, numbers or shapes."""

    def shape(leaf):
        dtype = leaf.dtype if hasattr(leaf, "dtype") else jnp.result_type(leaf)
        return jax.ShapeDtypeStruct(jnp.shape(leaf), dtype)

    return jax.tree.map(shape, tree)


def _widest(x: Any) -> jax.ShapeDtypeStruct:
    """Input with the most axes; among equals, an input of floats."""
    none = jax.ShapeDtypeStruct((), jnp.float32)
    order = lambda a: (len(a.shape), jnp.issubdtype(a.dtype, jnp.inexact))  # noqa: E731
    return max(jax.tree.leaves(x), key=order, default=none)


def _moving(state: Any) -> list[Any]:
    """Entries of a state that are real or complex; all entries if there are none."""
    leaves = jax.tree.leaves(state)
    return [s for s in leaves if jnp.issubdtype(s.dtype, jnp.inexact)] or leaves


def _has(tree: Any, prefix: Sequence[Any], axes: int = 0) -> list[bool]:
    """True for each leaf whose shape begins with `prefix` and has at least `axes`."""
    return [
        leaf.shape[: len(prefix)] == prefix and len(leaf.shape) >= axes
        for leaf in jax.tree.leaves(tree)
    ]


def _resized(tree: Any, which: list[bool], axis: int, size: int) -> Any:
    """Shapes in which an axis of the selected leaves has a new size."""
    leaves = [
        jax.ShapeDtypeStruct((*s.shape[:axis], size, *s.shape[axis + 1 :]), s.dtype)
        if selected
        else s
        for s, selected in zip(jax.tree.leaves(tree), which, strict=True)
    ]
    return jax.tree.unflatten(jax.tree.structure(tree), leaves)


def _unused(*trees: Any) -> int:
    """A size that is not in use and does not broadcast with the sizes in use."""
    leaves = jax.tree.leaves(trees)
    sizes = [n for leaf in leaves for n in getattr(leaf, "shape", ())]
    return 2 * max([1, *(n for n in sizes if isinstance(n, int))]) + 1  # not symbolic
