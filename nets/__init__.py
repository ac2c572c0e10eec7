"""Recurrent and convolutional networks as pure functions of parameters and arrays.

    params = cell.init(key, inputs, features)
    state, ys = nets.unroll(cell, params, xs)

`nets.linen`, `nets.nnx` and `nets.models` are imported by name: only they need Flax.
"""

from nets import (
    cells,
    convolutional,
    decoding,
    flow,
    initializers,
    interop,
    probes,
    recurrent,
)
from nets.cells import *
from nets.convolutional import *
from nets.linear_recurrence import linear_cell, linear_scan
from nets.recurrent import *
from nets.tracing.tags import tag_candidate, tag_gate
from nets.types import Cell, Layer, Linear

__all__ = [
    "Cell",
    "Layer",
    "Linear",
    "convolutional",
    "decoding",
    "flow",
    "initializers",
    "interop",
    "linear_cell",
    "linear_scan",
    "probes",
    "tag_candidate",
    "tag_gate",
]
__all__ += cells.__all__
__all__ += convolutional.__all__
__all__ += recurrent.__all__


def __getattr__(name: str) -> str:
    """`nets.__version__`, that of the installed package."""
    if name == "__version__":
        import importlib.metadata

        return importlib.metadata.version("backflow")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
