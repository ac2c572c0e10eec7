"""Cells over time."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PyTree, Shaped

from nets.types import Cell, Layer, Params, State, factory


def unroll(
    cell: Cell,
    params: Params,
    xs: PyTree[Shaped[Array, "..."]],
    state: State | None = None,
    *,
    lengths: ArrayLike | None = None,
    reverse: bool = False,
) -> tuple[State, Any]:
    """Run a cell over a sequence, with `jax.lax.scan`.

        s_t, y_t = step(params, s_{t-1}, x_t)    for t = 0 ... T - 1

    With `lengths`, step t of a sequence of length n <= t is padding: the state waits
    there, the output is zero, and what stands in xs is not seen, NaN included, neither
    in outputs, nor in states, nor in gradients. A sequence of length 0 returns the
    initial state.

    Args:
        cell: Any `Cell`.
        params: Its parameters.
        xs: The inputs, [time, *batch, inputs], or any tree of arrays [time, ...] if the
            cell takes a tree.
        state: What s_{-1} is, by default `cell.initial_state(params, xs[0])`.
        lengths: Integers from 0 to time, of shape [*batch], or of its leading axes.
        reverse: Read from the last step to the first. Outputs stay where their inputs
            are, so ys[0] comes last; padding is at the end all the same.

    Returns:
        The state after the last step read, and the outputs, [time, *batch, features].

    Raises:
        ValueError: The shapes of xs, state and lengths do not fit each other, or a
            length is out of range (which only concrete lengths can tell).

    Example:
        >>> import nets
        >>> cell = nets.gru()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> xs = jnp.ones((10, 2, 3))
        >>> state, ys = unroll(cell, params, xs, lengths=jnp.array([10, 4]))
        >>> ys[3:6, 1, 0] == 0
        Array([False,  True,  True], dtype=bool)
        >>> bool((state.hidden[1] == ys[3, 1]).all())
        True
    """
    time = _time(xs)
    first = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), xs)
    if state is None:
        # Zeros stand for x_0, whose values no initial state may depend on: it may be
        # padding, and there may be no x_0 at all.
        blank = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), first)
        state = cell.initial_state(params, blank)
    else:
        state = _like(state, jax.eval_shape(cell.initial_state, params, first))
    step = partial(cell.step, params)
    if lengths is None:
        return jax.lax.scan(step, state, xs, reverse=reverse)
    real = _within(lengths, time, xs)
    return jax.lax.scan(_waiting(step), state, (real, xs), reverse=reverse)


def _waiting(step: Callable) -> Callable:
    """A step that keeps its state, and puts out zeros, where its input is padding."""

    def keep(real, new, old):
        return jax.tree.map(lambda n, o: jnp.where(_expand(real, n), n, o), new, old)

    def waiting_step(state, real_x):
        real, x = real_x
        # A NaN in the padding would reach the gradient of the parameters as 0 * NaN:
        # it must not come to the cell at all.
        x = keep(real, x, jax.tree.map(jnp.zeros_like, x))
        new, y = step(state, x)
        return keep(real, new, state), keep(real, y, jax.tree.map(jnp.zeros_like, y))

    return waiting_step


def _expand(real: Array, like: Array) -> Array:
    """`real` [*batch] with as many trailing axes of size 1 as `like` has more."""
    return real.reshape(real.shape + (1,) * (like.ndim - real.ndim))


def _time(xs: PyTree) -> int:
    """The number of steps in xs."""
    shapes = [jnp.shape(x) for x in jax.tree.leaves(xs)]
    times = {shape[0] for shape in shapes if shape}
    if len(times) != 1 or () in shapes:
        raise ValueError(
            "expected inputs of shape [time, *batch, inputs], of one time if there are "
            f"several; got shapes {[list(shape) for shape in shapes]}"
        )
    return times.pop()


def _within(lengths: ArrayLike, time: int, xs: PyTree) -> Array:
    """Which steps are real: booleans of shape [time, *lengths.shape]."""
    lengths = jnp.asarray(lengths)
    if not jnp.issubdtype(lengths.dtype, jnp.integer):
        raise ValueError(f"expected integer lengths; got {lengths.dtype}")
    for x in jax.tree.leaves(xs):
        # Integers may be tokens, which have no axis of features.
        axes = x.ndim - (2 if jnp.issubdtype(x.dtype, jnp.inexact) else 1)
        if lengths.ndim > axes or x.shape[1 : 1 + lengths.ndim] != lengths.shape:
            raise ValueError(
                "expected lengths of the shape of the inputs' batch axes: inputs "
                f"[time, *batch, inputs] have shape {list(x.shape)}, lengths have "
                f"{list(lengths.shape)}"
            )
    if not isinstance(lengths, jax.core.Tracer) and lengths.size:
        known = np.asarray(lengths)
        if known.min() < 0 or known.max() > time:
            raise ValueError(
                f"expected lengths from 0 to {time}, the number of steps; got lengths "
                f"from {known.min()} to {known.max()}"
            )
    steps = jnp.arange(time).reshape(time, *(1,) * lengths.ndim)
    return steps < lengths[None]


def _like(state: State, expected: State) -> State:
    """The given state as arrays, if it is what the cell's own would be."""
    if jax.tree.structure(state) != jax.tree.structure(expected):
        raise ValueError(
            f"expected an initial state of structure {jax.tree.structure(expected)}; "
            f"got {jax.tree.structure(state)}"
        )

    def check(path, given, wanted):
        given = jnp.asarray(given)
        if (given.shape, given.dtype) != (wanted.shape, wanted.dtype):
            raise ValueError(
                f"expected the initial state{jax.tree_util.keystr(path)} to be "
                f"{wanted.dtype}{list(wanted.shape)}, as parameters and inputs ask; "
                f"got {given.dtype}{list(given.shape)}"
            )
        return given

    return jax.tree_util.tree_map_with_path(check, state, expected)


