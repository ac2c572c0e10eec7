"""Cells, trained layers and weights of other libraries, and weights in files.

    cell = from_linen(nn.GRUCell)
    layer, params = from_torch(module)
    weights = to_keras(params)
    params = params_from_torch(state_dict, nets.cells.LSTMParams)

No other library is imported, except by `from_haiku` and `from_nnx`, which need theirs.
Weights are anything that `np.asarray` accepts: arrays of NumPy or JAX, tensors of
PyTorch on the CPU. They become JAX arrays, so that the functions on weights alone
(`params_from_*` and `to_*`) are differentiable; `np.asarray` converts them to NumPy. As
always in JAX, float64 is kept only under `jax_enable_x64`. A name or a shape that does
not match raises a `ValueError` with the expected and the actual value.
"""

from nets.interop.equinox import params_from_equinox, to_equinox
from nets.interop.files import load_safetensors, save_safetensors
from nets.interop.flax import params_from_linen, params_from_nnx, to_linen, to_nnx
from nets.interop.haiku import params_from_haiku, to_haiku
from nets.interop.keras import params_from_keras, to_keras
from nets.interop.layers import (
    from_equinox,
    from_haiku,
    from_keras,
    from_linen,
    from_nnx,
    from_torch,
    recognized,
)
from nets.interop.torch import params_from_torch, to_torch

__all__ = [
    "from_equinox",
    "from_haiku",
    "from_keras",
    "from_linen",
    "from_nnx",
    "from_torch",
    "load_safetensors",
    "params_from_equinox",
    "params_from_haiku",
    "params_from_keras",
    "params_from_linen",
    "params_from_nnx",
    "params_from_torch",
    "recognized",
    "save_safetensors",
    "to_equinox",
    "to_haiku",
    "to_keras",
    "to_linen",
    "to_nnx",
    "to_torch",
]


def __dir__() -> list[str]:
    """Names that a user types."""
    return __all__
