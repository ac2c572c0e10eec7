"""The layers as Flax Linen modules: batch first, sizes from the input."""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from jaxtyping import Array, ArrayLike, Shaped

from nets.blocks import example_shape, no_params
from nets.recurrent import RecurrentLayer, as_layer, bidirectional, stack
from nets.recurrent.directions import Merge
from nets.recurrent.layout import apply_batch_first
from nets.recurrent.restored_params import restored
from nets.types import Cell, ImageLayer, Params, State

__all__ = ["Bidirectional", "Block", "Recurrent", "Sequential", "Stack"]


class Recurrent(nn.Module):
    """A cell over a batch of sequences: `nets.unroll` as a Linen module.

    Attributes:
        cell: Any `Cell`.
        features: Hidden units.
        reverse: Read from the last step to the first; outputs stay in place.

    Call with `xs` [*batch, time, inputs], a first `state` and `lengths` [*batch], both
    optional, and what else `nets.unroll` takes, a `mask` being [*batch, time]. Returns
    the final state and the outputs, [*batch, time, features]. Images have their spatial
    axes between time and inputs. The parameters are the cell's own, under the name
    "cell". Cells that are random in training draw from the stream of keys named
    "dropout", if one is given.

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
        xs: Shaped[Array | np.ndarray, "*batch time inputs"],
        state: State | None = None,
        lengths: ArrayLike | None = None,
        **options: Any,
    ) -> tuple[State, Any]:
        layer = as_layer(self.cell, self.reverse)
        return _run(self, "cell", layer, xs, state, lengths=lengths, **options)


class Bidirectional(nn.Module):
    """Two cells over a batch of sequences: `nets.bidirectional` as a Linen module.

    Attributes:
        forward: The cell that reads x_0 first.
        features: Hidden units of each direction.
        backward: The cell that reads x_0 last; by default one like `forward`.
        merge: Joins the outputs of both, as in `nets.bidirectional`.

    Call as `Recurrent`; the state is a `BidirectionalState`, the outputs are merged.
    The parameters are `BidirectionalParams`, under the name "cells".

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
    merge: Merge = "concat"

    @nn.compact
    def __call__(
        self,
        xs: Shaped[Array | np.ndarray, "*batch time inputs"],
        state: State | None = None,
        lengths: ArrayLike | None = None,
        **options: Any,
    ) -> tuple[State, Any]:
        layer = bidirectional(self.forward, self.backward, merge=self.merge)
        return _run(self, "cells", layer, xs, state, lengths=lengths, **options)


class Stack(nn.Module):
    """Layers on top of each other: `nets.stack` as a Linen module.

    Attributes:
        layers: From the bottom to the top, as in `nets.stack`.
        features: Hidden units of each layer and direction.
        dropout_rate: Dropout rate between the layers.
        residual: Add a layer's input to its output, where both have the same features.

    Call as `Recurrent`; the state is a tuple, one entry per layer. The parameters are
    a tuple too, under the name "layers".

    Example:
        >>> import jax, jax.numpy as jnp, nets
        >>> from nets.linen import Stack
        >>> layer = Stack((nets.bidirectional(nets.gru()), nets.lstm()), 8, 0.5)
        >>> rngs = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
        >>> (states, ys), variables = layer.init_with_output(rngs, jnp.ones((5, 10, 3)))
        >>> ys.shape
        (5, 10, 8)
    """

    layers: tuple[Cell | RecurrentLayer, ...]
    features: int
    dropout_rate: float = 0.0
    residual: bool = False

    @nn.compact
    def __call__(
        self,
        xs: Shaped[Array | np.ndarray, "*batch time inputs"],
        state: State | None = None,
        lengths: ArrayLike | None = None,
        **options: Any,
    ) -> tuple[State, Any]:
        layer = stack(
            *self.layers, dropout_rate=self.dropout_rate, residual=self.residual
        )
        return _run(self, "layers", layer, xs, state, lengths=lengths, **options)


class Block(nn.Module):
    """A layer of images, of `nets.blocks`, as a Linen module.

    Attributes:
        layer: Such as `nets.blocks.conv(16, (3, 3))`.

    Call with `xs` [*batch, *space, channels]. Returns the output of the layer. Its
    parameters are the layer's own, under the name "layer"; it may have none.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from nets import blocks
        >>> from nets.linen import Block
        >>> block = Block(blocks.conv(16, (3, 3), padding="same"))
        >>> xs = jnp.ones((5, 8, 8, 1))
        >>> ys, variables = block.init_with_output(jax.random.key(0), xs)
        >>> ys.shape, variables["params"]["layer"].kernel.shape
        ((5, 8, 8, 16), (3, 3, 1, 16))
    """

    layer: ImageLayer

    @nn.compact
    def __call__(self, xs: Shaped[Array, "..."]) -> Any:
        params = ()
        if self.layer.init is not no_params:
            shape = example_shape(self.layer, xs)
            params = _params(self, "layer", self.layer.init, shape)
        return self.layer.apply(params, xs)


class Sequential(nn.Module):
    """Layers of images in sequence: `nets.blocks.sequential` as a Linen module.

    Attributes:
        layers: Image layers, from the input to the output.

    Call with `xs` [*batch, *space, channels]. Returns the last layer's output; the
    method `outputs` returns those of all layers. Each layer is a `Block`, named by its
    kind and its index, as "conv_0".

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from nets import blocks
        >>> from nets.linen import Sequential
        >>> cnn = Sequential((blocks.conv(16, (3, 3)), blocks.max_pool((2, 2))))
        >>> xs = jnp.ones((5, 8, 8, 1))
        >>> ys, variables = cnn.init_with_output(jax.random.key(0), xs)
        >>> ys.shape, list(variables["params"])
        ((5, 3, 3, 16), ['conv_0'])
        >>> [maps.shape for maps in cnn.apply(variables, xs, method="outputs")]
        [(5, 6, 6, 16), (5, 3, 3, 16)]
    """

    layers: tuple[ImageLayer, ...]

    def __call__(self, xs: Shaped[Array, "..."]) -> Any:
        return self.outputs(xs)[-1]

    @nn.compact
    def outputs(self, xs: Shaped[Array, "..."]) -> list[Any]:
        """Outputs of all layers, from the first to the last: the feature maps.

        Args:
            xs: Input, [*batch, *space, channels].

        Returns:
            One output per layer.
        """
        maps, ys = [], xs
        for i, layer in enumerate(self.layers):
            ys = Block(layer, name=f"{layer.name.split()[0]}_{i}")(ys)
            maps.append(ys)
        return maps


def _run(
    module: Any, name: str, layer: RecurrentLayer, xs: Any, state: State, **options: Any
):
    """Apply a layer with the parameters of a module."""
    params = _params(module, name, layer.init, xs.shape[-1], module.features)
    if options.get("key") is None and module.has_rng("dropout"):
        options["key"] = module.make_rng("dropout")
    return apply_batch_first(layer, params, xs, state, **options)


def _params(module: Any, name: str, init: Callable[..., Params], *args: Any) -> Params:
    """A parameter that is a record, or a dict in its place in a checkpoint."""
    given = module.get_variable("params", name)
    if isinstance(given, (Mapping, list)):
        like = jax.eval_shape(lambda: init(jax.random.key(0), *args))
        return restored(given, like, f'the parameter "{name}"')
    return module.param(name, init, *args)
