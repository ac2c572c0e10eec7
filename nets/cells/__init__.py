"""The cells, one a file; `CELLS` names them all."""

from collections.abc import Callable

from nets.cells.elman import ElmanParams, ElmanState, elman
from nets.cells.gru import GRUParams, GRUState, gru
from nets.cells.lstm import LSTMParams, LSTMState, lstm
from nets.types import Cell

CELLS: dict[str, Callable[..., Cell]] = {
    make.__name__: make
    for make in (
        elman,
        lstm,
        gru,
    )
}

__all__ = [
    "CELLS",
    "ElmanParams",
    "ElmanState",
    "GRUParams",
    "GRUState",
    "LSTMParams",
    "LSTMState",
    "elman",
    "gru",
    "lstm",
]
