"""Cells over time: unrolled, in both directions, on top of each other, with noise."""

from nets.recurrent.detaching import h_detach
from nets.recurrent.directions import (
    BidirectionalParams,
    BidirectionalState,
    add,
    apart,
    as_layer,
    average,
    bidirectional,
    concatenate,
    multiply,
)
from nets.recurrent.layout import batch_first, time_first
from nets.recurrent.learning_state import LearnedStateParams, learned_state
from nets.recurrent.regularisers import (
    drop_connect,
    input_dropout,
    recurrent_dropout,
    zoneout,
)
from nets.recurrent.stacking import stack
from nets.recurrent.unrolling import unroll

__all__ = [
    "BidirectionalParams",
    "BidirectionalState",
    "LearnedStateParams",
    "add",
    "apart",
    "as_layer",
    "average",
    "batch_first",
    "bidirectional",
    "concatenate",
    "drop_connect",
    "h_detach",
    "input_dropout",
    "learned_state",
    "multiply",
    "recurrent_dropout",
    "stack",
    "time_first",
    "unroll",
    "zoneout",
]
