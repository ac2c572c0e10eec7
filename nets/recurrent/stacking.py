"""Layers on top of each other."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from nets.recurrent.batch import any_image
from nets.recurrent.directions import Bidirectional, Unidirectional, refuse_reverse
from nets.recurrent.dropout import check_rate, dropped
from nets.recurrent.padding import on_device, padding_mask, select_valid
from nets.recurrent.restored_params import restored
from nets.types import Cell, KeyArray, Params, State


class Stack(NamedTuple):
    """Recurrent layers, each of which reads the outputs of the layer below.

    Attributes:
        layers: Layers from the bottom to the top.
        dropout_rate: Dropout rate between the layers, used with a key.
        residual: Add the input of a layer to its output, where the shapes agree.
    """

    layers: "tuple[RecurrentLayer, ...]"
    dropout_rate: float = 0.0
    residual: bool = False

    @property
    def spatial_dims(self) -> int:
        """Number of spatial axes of the inputs."""
        return max(layer.spatial_dims for layer in self.layers)

    @property
    def cells(self) -> tuple[Any, ...]:
        """One-directional layers of all cells, in the structure of the states."""
        return tuple(layer.cells for layer in self.layers)

    def init(self, key: KeyArray, inputs: int, features: int) -> tuple[Params, ...]:
        """Draw the parameters: `features` units in each layer and direction."""
        params, ys = [], None
        keys = jax.random.split(key, len(self.layers))
        for layer, key_of_layer in zip(self.layers, keys, strict=True):
            if params:
                inputs = _width(self.layers[len(params) - 1], ys)
            params.append(layer.init(key_of_layer, inputs, features))
            image = any_image(inputs, self.spatial_dims)
            x = jax.ShapeDtypeStruct((1, *image), jnp.float32)
            _, ys = jax.eval_shape(layer.apply, params[-1], x)
        return tuple(params)

    def apply(
        self,
        params: Params,
        xs: Any,
        state: State | None = None,
        *,
        key: KeyArray | None = None,
        perturbations: State | None = None,
        **options: Any,
    ) -> tuple[tuple[State, ...], Any]:
        """Run all layers, with the options of `nets.unroll`."""
        refuse_reverse(options)
        params = self.split(params, "parameters")
        firsts = self.split(state, "states")
        perturbations_by_layer = self.split(perturbations, "perturbations")
        below, states = self.bottom(xs, options), []
        for i, layer in enumerate(self.layers):
            key_of_layer, inputs = None, below
            if key is not None:
                key, key_of_layer, between = jax.random.split(key, 3)
                inputs = dropped(between, below, self.dropout_rate) if i else below
            end, ys = layer.apply(
                params[i],
                inputs,
                firsts[i],
                key=key_of_layer,
                perturbations=perturbations_by_layer[i],
                **options,
            )
            below = self.join(below, ys)
            states.append(end)
        return tuple(states), below

    def split(self, tree: Any, what: str) -> Any:
        """Entries of a tree by layer; None for each layer if there is no tree."""
        if tree is None:
            return [None] * len(self.layers)
        if isinstance(tree, Mapping):
            tree = restored(tree, ("",) * len(self.layers))
        if len(tree) != len(self.layers):
            raise ValueError(
                f"expected {what} of {len(self.layers)} layers, one entry each; got "
                f"{len(tree)}"
            )
        return tree

    def bottom(self, xs: Any, options: Mapping[str, Any]) -> Any:
        """Input of the lowest layer: zero in the padding, as residual sums must be."""
        xs, padding = on_device(xs), (options.get("lengths"), options.get("mask"))
        return select_valid(padding_mask(xs, *padding, self.spatial_dims), xs, 0.0)

    def join(self, below: Any, ys: Any) -> Any:
        """Input of the next layer, from the input and the output of a layer."""
        merged = isinstance(ys, jax.Array)  # and no pair of both directions
        if self.residual and merged and below.shape == ys.shape:
            return below + ys
        return ys

    def map_cells(self, function: Callable[[Cell], Cell]) -> "Stack":
        """Replace each cell by `function(cell)`."""
        return self._replace(
            layers=tuple(layer.map_cells(function) for layer in self.layers)
        )


RecurrentLayer = Unidirectional | Bidirectional | Stack


def as_layer(layer: Cell | RecurrentLayer, reverse: bool = False) -> RecurrentLayer:
    """A cell as a one-directional layer.

    Args:
        layer: A `Cell`; or a recurrent layer, which is returned as it is.
        reverse: Read from the last step to the first.

    Returns:
        A `RecurrentLayer`. `init` is that of the cell, and `apply(params, xs,
        state=None, **options)` is `nets.unroll`.

    Raises:
        ValueError: `reverse` is given for a layer of several cells.

    Example:
        >>> import nets
        >>> layer = nets.as_layer(nets.lstm(), reverse=True)
        >>> params = layer.init(jax.random.key(0), 3, 8)
        >>> state, ys = layer.apply(params, jnp.ones((10, 5, 3)))
        >>> ys.shape
        (10, 5, 8)
    """
    if isinstance(layer, Cell):
        return Unidirectional(layer, reverse)
    if reverse:
        refuse_reverse({"reverse": reverse})
    return layer


def stack(
    *layers: Cell | RecurrentLayer, dropout_rate: float = 0.0, residual: bool = False
) -> Stack:
    """Several recurrent layers, each of which reads the outputs of the one below.

        y^l = layer_l(y^{l-1}),    y^0 = x
        y^l = layer_l(y^{l-1}) + y^{l-1}    if residual

    Args:
        *layers: Layers from the bottom to the top, each a `Cell` or a layer whose
            output is one array, such as `bidirectional(...)` or a `stack`. A cell of
            vectors treats the positions of an image, the output of a `conv_lstm` below,
            as examples.
        dropout_rate: Dropout rate between layers, independent for each number and step,
            from 0 to below 1. Nothing is dropped without a key.
        residual: Add the input of a layer to its output, where both have the same
            number of features (the first layer may change it).

    Returns:
        A `RecurrentLayer`. `init(key, inputs, features)` returns a tuple of parameters,
        one entry per layer, with `features` units per direction. `apply(params, xs,
        state=None, **options)` returns a tuple of states and the outputs of the top
        layer; it takes the options of `nets.unroll`, except `reverse`.

    Raises:
        ValueError: There is no layer, or the rate is out of range.

    Example:
        >>> import nets
        >>> deep = nets.stack(nets.bidirectional(nets.lstm()), nets.gru(), nets.gru())
        >>> params = deep.init(jax.random.key(0), 3, 8)
        >>> states, ys = deep.apply(params, jnp.ones((10, 5, 3)))
        >>> ys.shape, params[1].w_i.shape
        ((10, 5, 8), (16, 24))

    References:
        Zaremba, Sutskever and Vinyals 2014, Recurrent neural network regularization,
        https://arxiv.org/abs/1409.2329 (dropout between layers).
        Wu et al. 2016, Google's neural machine translation system,
        https://arxiv.org/abs/1609.08144 (residual connections).
    """
    if not layers:
        raise ValueError("expected at least one layer to stack; got none")
    check_rate("dropout_rate", dropout_rate)
    return Stack(tuple(map(as_layer, layers)), dropout_rate, residual)


def _width(layer, ys):
    """Number of features of a layer's output, which the next layer reads."""
    if not isinstance(ys, jax.ShapeDtypeStruct):
        raise ValueError(
            "expected a layer that returns one array for the next to read; got "
            f"{type(ys).__name__} from {layer}: merge its directions"
        )
    return ys.shape[-1]
