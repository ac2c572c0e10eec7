"""The cells, one a file; `CELLS` names them all."""

from collections.abc import Callable

from nets.cells.antisymmetric_rnn import (
    AntisymmetricRNNParams,
    AntisymmetricRNNState,
    antisymmetric_rnn,
)
from nets.cells.conv_gru import ConvGRUParams, ConvGRUState, conv_gru
from nets.cells.conv_lstm import ConvLSTMParams, ConvLSTMState, conv_lstm
from nets.cells.cornn import CoRNNParams, CoRNNState, cornn
from nets.cells.coupled_lstm import CoupledLSTMParams, CoupledLSTMState, coupled_lstm
from nets.cells.d_linoss import DLinOSSParams, DLinOSSState, d_linoss
from nets.cells.delta_net import DeltaNetParams, DeltaNetState, delta_net
from nets.cells.elman import ElmanParams, ElmanState, elman
from nets.cells.gated_delta_net import (
    GatedDeltaNetParams,
    GatedDeltaNetState,
    gated_delta_net,
)
from nets.cells.gru import GRUParams, GRUState, gru
from nets.cells.ind_rnn import IndRNNParams, IndRNNState, ind_rnn
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
from nets.cells.lem import LEMParams, LEMState, lem
from nets.cells.linoss import LinOSSParams, LinOSSState, linoss
from nets.cells.lru import LRUParams, LRUState, lru
from nets.cells.lstm import LSTMParams, LSTMState, lstm
from nets.cells.lstm_1997 import LSTM1997Params, LSTM1997State, lstm_1997
from nets.cells.mgu import MGUParams, MGUState, mgu
from nets.cells.min_gru import MinGRUParams, MinGRUState, min_gru
from nets.cells.min_lstm import MinLSTMParams, MinLSTMState, min_lstm
from nets.cells.minimal_rnn import MinimalRNNParams, MinimalRNNState, minimal_rnn
from nets.cells.mlstm import MLSTMParams, MLSTMState, mlstm
from nets.cells.orthogonal_rnn import (
    OrthogonalRNNParams,
    OrthogonalRNNState,
    orthogonal_rnn,
)
from nets.cells.pd_ssm import PDSSMParams, PDSSMState, pd_ssm
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
from nets.cells.qrnn import QRNNParams, QRNNState, qrnn
from nets.cells.rg_lru import RGLRUParams, RGLRUState, rg_lru
from nets.cells.rhn import RHNParams, RHNState, rhn
from nets.cells.s5 import S5Params, S5State, s5
from nets.cells.slstm import SLSTMParams, SLSTMState, slstm
from nets.cells.sru import SRUParams, SRUState, sru
from nets.cells.star import STARParams, STARState, star
from nets.cells.unicornn import UnICORNNParams, UnICORNNState, unicornn
from nets.types import Cell

CELLS: dict[str, Callable[..., Cell]] = {
    make.__name__: make
    for make in (
        elman,
        irnn,
        ind_rnn,
        orthogonal_rnn,
        antisymmetric_rnn,
        cornn,
        unicornn,
        lem,
        lstm,
        lstm_1997,
        peephole_lstm,
        coupled_lstm,
        projected_lstm,
        layer_norm_lstm,
        slstm,
        mlstm,
        gru,
        layer_norm_gru,
        mgu,
        janet,
        minimal_rnn,
        star,
        rhn,
        qrnn,
        sru,
        min_gru,
        min_lstm,
        lru,
        rg_lru,
        s5,
        linoss,
        d_linoss,
        delta_net,
        gated_delta_net,
        pd_ssm,
        conv_lstm,
        conv_gru,
    )
}

__all__ = [
    "CELLS",
    "AntisymmetricRNNParams",
    "AntisymmetricRNNState",
    "CoRNNParams",
    "CoRNNState",
    "ConvGRUParams",
    "ConvGRUState",
    "ConvLSTMParams",
    "ConvLSTMState",
    "CoupledLSTMParams",
    "CoupledLSTMState",
    "DLinOSSParams",
    "DLinOSSState",
    "DeltaNetParams",
    "DeltaNetState",
    "ElmanParams",
    "ElmanState",
    "GRUParams",
    "GRUState",
    "GatedDeltaNetParams",
    "GatedDeltaNetState",
    "IndRNNParams",
    "IndRNNState",
    "JANETParams",
    "JANETState",
    "LEMParams",
    "LEMState",
    "LRUParams",
    "LRUState",
    "LSTM1997Params",
    "LSTM1997State",
    "LSTMParams",
    "LSTMState",
    "LayerNormGRUParams",
    "LayerNormGRUState",
    "LayerNormLSTMParams",
    "LayerNormLSTMState",
    "LinOSSParams",
    "LinOSSState",
    "MGUParams",
    "MGUState",
    "MLSTMParams",
    "MLSTMState",
    "MinGRUParams",
    "MinGRUState",
    "MinLSTMParams",
    "MinLSTMState",
    "MinimalRNNParams",
    "MinimalRNNState",
    "OrthogonalRNNParams",
    "OrthogonalRNNState",
    "PDSSMParams",
    "PDSSMState",
    "PeepholeLSTMParams",
    "PeepholeLSTMState",
    "ProjectedLSTMParams",
    "ProjectedLSTMState",
    "QRNNParams",
    "QRNNState",
    "RGLRUParams",
    "RGLRUState",
    "RHNParams",
    "RHNState",
    "S5Params",
    "S5State",
    "SLSTMParams",
    "SLSTMState",
    "SRUParams",
    "SRUState",
    "STARParams",
    "STARState",
    "UnICORNNParams",
    "UnICORNNState",
    "antisymmetric_rnn",
    "conv_gru",
    "conv_lstm",
    "cornn",
    "coupled_lstm",
    "d_linoss",
    "delta_net",
    "elman",
    "gated_delta_net",
    "gru",
    "ind_rnn",
    "irnn",
    "janet",
    "layer_norm_gru",
    "layer_norm_lstm",
    "lem",
    "linoss",
    "lru",
    "lstm",
    "lstm_1997",
    "mgu",
    "min_gru",
    "min_lstm",
    "minimal_rnn",
    "mlstm",
    "orthogonal_rnn",
    "pd_ssm",
    "peephole_lstm",
    "projected_lstm",
    "qrnn",
    "rg_lru",
    "rhn",
    "s5",
    "slstm",
    "sru",
    "star",
    "unicornn",
]


def __dir__() -> list[str]:
    """Names that a user types."""
    return __all__
