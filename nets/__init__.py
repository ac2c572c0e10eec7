"""Recurrent and convolutional networks as pure functions of parameters and arrays.

    params = cell.init(key, inputs, features)
    state, ys = nets.unroll(cell, params, xs)

`nets.linen`, `nets.nnx` and `nets.models` are imported by name: only they need Flax.
"""

from nets import flow, initializers
from nets.cells import (
    CELLS,
    ElmanParams,
    ElmanState,
    GRUParams,
    GRUState,
    LSTMParams,
    LSTMState,
    elman,
    gru,
    lstm,
)
from nets.recurrent import (
    BidirectionalParams,
    BidirectionalState,
    apart,
    bidirectional,
    concatenate,
    unroll,
)
from nets.types import Cell, Layer

__all__ = [
    "CELLS",
    "BidirectionalParams",
    "BidirectionalState",
    "Cell",
    "ElmanParams",
    "ElmanState",
    "GRUParams",
    "GRUState",
    "LSTMParams",
    "LSTMState",
    "Layer",
    "apart",
    "bidirectional",
    "concatenate",
    "elman",
    "flow",
    "gru",
    "initializers",
    "lstm",
    "unroll",
]
