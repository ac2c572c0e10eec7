"""The layers as Flax NNX modules: batch first, parameters held inside."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, ArrayLike, Shaped

from nets.blocks import outputs, sequential
from nets.recurrent import RecurrentLayer, as_layer, bidirectional, stack
from nets.recurrent.directions import Merge
from nets.recurrent.layout import apply_batch_first
from nets.recurrent.restored_params import restored
from nets.types import Cell, ImageLayer, Params, State

__all__ = ["Bidirectional", "Block", "Recurrent", "Sequential", "Stack"]


class Held:
    """The parameters of an NNX module as one tree, though each array is its own Param.

    Args:
        module: Its `weights` are a tree of `nnx.Param`.
    """

    def __init__(self, module: Any):
        self._module = module

    def get_value(self) -> Params:
        """The parameters, as the pure functions take them.

        Returns:
            A tree of arrays.
        """
        return jax.tree.map(
            lambda held: held.get_value(), self._module.weights, is_leaf=_is_held
        )

    def set_value(self, params: Params) -> None:
        """Replace the parameters.

        Args:
            params: A tree of arrays, like the one that `get_value` returns.
        """
        jax.tree.map(
            lambda held, array: held.set_value(array),
            self._module.weights,
            restored(params, self.get_value()),
            is_leaf=_is_held,
        )


def _is_held(leaf: Any) -> bool:
    return isinstance(leaf, nnx.Variable)


class Parametrized(nnx.Module):
    """An NNX module that holds a layer's parameters, an `nnx.Param` for each array.

    Args:
        params: A tree of arrays.

    Attributes:
        weights: The same tree of `nnx.Param`. (It is not called `params`, as Linen's
            collection is, so that `nnx.bridge.to_linen` may take the module.)
    """

    def __init__(self, params: Params):
        self.weights = nnx.data(jax.tree.map(nnx.Param, params))

    @property
    def params(self) -> Held:
        """All parameters: `params.get_value()` is what the pure functions take."""
        return Held(self)


class _BatchFirst(Parametrized):
    """A recurrent layer over a batch of sequences."""

    layer: RecurrentLayer

    def __call__(
        self,
        xs: Shaped[Array | np.ndarray, "*batch time inputs"],
        state: State | None = None,
        lengths: ArrayLike | None = None,
        **options: Any,
    ) -> tuple[State, Any]:
        params = self.params.get_value()
        return apply_batch_first(
            self.layer, params, xs, state, lengths=lengths, **options
        )


class Recurrent(_BatchFirst):
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
    Returns the final state and the outputs, [*batch, time, features]. Images have their
    spatial axes between time and inputs.

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
        super().__init__(self.layer.init(rngs.params(), inputs, features))


class Bidirectional(_BatchFirst):
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
        merge: Merge = "concat",
        rngs: nnx.Rngs,
    ):
        self.layer = bidirectional(forward, backward, merge=merge)
        super().__init__(self.layer.init(rngs.params(), inputs, features))


class Stack(_BatchFirst):
    """Layers on top of each other: `nets.stack` as an NNX module.

    Args:
        layers: From the bottom to the top, as in `nets.stack`.
        inputs: Features of the input.
        features: Hidden units of each layer and direction.
        dropout_rate: Dropout rate between the layers.
        residual: Add a layer's input to its output, where both have the same features.
        rngs: Its stream `params` draws the parameters.

    Call as `Recurrent`; the state is a tuple, one entry per layer.

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
        layers: tuple[Cell | RecurrentLayer, ...],
        inputs: int,
        features: int,
        *,
        dropout_rate: float = 0.0,
        residual: bool = False,
        rngs: nnx.Rngs,
    ):
        self.layer = stack(*layers, dropout_rate=dropout_rate, residual=residual)
        super().__init__(self.layer.init(rngs.params(), inputs, features))


class Block(Parametrized):
    """A layer of images, of `nets.blocks`, as an NNX module.

    Args:
        layer: Such as `nets.blocks.conv(16, (3, 3))`.
        shape: Shape of one example, [*space, channels].
        rngs: Its stream `params` draws the parameters.

    Call with `xs` [*batch, *space, channels]. Returns the output of the layer.

    Example:
        >>> import jax.numpy as jnp
        >>> from nets import blocks
        >>> from nets.nnx import Block
        >>> block = Block(blocks.conv(16, (3, 3)), (8, 8, 1), rngs=nnx.Rngs(0))
        >>> block(jnp.ones((5, 8, 8, 1))).shape
        (5, 6, 6, 16)
    """

    def __init__(self, layer: ImageLayer, shape: Sequence[int], *, rngs: nnx.Rngs):
        self.layer = layer
        super().__init__(layer.init(rngs.params(), shape))

    def __call__(self, xs: Shaped[Array, "..."]) -> Any:
        return self.layer.apply(self.params.get_value(), xs)


class Sequential(Parametrized):
    """Layers of images, one after the other: `nets.blocks.sequential` as an NNX module.

    Args:
        layers: Image layers, from the input to the output.
        shape: Shape of one example, [*space, channels].
        rngs: Its stream `params` draws the parameters.

    Call with `xs` [*batch, *space, channels]. Returns the last layer's output; the
    method `outputs` returns those of all layers.

    Example:
        >>> import jax.numpy as jnp
        >>> from nets import blocks
        >>> from nets.nnx import Sequential
        >>> layers = blocks.conv(16, (3, 3)), blocks.max_pool((2, 2))
        >>> cnn = Sequential(layers, (8, 8, 1), rngs=nnx.Rngs(0))
        >>> [maps.shape for maps in cnn.outputs(jnp.ones((5, 8, 8, 1)))]
        [(5, 6, 6, 16), (5, 3, 3, 16)]
    """

    def __init__(
        self, layers: Sequence[ImageLayer], shape: Sequence[int], *, rngs: nnx.Rngs
    ):
        self.layers = tuple(layers)
        super().__init__(sequential(*layers).init(rngs.params(), shape))

    def __call__(self, xs: Shaped[Array, "..."]) -> Any:
        return self.outputs(xs)[-1]

    def outputs(self, xs: Shaped[Array, "..."]) -> list[Any]:
        """Outputs of all layers, from the first to the last: the feature maps.

        Args:
            xs: Input, [*batch, *space, channels].

        Returns:
            One output per layer.
        """
        return outputs(self.layers, self.params.get_value(), xs)
