"""Recurrent layers of Keras."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nets.cells.elman import ElmanParams, elman
from nets.cells.gru import GRUParams, gru
from nets.cells.lstm import LSTMParams, lstm
from nets.interop.keras import params_from_keras
from nets.recurrent import (
    BidirectionalParams,
    RecurrentLayer,
    as_layer,
    bidirectional,
    stack,
)
from nets.types import Cell, Params

KINDS = {
    "SimpleRNNCell": ElmanParams,
    "GRUCell": GRUParams,
    "LSTMCell": LSTMParams,
}
BY_GATES = {1: ElmanParams, 3: GRUParams, 4: LSTMParams}
MERGES = {"concat": "concat", "sum": "sum", "ave": "mean", "mul": "mul", None: None}
ACTIVATIONS = {
    "elu": jax.nn.elu,
    "linear": lambda h: h,
    "relu": jax.nn.relu,
    "selu": jax.nn.selu,
    "sigmoid": jax.nn.sigmoid,
    "silu": jax.nn.silu,
    "softplus": jax.nn.softplus,
    "softsign": jax.nn.soft_sign,
    "tanh": jnp.tanh,
}


def from_keras(layer: Any) -> tuple[RecurrentLayer, Params]:
    """A trained recurrent layer of Keras as a layer with its parameters.

        layer, params = from_keras(model.layers[1])
        layer, params = from_keras(layer.get_weights())

    It becomes the layer of this library with the same numbers: one layer, a
    `nets.bidirectional`, or a `nets.stack` of an RNN of several cells. Keras is not
    imported; its dropout, which acts only in training, is left out (see
    `nets.input_dropout`). `return_sequences`, `return_state` and `unroll` do not
    matter: the layer returns its state and all outputs, time first.

    Args:
        layer: A SimpleRNN, GRU, LSTM or Bidirectional that is built, or an RNN of their
            cells. Or its weights, `layer.get_weights()`, from which the kind is
            inferred. The activations are then assumed to be Keras's defaults, and a GRU
            without bias to have `reset_after=True`.

    Returns:
        The recurrent layer and its parameters.

    Raises:
        ValueError: The layer is of no such kind, is not built, is stateful, has an
            activation that the cell of this library does not have, or returns its
            outputs in reversed order; or a shape does not match.

    Example:
        >>> import nets
        >>> weights = [np.ones((3, 32)), np.ones((8, 32)), np.ones(32)]
        >>> layer, params = from_keras(weights)
        >>> state, ys = layer.apply(params, jnp.ones((10, 5, 3)))
        >>> type(params).__name__, ys.shape
        ('LSTMParams', (10, 5, 8))
    """
    if isinstance(layer, Sequence):
        return _of_weights(layer)
    if not hasattr(layer, "forward_layer"):
        if getattr(layer, "go_backwards", False) and layer.return_sequences:
            raise ValueError(
                "expected a layer that returns its outputs in the order of its inputs, "
                "as outputs keep their positions here; got go_backwards=True with "
                "return_sequences=True: set layer.return_sequences = False"
            )
        return _one_way(layer)
    forward, backward = layer.forward_layer, layer.backward_layer
    if forward.go_backwards:
        raise ValueError(
            "expected a Bidirectional whose first layer reads forward; got one with "
            "go_backwards=True, whose outputs are in reversed order"
        )
    (ahead, p), (back, q) = _one_way(forward), _one_way(backward)
    if not (hasattr(ahead, "cell") and hasattr(back, "cell")):
        raise ValueError(
            "expected a Bidirectional of one cell per direction; got several cells"
        )
    merge = MERGES[layer.merge_mode]
    return bidirectional(ahead.cell, back.cell, merge=merge), BidirectionalParams(p, q)


def _one_way(layer: Any) -> tuple[Any, Params]:
    """A layer that reads in one direction, whichever it is."""
    cell = getattr(layer, "cell", None)
    cells = getattr(cell, "cells", [cell])
    for part in cells:
        if type(part).__name__ not in KINDS:
            what = layer if cell is None else part
            raise ValueError(
                "expected a SimpleRNN, GRU, LSTM or Bidirectional of Keras, an RNN of "
                "their cells, or a list of weights; got "
                f"{type(what).__name__}: pass the recurrent layer of a model, e.g. "
                "model.layers[1]"
            )
    if layer.stateful:
        raise ValueError(
            "expected a layer with stateful=False, because the state is an argument "
            "here; got stateful=True: set layer.stateful = False, and pass the state"
        )
    made, params = zip(*map(_trained_cell, cells), strict=True)
    if len(made) == 1:
        return as_layer(made[0], layer.go_backwards), params[0]
    if layer.go_backwards:
        raise ValueError(
            "expected an RNN of several cells that reads forward; got go_backwards=True"
        )
    return stack(*made), params


def _trained_cell(cell: Any) -> tuple[Cell, Params]:
    """The equal cell of this library, and its parameters."""
    if not cell.built:
        raise ValueError(
            f"expected a layer with weights; got {type(cell).__name__}, which is not "
            "built: call the layer on an input first"
        )
    kind = KINDS[type(cell).__name__]
    names = ["kernel", "recurrent_kernel", *(["bias"] if cell.use_bias else [])]
    params = params_from_keras([_array(getattr(cell, name)) for name in names], kind)
    activation = cell.activation.__name__
    if kind is ElmanParams:
        return _elman(activation), params
    used = activation, cell.recurrent_activation.__name__
    if used != ("tanh", "sigmoid"):
        raise ValueError(
            "expected activation tanh and recurrent_activation sigmoid in a Keras "
            f"{type(cell).__name__}; got {used[0]} and {used[1]}"
        )
    if kind is LSTMParams:
        return lstm(), params
    if not cell.reset_after:  # which a GRU without bias does not show
        params = params._replace(b_hn=None)
    return gru(reset_after=cell.reset_after), params


def _elman(activation: str) -> Cell:
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"expected a SimpleRNN whose activation is {', '.join(ACTIVATIONS)}; got "
            f"{activation}"
        )
    return elman(ACTIVATIONS[activation])


def _array(variable: Any) -> Any:
    """The array of a variable, of any backend of Keras."""
    value = getattr(variable, "value", variable)
    return value.detach() if hasattr(value, "detach") else value


def _of_weights(weights: Sequence[Any]) -> tuple[RecurrentLayer, Params]:
    """The layer whose `get_weights()` these are, of the kind that the shapes show."""
    shapes = [np.shape(weight) for weight in weights[:2]]
    gates = 0
    if len(shapes) == 2 and all(len(shape) == 2 for shape in shapes):
        features, columns = shapes[1]
        gates = columns // features if features and columns % features == 0 else 0
    if gates not in BY_GATES:
        raise ValueError(
            "expected the weights of a layer: a kernel [inputs, k features] and a "
            "recurrent kernel [features, k features], k = 1 in a SimpleRNN, 3 in a "
            f"GRU, 4 in an LSTM; got shapes {shapes}"
        )
    kind = BY_GATES[gates]
    params = params_from_keras(weights, kind)
    single = params.forward if isinstance(params, BidirectionalParams) else params
    cell = elman() if kind is ElmanParams else lstm()
    if kind is GRUParams:
        cell = gru(reset_after=single.b_hn is not None)
    if single is params:
        return as_layer(cell), params
    return bidirectional(cell), params
