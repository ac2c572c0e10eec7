"""The recurrent layers as Flax Linen modules: batch first, sizes from the input."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
from jaxtyping import Array, ArrayLike, Shaped

from nets.recurrent import (
    batch_first,
    bidirectional,
    concatenate,
    time_first,
    unroll,
)
from nets.types import Cell, State


class Recurrent(nn.Module):
    """A cell over a batch of sequences: `nets.unroll` as a Linen module.

    Attributes:
        cell: Any `Cell`.
        features: Hidden units.
        reverse: Read from the last step to the first; outputs stay in place.

    Call with `xs` [*batch, time, inputs], a first `state` and `lengths` [*batch], both
    optional. Returns the final state and the outputs, [*batch, time, features]. The
    parameters are the cell's own, under the name "cell".

    Example:
        >>> import jax, jax.numpy as jnp, nets
        >>> from nets.linen import Recurrent
        >>> layer = Recurrent(nets.lstm(), features=8)
        >>> (state, ys), variables = layer.init_with_output(
        ...     jax.random.key(0), jnp.ones((5, 10, 3))
        ... )
        >>> ys.shape, variables["params"]["cell"].w_h.shape
        ((5, 10, 8), (8, 32))
    """

    cell: Cell
    features: int
    reverse: bool = False

    @nn.compact
    def __call__(
        self,
        xs: Shaped[Array, "*batch time inputs"],
        state: State | None = None,
        lengths: ArrayLike | None = None,
    ) -> tuple[State, Any]:
        params = self.param("cell", self.cell.init, xs.shape[-1], self.features)
        state, ys = unroll(
            self.cell,
            params,
            time_first(xs),
            state,
            lengths=lengths,
            reverse=self.reverse,
        )
        return state, batch_first(ys)


class Bidirectional(nn.Module):
    """Two cells over a batch of sequences: `nets.bidirectional` as a Linen module.

    Attributes:
        forward: The cell that reads x_0 first.
        features: Hidden units of each direction.
        backward: The cell that reads x_0 last; by default one like `forward`.
        merge: Joins the outputs of both, as in `nets.bidirectional`.

    Call with `xs` [*batch, time, inputs], a first `BidirectionalState` and `lengths`
    [*batch], both optional. Returns the final `BidirectionalState` and the merged
    outputs. The parameters are `BidirectionalParams`, under the name "cells".

    Example:
        >>> import jax, jax.numpy as jnp, nets
        >>> from nets.linen import Bidirectional
        >>> layer = Bidirectional(nets.gru(), features=8)
        >>> (state, ys), variables = layer.init_with_output(
        ...     jax.random.key(0), jnp.ones((5, 10, 3))
        ... )
        >>> ys.shape
        (5, 10, 16)
    """

    forward: Cell
    features: int
    backward: Cell | None = None
    merge: Callable[[Any, Any], Any] = concatenate

    @nn.compact
    def __call__(
        self,
        xs: Shaped[Array, "*batch time inputs"],
        state: State | None = None,
        lengths: ArrayLike | None = None,
    ) -> tuple[State, Any]:
        layer = bidirectional(self.forward, self.backward, merge=self.merge)
        params = self.param("cells", layer.init, xs.shape[-1], self.features)
        state, ys = layer.apply(params, time_first(xs), state, lengths=lengths)
        return state, batch_first(ys)
