"""How parameters and states begin; `SCHEMES` names the schemes of cells."""

import re

from nets.initializers import kernels
from nets.initializers.libraries import equinox, haiku, keras, linen, nnx, torch
from nets.initializers.papers import chrono, irnn, orthogonal
from nets.initializers.states import zero_state, zero_states
from nets.initializers.weights import Scheme, Weights, set_gate

SCHEMES: dict[str, Scheme] = {
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
    "SCHEMES",
    "Scheme",
    "Weights",
    "chrono",
    "equinox",
    "haiku",
    "irnn",
    "keras",
    "kernels",
    "linen",
    "nnx",
    "orthogonal",
    "scheme",
    "set_gate",
    "torch",
    "zero_state",
    "zero_states",
]


def scheme(name: str) -> Scheme:
    """The scheme of a name, as written on a command line.

    Args:
        name: A key of `SCHEMES`, or "chrono(64)", with any number above 2.

    Returns:
        The `Scheme`.

    Raises:
        ValueError: There is none of that name, or chrono's number is none, or too low.

    Example:
        >>> scheme("keras") is keras, scheme("chrono(64)") is chrono(64)
        (True, True)
    """
    if name in SCHEMES:
        return SCHEMES[name]
    number = re.fullmatch(r"chrono\((.*)\)", name)
    expected = f"expected one of {', '.join(SCHEMES)}, chrono(STEPS)"
    if number is None:
        raise ValueError(f"unknown scheme {name!r}; {expected}")
    try:
        return chrono(float(number[1]))
    except ValueError as error:
        raise ValueError(
            f"{name!r} has no number of steps above 2; {expected}"
        ) from error
