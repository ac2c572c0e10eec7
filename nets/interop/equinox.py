"""Weights of Equinox's recurrent cells."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from nets.cells.gru import GRUParams
from nets.cells.lstm import LSTMParams
from nets.interop.gates import needs_b_hn
from nets.interop.names import check_kind, flatten, read
from nets.types import Params

SHAPES = {
    LSTMParams: {"weight_ih": "4H I", "weight_hh": "4H H", "bias": "4H"},
    GRUParams: {
        "weight_ih": "3H I",
        "weight_hh": "3H H",
        "bias": "3H",
        "bias_n": "H",
    },
}


def params_from_equinox(arrays: Mapping[str, Any], kind: type) -> Params:
    """Convert weights of eqx.nn.LSTMCell or eqx.nn.GRUCell.

        w_i = weight_ih^T,    w_h = weight_hh^T,    b = bias,    b_hn = bias_n

    Args:
        arrays: Arrays of the cell by field name. Biases may be missing or None, as with
            `use_bias=False`; the returned biases are then zero.
        kind: Class of the parameters, `nets.cells.LSTMParams` or `GRUParams`.

    Returns:
        Parameters of the class `kind`.

    Raises:
        ValueError: A name, a shape or the kind does not match.

    Example:
        >>> import nets
        >>> arrays = {"weight_ih": jnp.ones((32, 3)), "weight_hh": jnp.ones((32, 8))}
        >>> params_from_equinox(arrays, nets.cells.LSTMParams).b.shape
        (32,)
    """
    check_kind(kind, SHAPES, "Equinox")
    expected = SHAPES[kind]
    by_name = flatten(dict(arrays))
    if not any(name.startswith("bias") for name in by_name):
        expected = {n: s for n, s in expected.items() if not n.startswith("bias")}
    read_arrays = read(by_name, expected, f"arrays of {kind.__name__}")
    w_i, w_h, *biases = read_arrays.values()
    if not biases:
        biases = [jnp.zeros(len(w_i), w_i.dtype)]
        if kind is GRUParams:
            biases.append(jnp.zeros(w_h.shape[-1], w_i.dtype))
    return kind(w_i.T, w_h.T, *biases)


def to_equinox(params: Params) -> dict[str, jax.Array]:
    """Convert weights to those of eqx.nn.LSTMCell or eqx.nn.GRUCell.

    Args:
        params: Parameters, `nets.cells.LSTMParams` or `GRUParams` of
            `nets.gru(reset_after=True)`.

    Returns:
        Arrays by field name, for `eqx.tree_at`.

    Raises:
        ValueError: The class of parameters is not supported, or b_hn is None.

    Example:
        >>> import nets
        >>> params = nets.gru().init(jax.random.key(0), 3, 8)
        >>> {name: a.shape for name, a in to_equinox(params).items()}
        {'weight_ih': (24, 3), 'weight_hh': (24, 8), 'bias': (24,), 'bias_n': (8,)}
    """
    check_kind(type(params), SHAPES, "Equinox")
    arrays = {"weight_ih": params.w_i.T, "weight_hh": params.w_h.T, "bias": params.b}
    if isinstance(params, GRUParams):
        arrays["bias_n"] = needs_b_hn(params, "eqx.nn.GRUCell")
    return arrays
