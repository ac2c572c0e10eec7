"""Weights to and from other libraries, none of which is imported; weights in files.

    params = from_torch(module.state_dict(), nets.cells.LSTMParams)
    weights = to_keras(params[0])

What comes in is anything that `np.asarray` takes: NumPy's arrays, JAX's, tensors of
PyTorch on the CPU. What goes out are JAX's arrays, so that a gradient passes through
every one of these functions; `np.asarray` makes them NumPy's. As everywhere in JAX,
float64 stays so only under `jax_enable_x64`. A name or a shape that does not fit is a
`ValueError` that says what was expected and what came.
"""

from nets.interop.equinox import from_equinox, to_equinox
from nets.interop.files import load_safetensors, save_safetensors
from nets.interop.flax import from_linen, from_nnx, to_linen, to_nnx
from nets.interop.haiku import from_haiku, to_haiku
from nets.interop.keras import from_keras, to_keras
from nets.interop.torch import from_torch, to_torch

__all__ = [
    "from_equinox",
    "from_haiku",
    "from_keras",
    "from_linen",
    "from_nnx",
    "from_torch",
    "load_safetensors",
    "save_safetensors",
    "to_equinox",
    "to_haiku",
    "to_keras",
    "to_linen",
    "to_nnx",
    "to_torch",
]
