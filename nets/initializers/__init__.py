"""Initializers of parameters and states; `INITIALIZERS` maps names to cells'."""

import re

from nets.initializers import kernels
from nets.initializers.libraries import equinox, haiku, keras, linen, nnx, torch
from nets.initializers.papers import chrono, irnn, orthogonal
from nets.initializers.states import zero_state, zero_states
from nets.initializers.weights import Initializer, Weights, set_gate

INITIALIZERS: dict[str, Initializer] = {
    "orthogonal": orthogonal,
    "linen": linen,
    "nnx": nnx,
    "keras": keras,
    "torch": torch,
    "haiku": haiku,
    "equinox": equinox,
    "irnn": irnn,
}

__all__ = [
    "INITIALIZERS",
    "Initializer",
    "Weights",
    "chrono",
    "equinox",
    "from_name",
    "haiku",
    "irnn",
    "keras",
    "kernels",
    "linen",
    "nnx",
    "orthogonal",
    "set_gate",
    "torch",
    "zero_state",
    "zero_states",
]


def __dir__() -> list[str]:
    """Names that a user types."""
    return __all__


def from_name(name: str) -> Initializer:
    """Return the initializer with the given name, as written on a command line.

    Args:
        name: Key of `INITIALIZERS`, or "chrono(64)" with any number above 2.

    Returns:
        The `Initializer`.

    Raises:
        ValueError: No initializer has this name, or chrono's argument is not a number
            above 2.

    Example:
        >>> from_name("keras") is keras, from_name("chrono(64)") is chrono(64)
        (True, True)
    """
    if name in INITIALIZERS:
        return INITIALIZERS[name]
    number = re.fullmatch(r"chrono\((.*)\)", name)
    expected = f"expected one of {', '.join(INITIALIZERS)}, chrono(STEPS)"
    if number is None:
        raise ValueError(f"unknown initializer {name!r}; {expected}")
    try:
        return chrono(float(number[1]))
    except ValueError as error:
        raise ValueError(
            f"{name!r} has no number of steps above 2; {expected}"
        ) from error
