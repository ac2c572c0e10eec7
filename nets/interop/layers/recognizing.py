"""The library that an object is from, without an import of any library."""

import functools
from typing import Any

import jax

from nets.interop.layers.equinox import from_equinox
from nets.interop.layers.haiku import from_haiku
from nets.interop.layers.linen import from_linen
from nets.interop.layers.nnx import from_nnx
from nets.types import Cell

LIBRARIES = {
    "flax.linen": from_linen,
    "flax.nnx": from_nnx,
    "equinox": from_equinox,
    "haiku": from_haiku,
}
"""The function of each library by the package that defines its class `Module`."""


def recognized(thing: Any) -> Cell | None:
    """The cell that a class or an object of another library becomes, if it is one.

    Args:
        thing: Anything, e.g. a class of cells of Linen, NNX, Equinox or Haiku, a
            `functools.partial` of one, or an object. An object of NNX or Equinox holds
            parameters, with which every `init` of the cell begins.

    Returns:
        A `Cell`, as `from_linen`, `from_nnx`, `from_equinox` or `from_haiku` makes it;
        None if it is not a module of one of these libraries.

    Raises:
        ValueError: It is a module, but no recurrent cell; or of PyTorch or Keras.

    Example:
        >>> import flax.linen as nn, nets
        >>> recognized(nn.GRUCell) is nets.from_linen(nn.GRUCell)
        True
        >>> recognized("lstm") is None
        True
    """
    made: Any = thing.func if isinstance(thing, functools.partial) else thing
    kind: type = made if isinstance(made, type) else type(made)
    homes = [base.__module__ for base in kind.__mro__ if base.__name__ == "Module"]
    converts = [
        convert
        for package, convert in LIBRARIES.items()
        if any(f"{home}.".startswith(f"{package}.") for home in homes)
    ]
    if not converts:
        _refuse_unless_jax(kind)
        return None
    result = converts[0](thing)
    if isinstance(result, Cell):
        return result
    cell, params = result
    if not isinstance(cell, Cell):
        raise ValueError(
            f"expected a recurrent cell; got the layer {kind.__name__}: pass its cell"
        )
    init = functools.partial(_held_params, kind.__name__, cell, params)
    return cell._replace(init=init)


def _refuse_unless_jax(kind: type) -> None:
    """Refuse a layer of PyTorch or Keras, which does not run in JAX."""
    for package, convert in ("torch", "from_torch"), ("keras", "from_keras"):
        if any(
            f"{base.__module__}.".startswith(f"{package}.") for base in kind.__mro__
        ):
            raise ValueError(
                f"expected a cell that runs in JAX; got {kind.__name__} of {package}: "
                f"trained layers are converted by nets.{convert}"
            )


def _held_params(name, cell, params, key, inputs, features):
    """The parameters of an object, which must be of the sizes that are asked for."""
    x = jax.ShapeDtypeStruct((inputs,), "float32")

    def output(x):
        return cell.step(params, cell.initial_state(params, x), x)[1]

    expected = f"expected the parameters of {name} to be for inputs={inputs} and "
    expected += f"features={features}"
    instead = "pass the class, which takes any size"
    try:
        y = jax.eval_shape(output, x)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{expected}; got others: {instead} ({error})") from error
    if y.shape[-1] != features:
        raise ValueError(f"{expected}; got features={y.shape[-1]}: {instead}")
    return params
