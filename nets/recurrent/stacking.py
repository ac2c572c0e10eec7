"""Layers on top of each other."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from nets.recurrent.directions import as_layer, refuse_reverse
from nets.recurrent.layout import any_image
from nets.recurrent.padding import on_device, padding_mask, select_valid
from nets.recurrent.regularisers import check_rate, dropped
from nets.recurrent.restoring import restored
from nets.types import Cell, Layer, factory


@factory
def stack(
    *layers: Cell | Layer, dropout_rate: float = 0.0, residual: bool = False
) -> Layer:
    """Several recurrent layers, each reading the outputs of the one below.

        y^l = layer_l(y^{l-1}),    y^0 = x
        y^l = layer_l(y^{l-1}) + y^{l-1}    if residual

    Args:
        *layers: From the bottom to the top, each a `Cell` or a layer that puts out one
            array, such as `bidirectional(...)` or another `stack`. To a cell of vectors
            the places of an image, as a `conv_lstm` below puts out, are examples.
        dropout_rate: Of what passes from a layer to the next, each number and step for
            itself, from 0 to below 1. Nothing is dropped without a key.
        residual: Add a layer's input to its output, where both have the same features
            (the first layer's may differ).

    Returns:
        A `Layer`. `init(key, inputs, features)` gives a tuple of parameters, one entry
        a layer, each of `features` units a direction; `apply(params, xs, state=None,
        **options)`, with the options of `nets.unroll` but `reverse`, gives a tuple of
        states, and the outputs of the top layer. An option `run` takes the place of
        `nets.unroll` in every cell.

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
    parts = [as_layer(part) if isinstance(part, Cell) else part for part in layers]
    space = max(part.spatial_dims for part in parts)

    def init(key, inputs, features):
        params, ys = [], None
        for part, own in zip(parts, jax.random.split(key, len(parts)), strict=True):
            if params:
                inputs = _width(layers[len(params) - 1], ys)
            params.append(part.init(own, inputs, features))
            x = jax.ShapeDtypeStruct((1, *any_image(inputs, space)), jnp.float32)
            _, ys = jax.eval_shape(part.apply, params[-1], x)
        return tuple(params)

    def apply(params, xs, state=None, *, key=None, perturbations=None, **options):
        refuse_reverse(options)
        if isinstance(params, Mapping):
            params = restored(params, ("",) * len(parts))
        xs = on_device(xs)
        firsts = [None] * len(parts) if state is None else state
        moves = [None] * len(parts) if perturbations is None else perturbations
        _check_count(params, "parameters", parts)
        _check_count(firsts, "states", parts)
        _check_count(moves, "perturbations", parts)
        # What a residual connection adds in the padding has to be zero too.
        real = padding_mask(xs, options.get("lengths"), options.get("mask"), space)
        below, states = select_valid(real, xs, 0.0), []
        for i, part in enumerate(parts):
            own, seen = None, below
            if key is not None:
                key, own, between = jax.random.split(key, 3)
                seen = dropped(between, below, dropout_rate) if i else below
            end, ys = part.apply(
                params[i], seen, firsts[i], key=own, perturbations=moves[i], **options
            )
            one = isinstance(ys, jax.Array)  # and not both directions, apart
            if residual and one and below.shape == ys.shape:
                ys = below + ys
            below = ys
            states.append(end)
        return tuple(states), below

    return Layer(init, apply, space)


def _width(layer, ys):
    """The features of what a layer puts out, which the next one reads."""
    if not isinstance(ys, jax.ShapeDtypeStruct):
        raise ValueError(
            "expected a layer that puts out one array for the next to read; got "
            f"{type(ys).__name__} from {layer}: merge its directions"
        )
    return ys.shape[-1]


def _check_count(given, what, parts):
    if len(given) != len(parts):
        raise ValueError(
            f"expected {what} of {len(parts)} layers, one entry each; got {len(given)}"
        )
