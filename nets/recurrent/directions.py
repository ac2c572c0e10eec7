"""One- and two-directional layers, and the ways to merge two directions."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets.recurrent.restoring import restored
from nets.recurrent.unrolling import unroll
from nets.types import Cell, Layer, Params, State, factory


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


def add(
    forward: Float[Array, "*batch features"], backward: Float[Array, "*batch features"]
) -> Float[Array, "*batch features"]:
    """The sum of both directions, unit by unit.

    Args:
        forward: Outputs of the forward direction, [time, *batch, features].
        backward: Outputs of the backward one, put back in order.

    Returns:
        forward + backward.

    Example:
        >>> add(jnp.ones(2), jnp.ones(2)).tolist()
        [2.0, 2.0]
    """
    return forward + backward


def average(
    forward: Float[Array, "*batch features"], backward: Float[Array, "*batch features"]
) -> Float[Array, "*batch features"]:
    """The mean of both directions, unit by unit.

    Args:
        forward: Outputs of the forward direction, [time, *batch, features].
        backward: Outputs of the backward one, put back in order.

    Returns:
        (forward + backward) / 2.

    Example:
        >>> average(jnp.ones(2), jnp.zeros(2)).tolist()
        [0.5, 0.5]
    """
    return (forward + backward) / 2


def multiply(
    forward: Float[Array, "*batch features"], backward: Float[Array, "*batch features"]
) -> Float[Array, "*batch features"]:
    """The product of both directions, unit by unit.

    Args:
        forward: Outputs of the forward direction, [time, *batch, features].
        backward: Outputs of the backward one, put back in order.

    Returns:
        forward * backward.

    Example:
        >>> multiply(jnp.full(2, 3.0), jnp.full(2, 2.0)).tolist()
        [6.0, 6.0]
    """
    return forward * backward


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


def refuse_reverse(options: dict[str, Any]) -> None:
    """Refuse to reverse a layer as a whole, whose cells have directions of their own.

    Args:
        options: Those that a layer is applied with.

    Raises:
        ValueError: `reverse` is among them.

    Example:
        >>> refuse_reverse({"lengths": None})
    """
    if "reverse" in options:
        raise ValueError(
            "expected no `reverse` for a layer of several cells; make those read from "
            "the end that shall: as_layer(cell, reverse=True)"
        )


@factory
def as_layer(cell: Cell, reverse: bool = False) -> Layer:
    """A cell as a one-directional layer.

    Args:
        cell: Any `Cell`.
        reverse: Read from the last step to the first.

    Returns:
        A `Layer`: `init` is the cell's, and `apply(params, xs, state=None, **options)`
        is `nets.unroll`, or what is given as `run`.

    Example:
        >>> import nets
        >>> layer = nets.as_layer(nets.lstm(), reverse=True)
        >>> params = layer.init(jax.random.key(0), 3, 8)
        >>> state, ys = layer.apply(params, jnp.ones((10, 5, 3)))
        >>> ys.shape
        (10, 5, 8)
    """

    def apply(params, xs, state=None, *, run=unroll, **options):
        return run(cell, params, xs, state, **{"reverse": reverse, **options})

    return Layer(cell.init, apply, cell.spatial_dims)


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
        merge: Joins the two outputs: `concatenate`, `add`, `average`, `multiply`,
            `apart`, or one of your own.

    Returns:
        A `Layer`. `init(key, inputs, features)` gives `BidirectionalParams`, each
        direction having `features` units; `apply(params, xs, state=None, **options)`,
        with the options of `nets.unroll` but `reverse`, gives a `BidirectionalState`
        and the merged outputs. An option `run` takes the place of `nets.unroll`.

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

    def apply(
        params, xs, state=None, *, key=None, perturbations=None, run=unroll, **options
    ):
        refuse_reverse(options)
        params = restored(params, BidirectionalParams("forward", "backward"))
        firsts = (None, None) if state is None else state
        keys = (None, None) if key is None else jax.random.split(key)
        moves = (None, None) if perturbations is None else perturbations
        (s_f, y_f), (s_b, y_b) = (
            run(
                cells[i],
                params[i],
                xs,
                firsts[i],
                key=keys[i],
                perturbations=moves[i],
                reverse=i == 1,
                **options,
            )
            for i in (0, 1)
        )
        return BidirectionalState(s_f, s_b), merge(y_f, y_b)

    return Layer(init, apply, max(cell.spatial_dims for cell in cells))
