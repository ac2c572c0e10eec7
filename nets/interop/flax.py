"""Weights of Flax's cells, in either of its APIs."""

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


def from_linen(tree: Mapping[str, Any], kind: type) -> Params:
    """Weights of Linen's SimpleCell, LSTMCell, OptimizedLSTMCell, GRUCell or MGUCell.

        w_i = [i{gate}.kernel ...],    w_h = [h{gate}.kernel ...]

    gate by gate in our order. The LSTM has its b with the hidden state, the others with
    the input, and "hn" of a GRU or MGU has b_hn; an MGU without it is one of
    `reset_gate=False`.

    Args:
        tree: The cell's own parameters, {"ii": {"kernel": ...}, ...}; of a Linen RNN,
            `variables["params"]["cell"]`.
        kind: `nets.cells.ElmanParams`, `LSTMParams`, `GRUParams` or `MGUParams`.

    Returns:
        Parameters of `kind`.

    Raises:
        ValueError: A name, a shape or the kind does not fit.

    Example:
        >>> import nets
        >>> inner = {"kernel": jnp.ones((8, 8))}
        >>> outer = {"kernel": jnp.ones((3, 8)), "bias": jnp.ones(8)}
        >>> from_linen({"i": outer, "h": inner}, nets.cells.ElmanParams).b.shape
        (8,)
    """
    check_kind(kind, LINEN_KINDS, "Flax's Linen")
    return _read_maps(tree, kind, _linen_maps(kind))


def to_linen(params: Params) -> dict[str, dict[str, jax.Array]]:
    """The parameters of one of Linen's cells.

    Args:
        params: `nets.cells.ElmanParams`, `LSTMParams`, `GRUParams` or `MGUParams`.

    Returns:
        The cell's own tree, the one that `from_linen` takes. LSTMCell and
        OptimizedLSTMCell have the same.

    Raises:
        ValueError: The kind is not supported, or it is a GRU without b_hn, which
            Linen's cannot express.

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


def from_nnx(tree: Mapping[str, Any], kind: type) -> Params:
    """Weights of NNX's SimpleCell, LSTMCell, OptimizedLSTMCell or GRUCell.

        w_i = dense_i.kernel,    w_h = dense_h.kernel,    b = the one bias

    NNX's LSTMCell has eight maps, as Linen's. NNX's GRUCell resets after the product,
    but has no b_hn: ours is zero.

    Args:
        tree: Dicts of arrays, `nnx.to_pure_dict(nnx.state(cell, nnx.Param))`.
        kind: `nets.cells.ElmanParams`, `LSTMParams` or `GRUParams`.

    Returns:
        Parameters of `kind`.

    Raises:
        ValueError: A name, a shape or the kind does not fit.

    Example:
        >>> import nets
        >>> inner = {"kernel": jnp.ones((8, 32)), "bias": jnp.ones(32)}
        >>> outer = {"kernel": jnp.ones((3, 32))}
        >>> tree = {"dense_i": outer, "dense_h": inner}
        >>> from_nnx(tree, nets.cells.LSTMParams).w_h.shape
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
    found = flatten(tree)
    w_i, w_h, b = read(found, expected, f"arrays of {kind.__name__}").values()
    b_hn = [jnp.zeros(len(w_h), b.dtype)] if kind is GRUParams else []
    return kind(w_i, w_h, b, *b_hn)


def to_nnx(params: Params) -> dict[str, dict[str, jax.Array]]:
    """The parameters of NNX's SimpleCell, OptimizedLSTMCell or GRUCell.

    Args:
        params: `nets.cells.ElmanParams`, `LSTMParams`, or `GRUParams` whose b_hn is
            zero, which is looked at, so that a GRU's cannot be called under `jax.jit`.

    Returns:
        Dicts of arrays, which `nnx.replace_by_pure_dict` puts into a cell's state.

    Raises:
        ValueError: The kind is not supported, or b_hn is not zero, or is None.

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
            "expected a b_hn of zeros, as nnx.GRUCell has no such bias, and none that "
            f"it could be added to; got {params.b_hn.tolist()}"
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
    """The names of the affine maps from the input and from the hidden state."""
    gates = "" if kind is ElmanParams else GATES[kind]
    return {side: [side + gate for gate in gates] or [side] for side in "ih"}


def _read_maps(tree, kind, maps):
    found = flatten(tree)
    weights = [f"{name}/kernel" for name in maps["i"]]
    recurrent = [f"{name}/kernel" for name in maps["h"]]
    biases = [f"{name}/bias" for name in maps[_biased(kind)]]
    expected = dict.fromkeys(weights, "I H") | dict.fromkeys(recurrent, "H H")
    expected |= dict.fromkeys(biases, "H")
    if kind is GRUParams or (kind is MGUParams and "hn/bias" in found):
        expected["hn/bias"] = "H"
    arrays = read(found, expected, f"arrays of {kind.__name__}")
    joined = [
        jnp.concatenate([arrays[name] for name in names], axis=-1)
        for names in (weights, recurrent, biases)
    ]
    b_hn = [arrays.get("hn/bias")] if kind in (GRUParams, MGUParams) else []
    return kind(*joined, *b_hn)
