"""Recurrent and convolutional networks as pure functions of parameters and arrays.

    params = cell.init(key, inputs, features)
    state, ys = nets.unroll(cell, params, xs)

The records of parameters and states are attributes of the module that defines them, as
`nets.cells.LSTMState`. `nets.blocks`, `nets.linen`, `nets.nnx` and `nets.models` are
imported by name; the last three need Flax.
"""

from nets import (
    cells,
    convolutional,
    decoding,
    elements,
    flow,
    initializers,
    interop,
    probes,
    recurrent,
    signatures,
)
from nets.cells import (
    CELLS,
    antisymmetric_rnn,
    conv_gru,
    conv_lstm,
    cornn,
    coupled_lstm,
    d_linoss,
    delta_net,
    elman,
    gated_delta_net,
    gru,
    ind_rnn,
    irnn,
    janet,
    layer_norm_gru,
    layer_norm_lstm,
    lem,
    linoss,
    lru,
    lstm,
    lstm_1997,
    mgu,
    min_gru,
    min_lstm,
    minimal_rnn,
    mlstm,
    orthogonal_rnn,
    pd_ssm,
    peephole_lstm,
    projected_lstm,
    qrnn,
    rg_lru,
    rhn,
    s5,
    slstm,
    sru,
    star,
    unicornn,
)
from nets.convolutional import (
    adaptive_max_pool,
    adaptive_mean_pool,
    conv,
    conv_transpose,
    dense,
    flatten,
    global_max_pool,
    global_mean_pool,
    lp_pool,
    max_pool,
    mean_pool,
    separable_conv,
    unpool,
    upsample,
)
from nets.interop import (
    from_equinox,
    from_haiku,
    from_keras,
    from_linen,
    from_nnx,
    from_torch,
)
from nets.linear_recurrence import linear_cell, linear_scan
from nets.recurrent import (
    ParallelSolver,
    RecurrentLayer,
    Solve,
    as_layer,
    batch_first,
    bidirectional,
    drop_connect,
    h_detach,
    input_dropout,
    learned_state,
    recurrent_dropout,
    solve_states,
    stack,
    time_first,
    unroll,
    zoneout,
)
from nets.tracing.tags import tag_candidate, tag_gate
from nets.types import Cell, LinearRecurrence

__all__ = [
    "CELLS",
    "Cell",
    "LinearRecurrence",
    "ParallelSolver",
    "RecurrentLayer",
    "Solve",
    "adaptive_max_pool",
    "adaptive_mean_pool",
    "antisymmetric_rnn",
    "as_layer",
    "batch_first",
    "bidirectional",
    "cells",
    "conv",
    "conv_gru",
    "conv_lstm",
    "conv_transpose",
    "convolutional",
    "cornn",
    "coupled_lstm",
    "d_linoss",
    "decoding",
    "delta_net",
    "dense",
    "drop_connect",
    "elements",
    "elman",
    "flatten",
    "flow",
    "from_equinox",
    "from_haiku",
    "from_keras",
    "from_linen",
    "from_nnx",
    "from_torch",
    "gated_delta_net",
    "global_max_pool",
    "global_mean_pool",
    "gru",
    "h_detach",
    "ind_rnn",
    "initializers",
    "input_dropout",
    "interop",
    "irnn",
    "janet",
    "layer_norm_gru",
    "layer_norm_lstm",
    "learned_state",
    "lem",
    "linear_cell",
    "linear_scan",
    "linoss",
    "lp_pool",
    "lru",
    "lstm",
    "lstm_1997",
    "max_pool",
    "mean_pool",
    "mgu",
    "min_gru",
    "min_lstm",
    "minimal_rnn",
    "mlstm",
    "orthogonal_rnn",
    "pd_ssm",
    "peephole_lstm",
    "probes",
    "projected_lstm",
    "qrnn",
    "recurrent",
    "recurrent_dropout",
    "rg_lru",
    "rhn",
    "s5",
    "separable_conv",
    "slstm",
    "solve_states",
    "sru",
    "stack",
    "star",
    "tag_candidate",
    "tag_gate",
    "time_first",
    "unicornn",
    "unpool",
    "unroll",
    "upsample",
    "zoneout",
]


def __dir__() -> list[str]:
    """Names that a user types."""
    return [*__all__, "blocks", "linen", "models", "nnx"]


def __getattr__(name: str) -> str:
    """`nets.__version__`, the version of the installed package."""
    if name == "__version__":
        import importlib.metadata

        return importlib.metadata.version("backflow")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


for _module in (
    cells,
    convolutional,
    decoding,
    elements,
    flow,
    initializers,
    interop,
    probes,
    recurrent,
):
    signatures.as_written(vars(_module))
signatures.as_written(globals())
