"""Cells over time: unrolled, in both directions, on top of each other, with noise."""

from nets.recurrent.detaching import h_detach
from nets.recurrent.directions import (
    Bidirectional,
    BidirectionalParams,
    BidirectionalState,
    Unidirectional,
    bidirectional,
)
from nets.recurrent.layout import batch_first, time_first
from nets.recurrent.learning_state import LearnedStateParams, learned_state
from nets.recurrent.parallel import ParallelSolver, Solve
from nets.recurrent.per_cell import CellRun, by_cell, per_cell
from nets.recurrent.regularizers import (
    drop_connect,
    input_dropout,
    recurrent_dropout,
    zoneout,
)
from nets.recurrent.solving_states import solve_states
from nets.recurrent.stacking import RecurrentLayer, Stack, as_layer, stack
from nets.recurrent.unrolling import unroll

__all__ = [
    "Bidirectional",
    "BidirectionalParams",
    "BidirectionalState",
    "CellRun",
    "LearnedStateParams",
    "ParallelSolver",
    "RecurrentLayer",
    "Solve",
    "Stack",
    "Unidirectional",
    "as_layer",
    "batch_first",
    "bidirectional",
    "by_cell",
    "drop_connect",
    "h_detach",
    "input_dropout",
    "learned_state",
    "per_cell",
    "recurrent_dropout",
    "solve_states",
    "stack",
    "time_first",
    "unroll",
    "zoneout",
]


def __dir__() -> list[str]:
    """Names that a user types."""
    return __all__