class BidirectionalParams(NamedTuple):
    """The parameters of both directions."""

    forward: Params
    backward: Params


class BidirectionalState(NamedTuple):
    """The states of both directions; backward's last is the one after reading x_0."""

    forward: State
    backward: State


def concatenate(
    forward: Float[Array, "*batch forward_features"],
    backward: Float[Array, "*batch backward_features"],
) -> Float[Array, "*batch features"]:
    """[forward, backward] along the features, the usual merge.

    Args:
        forward: Outputs of the forward direction, [time, *batch, features].
        backward: Outputs of the backward one, put back in order.

    Returns:
        Both, the forward ones first.

    Example:
        >>> concatenate(jnp.ones((5, 2)), jnp.zeros((5, 3))).shape
        (5, 5)
    """
    return jnp.concatenate([forward, backward], axis=-1)


def apart(forward: Any, backward: Any) -> tuple[Any, Any]:
    """(forward, backward), both directions as they are.

    Args:
        forward: Outputs of the forward direction, [time, *batch, features].
        backward: Outputs of the backward one, put back in order.

    Returns:
        The pair.

    Example:
        >>> apart(1, 2)
        (1, 2)
    """
    return forward, backward


@factory
def bidirectional(
    forward: Cell,
    backward: Cell | None = None,
    *,
    merge: Callable[[Any, Any], Any] = concatenate,
) -> Layer:
    """One cell reads from left to right, another from right to left.

        y_t = merge(forward y_t, backward y_t)

    The backward outputs are put back in order, so that both have read x_t when they
    meet at t. With `lengths`, the backward cell begins at each sequence's own end.

    Args:
        forward: The cell that reads x_0 first.
        backward: The cell that reads x_0 last; by default the same cell, with
            parameters of its own.
        merge: Joins the two outputs: `concatenate`, `apart`, or one of your own.

    Returns:
        A `Layer`. `init(key, inputs, features)` gives `BidirectionalParams`, each
        direction having `features` units; `apply(params, xs, state=None, *,
        lengths=None)` gives a `BidirectionalState` and the merged outputs.

    Example:
        >>> import nets
        >>> layer = nets.bidirectional(nets.lstm())
        >>> params = layer.init(jax.random.key(0), 3, 8)
        >>> state, ys = layer.apply(params, jnp.ones((10, 5, 3)))
        >>> ys.shape
        (10, 5, 16)

    References:
        Schuster and Paliwal 1997, Bidirectional recurrent neural networks, IEEE
        Transactions on Signal Processing 45(11).
    """
    cells = BidirectionalParams(forward, forward if backward is None else backward)

    def init(key, inputs, features):
        keys = BidirectionalParams(*jax.random.split(key))
        return BidirectionalParams(
            cells.forward.init(keys.forward, inputs, features),
            cells.backward.init(keys.backward, inputs, features),
        )

    def apply(params, xs, state=None, *, lengths=None):
        first, last = (None, None) if state is None else state
        s_f, y_f = unroll(cells.forward, params.forward, xs, first, lengths=lengths)
        s_b, y_b = unroll(
            cells.backward, params.backward, xs, last, lengths=lengths, reverse=True
        )
        return BidirectionalState(s_f, s_b), merge(y_f, y_b)

    return Layer(init, apply)


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


def batch_first(ys: PyTree[Shaped[Array, "..."]]) -> PyTree[Shaped[Array, "..."]]:
    """[time, *batch, features] to [*batch, time, features], what Flax's users expect.

    Args:
        ys: An array, or a tree of them.

    Returns:
        The same, time in the last place but one.

    Example:
        >>> batch_first(jnp.ones((10, 5, 3))).shape
        (5, 10, 3)
    """
    return jax.tree.map(lambda y: jnp.moveaxis(y, 0, -2), ys)
