"""Weights of Flax's cells, of Linen and of NNX."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from nets.cells.elman import ElmanParams
from nets.cells.gru import GRUParams
from nets.cells.lstm import LSTMParams
from nets.cells.mgu import MGUParams
from nets.interop.gates import GATES, axis, needs_b_hn, split_gates
from nets.interop.names import check_kind, flatten, nested, read
from nets.types import Params

LINEN_KINDS = ElmanParams, LSTMParams, GRUParams, MGUParams
NNX_KINDS = ElmanParams, LSTMParams, GRUParams


def params_from_linen(tree: Mapping[str, Any], kind: type) -> Params:
    """Convert weights of a SimpleCell, LSTMCell, GRUCell or MGUCell of Linen.

        w_i = [i{gate}.kernel ...],    w_h = [h{gate}.kernel ...]

    with the gates in the order of `kind`. The bias b belongs to the map of the hidden
    state in the LSTM, and to the map of the input in the other cells. "hn" of a GRU or
    MGU contains b_hn; an MGU without it is converted to `nets.mgu(reset_gate=False)`.
    An OptimizedLSTMCell has the same parameters as an LSTMCell.

    Args:
        tree: Parameters of the cell, {"ii": {"kernel": ...}, ...}. For a Linen RNN,
            pass `variables["params"]["cell"]`.
        kind: Class of the parameters, `nets.cells.ElmanParams`, `LSTMParams`,
            `GRUParams` or `MGUParams`.

    Returns:
        Parameters of the class `kind`.

    Raises:
        ValueError: A name, a shape or the kind does not match.

    Example:
        >>> import nets
        >>> inner = {"kernel": jnp.ones((8, 8))}
        >>> outer = {"kernel": jnp.ones((3, 8)), "bias": jnp.ones(8)}
        >>> params_from_linen({"i": outer, "h": inner}, nets.cells.ElmanParams).b.shape
        (8,)
    """
    check_kind(kind, LINEN_KINDS, "Flax's Linen")
    return _read_maps(tree, kind, _linen_maps(kind))


def to_linen(params: Params) -> dict[str, dict[str, jax.Array]]:
    """Convert weights to those of a cell of Linen.

    Args:
        params: Parameters, `nets.cells.ElmanParams`, `LSTMParams`, `GRUParams` or
            `MGUParams`.

    Returns:
        Parameters of the cell, in the form that `params_from_linen` accepts. They are
        the same for LSTMCell and OptimizedLSTMCell.

    Raises:
        ValueError: The class of parameters is not supported, or a GRU has no b_hn,
            which Linen does not support.

    Example:
        >>> import nets
        >>> params = nets.elman().init(jax.random.key(0), 3, 8)
        >>> jax.tree.map(jnp.shape, to_linen(params))
        {'h': {'kernel': (8, 8)}, 'i': {'bias': (8,), 'kernel': (3, 8)}}
    """
    kind = type(params)
    check_kind(kind, LINEN_KINDS, "Flax's Linen")
    flat = {}
    maps = _linen_maps(kind)
    for side, part, array in [
        ("i", "kernel", params.w_i),
        ("h", "kernel", params.w_h),
        (_biased(kind), "bias", params.b),
    ]:
        blocks = split_gates(array, GATES[kind]).values()
        for name, block in zip(maps[side], blocks, strict=True):
            flat[f"{name}/{part}"] = block
    if kind is GRUParams:
        flat["hn/bias"] = needs_b_hn(params, "Linen's GRUCell")
    if kind is MGUParams and params.b_hn is not None:
        flat["hn/bias"] = params.b_hn
    return nested(flat)


def params_from_nnx(tree: Mapping[str, Any], kind: type) -> Params:
    """Convert weights of a SimpleCell, LSTMCell, OptimizedLSTMCell or GRUCell of NNX.

        w_i = dense_i.kernel,    w_h = dense_h.kernel,    b = the one bias

    NNX's LSTMCell has eight maps, like Linen's. NNX's GRUCell resets after the product
    but has no b_hn; the returned b_hn is zero.

    Args:
        tree: Dicts of arrays, from `nnx.to_pure_dict(nnx.state(cell, nnx.Param))`.
        kind: Class of the parameters, `nets.cells.ElmanParams`, `LSTMParams` or
            `GRUParams`.

    Returns:
        Parameters of the class `kind`.

    Raises:
        ValueError: A name, a shape or the kind does not match.

    Example:
        >>> import nets
        >>> inner = {"kernel": jnp.ones((8, 32)), "bias": jnp.ones(32)}
        >>> outer = {"kernel": jnp.ones((3, 32))}
        >>> tree = {"dense_i": outer, "dense_h": inner}
        >>> params_from_nnx(tree, nets.cells.LSTMParams).w_h.shape
        (8, 32)
    """
    check_kind(kind, NNX_KINDS, "Flax's NNX")
    if kind is LSTMParams and "ii" in tree:
        maps = {"i": ["ii", "if_", "ig", "io"], "h": ["hi", "hf", "hg", "ho"]}
        return _read_maps(tree, kind, maps)
    columns = axis(len(GATES[kind]), "H")
    expected = {
        "dense_i/kernel": f"I {columns}",
        "dense_h/kernel": f"H {columns}",
        _nnx_bias(kind): columns,
    }
    leaves = flatten(tree)
    w_i, w_h, b = read(leaves, expected, f"arrays of {kind.__name__}").values()
    b_hn = [jnp.zeros(len(w_h), b.dtype)] if kind is GRUParams else []
    return kind(w_i, w_h, b, *b_hn)


def to_nnx(params: Params) -> dict[str, dict[str, jax.Array]]:
    """Convert weights to those of a SimpleCell, OptimizedLSTMCell or GRUCell of NNX.

    Args:
        params: Parameters, `nets.cells.ElmanParams`, `LSTMParams` or `GRUParams`. The
            b_hn of a GRU must be zero; the check reads its values, so it does not run
            under `jax.jit`.

    Returns:
        Dicts of arrays, for `nnx.replace_by_pure_dict`.

    Raises:
        ValueError: The class of parameters is not supported, or b_hn is None or not
            zero.

    Example:
        >>> import nets
        >>> params = nets.lstm().init(jax.random.key(0), 3, 8)
        >>> jax.tree.map(jnp.shape, to_nnx(params))
        {'dense_h': {'bias': (32,), 'kernel': (8, 32)}, 'dense_i': {'kernel': (3, 32)}}
    """
    kind = type(params)
    check_kind(kind, NNX_KINDS, "Flax's NNX")
    if kind is GRUParams and jnp.any(needs_b_hn(params, "nnx.GRUCell") != 0):
        raise ValueError(
            "expected a b_hn of zeros, because nnx.GRUCell has no bias that could hold "
            f"it; got {params.b_hn.tolist()}"
        )
    return nested(
        {
            "dense_i/kernel": params.w_i,
            "dense_h/kernel": params.w_h,
            _nnx_bias(kind): params.b,
        }
    )


def _biased(kind):
    return "h" if kind is LSTMParams else "i"


def _nnx_bias(kind):
    return f"dense_{_biased(kind)}/bias"


def _linen_maps(kind):
    """Return the names of the affine maps of the input and of the hidden state."""
    gates = "" if kind is ElmanParams else GATES[kind]
    return {side: [side + gate for gate in gates] or [side] for side in "ih"}


def _read_maps(tree, kind, maps):
    leaves = flatten(tree)
    weights = [f"{name}/kernel" for name in maps["i"]]
    recurrent = [f"{name}/kernel" for name in maps["h"]]
    biases = [f"{name}/bias" for name in maps[_biased(kind)]]
    expected = dict.fromkeys(weights, "I H") | dict.fromkeys(recurrent, "H H")
    expected |= dict.fromkeys(biases, "H")
    if kind is GRUParams or (kind is MGUParams and "hn/bias" in leaves):
        expected["hn/bias"] = "H"
    arrays = read(leaves, expected, f"arrays of {kind.__name__}")
    joined = [
        jnp.concatenate([arrays[name] for name in names], axis=-1)
        for names in (weights, recurrent, biases)
    ]
    b_hn = [arrays.get("hn/bias")] if kind in (GRUParams, MGUParams) else []
    return kind(*joined, *b_hn)
