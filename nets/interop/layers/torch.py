"""Recurrent layers of PyTorch."""

import re
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nets.cells.elman import ElmanParams, elman
from nets.cells.gru import GRUParams, gru
from nets.cells.lstm import LSTMParams, lstm
from nets.cells.projected_lstm import ProjectedLSTMParams, projected_lstm
from nets.interop.names import listed
from nets.interop.torch import params_from_torch
from nets.recurrent import as_layer, bidirectional, stack
from nets.types import Cell, Params

ACTIVATIONS = {"tanh": jnp.tanh, "relu": jax.nn.relu}
BY_GATES = {1: ElmanParams, 3: GRUParams, 4: LSTMParams}


def from_torch(
    module: Any, prefix: str = "", nonlinearity: str | None = None
) -> tuple[Any, Params]:
    """A trained RNN, LSTM or GRU of PyTorch as a layer with its parameters.

        layer, params = from_torch(module)
        layer, params = from_torch(checkpoint, prefix="encoder.rnn.")

    It becomes the layer of this library with the same numbers: a `nets.stack` of
    several layers, a `nets.bidirectional`, or one layer; a `Cell` for an LSTMCell and
    the like. `batch_first` does not matter: time comes first here. The `dropout`
    between the layers of a module acts in training, when a `key` is given.

    PyTorch is not imported. The state of a layer is a tree of states, the layers in
    order, while PyTorch returns one array for all layers and directions.

    Args:
        module: A `torch.nn.RNN`, `LSTM`, `GRU`, or one of their cells. Or a
            `state_dict`: arrays by PyTorch's names, from which the kind, the number of
            layers and the directions are inferred.
        prefix: Prefix of the names, e.g. "encoder.rnn.", in a `state_dict` of a whole
            network. Names without it are ignored.
        nonlinearity: "tanh" or "relu", for the `state_dict` of an RNN, which does not
            contain it. Default: that of the module; "tanh" for a `state_dict`.

    Returns:
        The recurrent layer, or the cell, and its parameters.

    Raises:
        ValueError: The module is no such layer, or a name or a shape does not match.

    Example:
        >>> import nets
        >>> params = nets.lstm().init(jax.random.key(0), 3, 8)
        >>> state_dict = nets.interop.to_torch(params)
        >>> layer, params = from_torch(state_dict)
        >>> state, ys = layer.apply(params, jnp.ones((10, 5, 3)))
        >>> type(params).__name__, ys.shape
        ('LSTMParams', (10, 5, 8))
    """
    dropout = 0.0
    state_dict = module
    if not isinstance(module, Mapping):
        state_dict, kind = _of_module(module), type(module).__name__
        dropout = float(getattr(module, "dropout", 0.0))
        if "RNN" in kind and nonlinearity is None:
            nonlinearity = module.nonlinearity
    nonlinearity = nonlinearity or "tanh"
    if nonlinearity not in ACTIVATIONS:
        raise ValueError(
            f'expected nonlinearity "tanh" or "relu"; got {nonlinearity!r}'
        )
    kind, is_cell = _inferred(state_dict, prefix)
    params = params_from_torch(state_dict, kind, prefix)
    cell = _cell(kind, params, nonlinearity)
    if is_cell:
        return cell, params[0]
    layers = [
        as_layer(cell) if type(p) is kind else bidirectional(cell) for p in params
    ]
    if len(layers) == 1:
        return layers[0], params[0]
    return stack(*layers, dropout_rate=dropout), params


def _of_module(module: Any) -> Mapping[str, Any]:
    """The arrays of a module by name."""
    kinds = [kind.__name__ for kind in type(module).__mro__]
    if not {"RNNBase", "RNNCellBase"} & set(kinds):
        raise ValueError(
            "expected a torch.nn.RNN, LSTM, GRU, one of their cells, or a state_dict; "
            f"got {type(module).__name__}: pass the module within it, or its "
            "state_dict() with a prefix"
        )
    return module.state_dict()


def _inferred(state_dict: Mapping[str, Any], prefix: str) -> tuple[type, bool]:
    """Class of the parameters, and whether they are those of a single cell."""
    names = [n.removeprefix(prefix) for n in state_dict if n.startswith(prefix)]
    recurrent = [n for n in names if re.fullmatch(r"weight_hh(_l0)?", n)]
    if not recurrent:
        raise ValueError(
            f"expected a state_dict with {prefix}weight_hh_l0, as that of a "
            f"torch.nn.LSTM; got {listed(state_dict)}"
        )
    name = recurrent[0]
    if "weight_hr_l0" in names:
        return ProjectedLSTMParams, False
    rows, features = np.shape(state_dict[prefix + name])
    kind = BY_GATES.get(rows // features if rows % features == 0 else 0)
    if kind is None:
        raise ValueError(
            f"expected {prefix}{name} to have 1, 3 or 4 times as many rows as columns, "
            f"as that of an RNN, a GRU or an LSTM; got shape {(rows, features)}"
        )
    return kind, name == "weight_hh"


def _cell(kind: type, params: Params, nonlinearity: str) -> Cell:
    """The cell of this library with these parameters."""
    if kind is ElmanParams:
        return elman(ACTIVATIONS[nonlinearity])
    if kind is GRUParams:
        return gru()
    if kind is LSTMParams:
        return lstm()
    single = params[0] if type(params[0]) is kind else params[0].forward
    return projected_lstm(projection=single.w_p.shape[-1])
