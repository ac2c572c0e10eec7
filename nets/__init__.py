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
from nets.linear_recurrence import linear_cell, linear_scan
from nets.recurrent import (
    BidirectionalParams,
    BidirectionalState,
    apart,
    bidirectional,
    concatenate,
    unroll,
)
from nets.types import Cell, Layer, Linear

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
    "Linear",
    "apart",
    "bidirectional",
    "concatenate",
    "elman",
    "flow",
    "gru",
    "initializers",
    "linear_cell",
    "linear_scan",
    "lstm",
    "unroll",
]
