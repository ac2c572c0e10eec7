"""The recurrent layers as Flax NNX modules: batch first, parameters held inside."""

from collections.abc import Callable
from typing import Any

from flax import nnx
from jaxtyping import Array, ArrayLike, Shaped

from nets.recurrent import as_layer, bidirectional, concatenate, stack
from nets.recurrent.layout import apply_batch_first
from nets.types import Cell, Layer, State


class Recurrent(nnx.Module):
    """A cell over a batch of sequences: `nets.unroll` as an NNX module.

    Args:
        cell: Any `Cell`.
        inputs: Features of the input.
        features: Hidden units.
        reverse: Read from the last step to the first; outputs stay in place.
        rngs: Its stream `params` draws the parameters.

    Call with `xs` [*batch, time, inputs], a first `state` and `lengths` [*batch], both
    optional, and what else `nets.unroll` takes, a `mask` being [*batch, time] and a
    `key`, such as `rngs.dropout()`, being for cells that are random in training.
    Returns the final state and the outputs, [*batch, time, features].

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
        self.layer = as_layer(cell, reverse)
        self.params = nnx.Param(self.layer.init(rngs.params(), inputs, features))

    def __call__(
        self,
        xs: Shaped[Array, "*batch time inputs"],
        state: State | None = None,
        lengths: ArrayLike | None = None,
        **options: Any,
    ) -> tuple[State, Any]:
        params = self.params.get_value()
        return apply_batch_first(
            self.layer, params, xs, state, lengths=lengths, **options
        )


class Bidirectional(nnx.Module):
    """Two cells over a batch of sequences: `nets.bidirectional` as an NNX module.

    Args:
        forward: The cell that reads x_0 first.
        inputs: Features of the input.
        features: Hidden units of each direction.
        backward: The cell that reads x_0 last; by default one like `forward`.
        merge: Joins the outputs of both, as in `nets.bidirectional`.
        rngs: Its stream `params` draws the parameters.

    Call as `Recurrent`; the state is a `BidirectionalState`, the outputs are merged.

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
        **options: Any,
    ) -> tuple[State, Any]:
        params = self.params.get_value()
        return apply_batch_first(
            self.layer, params, xs, state, lengths=lengths, **options
        )


class Stack(nnx.Module):
    """Layers on top of each other: `nets.stack` as an NNX module.

    Args:
        layers: From the bottom to the top, as in `nets.stack`.
        inputs: Features of the input.
        features: Hidden units of each layer and direction.
        dropout_rate: Of what passes from a layer to the next.
        residual: Add a layer's input to its output, where both have the same features.
        rngs: Its stream `params` draws the parameters.

    Call as `Recurrent`; the state is a tuple, one entry a layer.

    Example:
        >>> import jax.numpy as jnp, nets
        >>> from nets.nnx import Stack
        >>> layers = nets.bidirectional(nets.gru()), nets.lstm()
        >>> layer = Stack(layers, inputs=3, features=8, rngs=nnx.Rngs(0))
        >>> states, ys = layer(jnp.ones((5, 10, 3)))
        >>> ys.shape
        (5, 10, 8)
    """

    def __init__(
        self,
        layers: tuple[Cell | Layer, ...],
        inputs: int,
        features: int,
        *,
        dropout_rate: float = 0.0,
        residual: bool = False,
        rngs: nnx.Rngs,
    ):
        self.layer = stack(*layers, dropout_rate=dropout_rate, residual=residual)
        self.params = nnx.Param(self.layer.init(rngs.params(), inputs, features))

    def __call__(
        self,
        xs: Shaped[Array, "*batch time inputs"],
        state: State | None = None,
        lengths: ArrayLike | None = None,
        **options: Any,
    ) -> tuple[State, Any]:
        params = self.params.get_value()
        return apply_batch_first(
            self.layer, params, xs, state, lengths=lengths, **options
        )
