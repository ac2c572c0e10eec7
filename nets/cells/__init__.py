"""The cells, one a file; `CELLS` names them all."""

from collections.abc import Callable

from nets.cells.coupled_lstm import CoupledLSTMParams, CoupledLSTMState, coupled_lstm
from nets.cells.elman import ElmanParams, ElmanState, elman
from nets.cells.gru import GRUParams, GRUState, gru
from nets.cells.irnn import irnn
from nets.cells.janet import JANETParams, JANETState, janet
from nets.cells.layer_norm_gru import (
    LayerNormGRUParams,
    LayerNormGRUState,
    layer_norm_gru,
)
from nets.cells.layer_norm_lstm import (
    LayerNormLSTMParams,
    LayerNormLSTMState,
    layer_norm_lstm,
)
from nets.cells.lstm import LSTMParams, LSTMState, lstm
from nets.cells.lstm_1997 import LSTM1997Params, LSTM1997State, lstm_1997
from nets.cells.mgu import MGUParams, MGUState, mgu
from nets.cells.minimal_rnn import MinimalRNNParams, MinimalRNNState, minimal_rnn
from nets.cells.peephole_lstm import (
    PeepholeLSTMParams,
    PeepholeLSTMState,
    peephole_lstm,
)
from nets.cells.projected_lstm import (
    ProjectedLSTMParams,
    ProjectedLSTMState,
    projected_lstm,
)
from nets.cells.star import STARParams, STARState, star
from nets.types import Cell

CELLS: dict[str, Callable[..., Cell]] = {
    make.__name__: make
    for make in (
        elman,
        irnn,
        lstm,
        lstm_1997,
        peephole_lstm,
        coupled_lstm,
        projected_lstm,
        layer_norm_lstm,
        gru,
        layer_norm_gru,
        mgu,
        janet,
        minimal_rnn,
        star,
    )
}

__all__ = [
    "CELLS",
    "CoupledLSTMParams",
    "CoupledLSTMState",
    "ElmanParams",
    "ElmanState",
    "GRUParams",
    "GRUState",
    "JANETParams",
    "JANETState",
    "LSTM1997Params",
    "LSTM1997State",
    "LSTMParams",
    "LSTMState",
    "LayerNormGRUParams",
    "LayerNormGRUState",
    "LayerNormLSTMParams",
    "LayerNormLSTMState",
    "MGUParams",
    "MGUState",
    "MinimalRNNParams",
    "MinimalRNNState",
    "PeepholeLSTMParams",
    "PeepholeLSTMState",
    "ProjectedLSTMParams",
    "ProjectedLSTMState",
    "STARParams",
    "STARState",
    "coupled_lstm",
    "elman",
    "gru",
    "irnn",
    "janet",
    "layer_norm_gru",
    "layer_norm_lstm",
    "lstm",
    "lstm_1997",
    "mgu",
    "minimal_rnn",
    "peephole_lstm",
    "projected_lstm",
    "star",
]
