"""Weights of Haiku's recurrent cores."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from nets.cells.elman import ElmanParams
from nets.cells.gru import GRUParams
from nets.cells.lstm import LSTMParams
from nets.interop.gates import reorder, split_gates
from nets.interop.names import check_kind, flatten, listed, nested, read
from nets.types import Params

MODULES = {ElmanParams: "vanilla_rnn", LSTMParams: "lstm", GRUParams: "gru"}
SHAPES = {
    ElmanParams: {"linear/w": "I H", "linear/b": "H", "linear_1/w": "H H"},
    LSTMParams: {"linear/b": "4H", "linear/w": "J 4H"},
    GRUParams: {"w_i": "I 3H", "w_h": "H 3H", "b": "3H"},
}


def params_from_haiku(
    tree: Mapping[str, Any], kind: type, module: str | None = None
) -> Params:
    """Convert weights of hk.VanillaRNN, hk.LSTM or hk.GRU.

    Haiku's LSTM has one matrix for [x, h] and gate order i g f o. It adds 1 to f at
    every step; here this 1 is part of b. Haiku's GRU has gate order z r n and resets
    before the product. Its z weights the new state, so the weights of z change sign.
    Haiku's VanillaRNN has ReLUs, as `nets.elman(jax.nn.relu)`. Its second bias, if any,
    is added to the first.

    Args:
        tree: Parameters of Haiku. Only those of `module` are used.
        kind: Class of the parameters, `nets.cells.ElmanParams`, `LSTMParams` or
            `GRUParams`.
        module: Name of the core, e.g. "encoder/~/lstm". Default: the name that Haiku
            gives, "vanilla_rnn", "lstm" or "gru".

    Returns:
        Parameters of the class `kind`; for a GRU those of
        `nets.gru(reset_after=False)`.

    Raises:
        ValueError: A name, a shape or the kind does not match.

    Example:
        >>> import nets
        >>> tree = {"lstm/linear": {"w": jnp.ones((11, 32)), "b": jnp.zeros(32)}}
        >>> params = params_from_haiku(tree, nets.cells.LSTMParams)
        >>> params.w_i.shape, params.b[jnp.array([0, 8])].tolist()
        ((3, 32), [0.0, 1.0])
    """
    check_kind(kind, MODULES, "Haiku")
    start = f"{MODULES[kind] if module is None else module}/"
    selected = {n: a for n, a in flatten(tree).items() if n.startswith(start)}
    if not selected:
        raise ValueError(f'expected a module named "{start[:-1]}"; got {listed(tree)}')
    expected = {start + name: shape for name, shape in SHAPES[kind].items()}
    if kind is ElmanParams and f"{start}linear_1/b" in selected:
        expected[f"{start}linear_1/b"] = "H"
    arrays = read(selected, expected, f"arrays of {kind.__name__}")
    arrays = {name.removeprefix(start): a for name, a in arrays.items()}
    if kind is ElmanParams:
        b = arrays["linear/b"] + arrays.get("linear_1/b", 0)
        return ElmanParams(arrays["linear/w"], arrays["linear_1/w"], b)
    if kind is GRUParams:
        w_i, w_h, b = (_flip_z(reorder(a, "zrn", "rzn")) for a in arrays.values())
        return GRUParams(w_i, w_h, b, b_hn=None)
    b, w = (reorder(a, "igfo", "ifgo") for a in arrays.values())
    features = len(b) // 4
    if len(w) <= features:
        raise ValueError(
            f'"{start}linear/w": expected more than {features} rows, those of the '
            f"input and of the {features} hidden units; got {len(w)}"
        )
    return LSTMParams(w[:-features], w[-features:], _add_to_f(b, 1))


def to_haiku(
    params: Params, module: str | None = None
) -> dict[str, dict[str, jax.Array]]:
    """Convert weights to those of hk.VanillaRNN, hk.LSTM or hk.GRU.

    This is the inverse of `params_from_haiku`. The second bias of a VanillaRNN is zero.
    For an LSTM, 1 is subtracted from the bias of f, which rounds this bias to the
    precision of numbers near 1. All other arrays are exact.

    Args:
        params: Parameters, `nets.cells.ElmanParams` (for ReLUs), `LSTMParams` or
            `GRUParams` of `nets.gru(reset_after=False)`.
        module: Name of the core. Default: the name that Haiku gives.

    Returns:
        Parameters of this core.

    Raises:
        ValueError: The class of parameters is not supported, or the GRU resets after
            the product.

    Example:
        >>> import nets
        >>> params = nets.lstm().init(jax.random.key(0), 3, 8)
        >>> jax.tree.map(jnp.shape, to_haiku(params, module="encoder/~/lstm"))
        {'encoder/~/lstm/linear': {'b': (32,), 'w': (11, 32)}}
    """
    kind = type(params)
    check_kind(kind, MODULES, "Haiku")
    name = MODULES[kind] if module is None else module
    if kind is ElmanParams:
        flat = {
            "linear/w": params.w_i,
            "linear/b": params.b,
            "linear_1/w": params.w_h,
            "linear_1/b": jnp.zeros_like(params.b),
        }
    elif kind is GRUParams:
        if params.b_hn is not None:
            raise ValueError(
                "expected no b_hn, because hk.GRU resets before the product; got one, "
                "as of gru(reset_after=True)"
            )
        w_i, w_h, b = (reorder(_flip_z(a), "rzn", "zrn") for a in params[:3])
        flat = {"w_i": w_i, "w_h": w_h, "b": b}
    else:
        w = jnp.concatenate([params.w_i, params.w_h])
        arrays = {"linear/w": w, "linear/b": _add_to_f(params.b, -1)}
        flat = {n: reorder(a, "ifgo", "igfo") for n, a in arrays.items()}
    return nested({f"{name}/{n}": a for n, a in flat.items()})


def _flip_z(a):
    """1 - sigmoid(z) = sigmoid(-z)."""
    parts = split_gates(a, "rzn")
    return jnp.concatenate([parts["r"], -parts["z"], parts["n"]], axis=-1)


def _add_to_f(b, value):
    parts = split_gates(b, "ifgo")
    return jnp.concatenate([parts["i"], parts["f"] + value, parts["g"], parts["o"]])
