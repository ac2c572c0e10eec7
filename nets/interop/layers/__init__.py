"""Cells and trained layers of other libraries: one function per library.

    cell = from_linen(nn.GRUCell)                        # a class: a cell
    layer, params = from_linen(nn.RNN(cell), variables)  # with parameters: the pair

A cell runs the code of its library. A trained layer becomes the layer of this library
if there is one with the same numbers; otherwise its cells run their own code.
"""

from nets.interop.layers.equinox import from_equinox
from nets.interop.layers.haiku import from_haiku
from nets.interop.layers.keras import from_keras
from nets.interop.layers.linen import from_linen
from nets.interop.layers.nnx import from_nnx
from nets.interop.layers.recognizing import recognized
from nets.interop.layers.torch import from_torch

__all__ = [
    "from_equinox",
    "from_haiku",
    "from_keras",
    "from_linen",
    "from_nnx",
    "from_torch",
    "recognized",
]
