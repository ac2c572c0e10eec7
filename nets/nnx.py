"""The recurrent layers as Flax NNX modules: batch first, parameters held inside."""

from collections.abc import Callable
from typing import Any

from flax import nnx
from jaxtyping import Array, ArrayLike, Shaped

from nets.recurrent import (
    batch_first,
    bidirectional,
    concatenate,
    time_first,
    unroll,
)
from nets.types import Cell, State


class Recurrent(nnx.Module):
    """A cell over a batch of sequences: `nets.unroll` as an NNX module.

    Args:
        cell: Any `Cell`.
        inputs: Features of the input.
        features: Hidden units.
        reverse: Read from the last step to the first; outputs stay in place.
        rngs: Its stream `params` draws the parameters.

    Call with `xs` [*batch, time, inputs], a first `state` and `lengths` [*batch], both
    optional. Returns the final state and the outputs, [*batch, time, features].

    Example:
        >>> import jax.numpy as jnp, nets
        >>> from nets.nnx import Recurrent
        >>> layer = Recurrent(nets.lstm(), inputs=3, features=8, rngs=nnx.Rngs(0))
        >>> state, ys = layer(jnp.ones((5, 10, 3)))
        >>> ys.shape, layer.params.get_value().w_h.shape
        ((5, 10, 8), (8, 32))
    """

    def __init__(
        self,
        cell: Cell,
        inputs: int,
        features: int,
        *,
        reverse: bool = False,
        rngs: nnx.Rngs,
    ):
        self.cell = cell
        self.reverse = reverse
        self.params = nnx.Param(cell.init(rngs.params(), inputs, features))

    def __call__(
        self,
        xs: Shaped[Array, "*batch time inputs"],
        state: State | None = None,
        lengths: ArrayLike | None = None,
    ) -> tuple[State, Any]:
        state, ys = unroll(
            self.cell,
            self.params.get_value(),
            time_first(xs),
            state,
            lengths=lengths,
            reverse=self.reverse,
        )
        return state, batch_first(ys)


class Bidirectional(nnx.Module):
    """Two cells over a batch of sequences: `nets.bidirectional` as an NNX module.

    Args:
        forward: The cell that reads x_0 first.
        inputs: Features of the input.
        features: Hidden units of each direction.
        backward: The cell that reads x_0 last; by default one like `forward`.
        merge: Joins the outputs of both, as in `nets.bidirectional`.
        rngs: Its stream `params` draws the parameters.

    Call with `xs` [*batch, time, inputs], a first `BidirectionalState` and `lengths`
    [*batch], both optional. Returns the final `BidirectionalState` and the merged
    outputs.

    Example:
        >>> import jax.numpy as jnp, nets
        >>> from nets.nnx import Bidirectional
        >>> layer = Bidirectional(nets.gru(), inputs=3, features=8, rngs=nnx.Rngs(0))
        >>> state, ys = layer(jnp.ones((5, 10, 3)))
        >>> ys.shape
        (5, 10, 16)
    """

    def __init__(
        self,
        forward: Cell,
        inputs: int,
        features: int,
        *,
        backward: Cell | None = None,
        merge: Callable[[Any, Any], Any] = concatenate,
        rngs: nnx.Rngs,
    ):
        self.layer = bidirectional(forward, backward, merge=merge)
        self.params = nnx.Param(self.layer.init(rngs.params(), inputs, features))

    def __call__(
        self,
        xs: Shaped[Array, "*batch time inputs"],
        state: State | None = None,
        lengths: ArrayLike | None = None,
    ) -> tuple[State, Any]:
        state, ys = self.layer.apply(
            self.params.get_value(), time_first(xs), state, lengths=lengths
        )
        return state, batch_first(ys)
