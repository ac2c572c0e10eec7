"""Weights of PyTorch's recurrent modules."""

import re
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from nets.cells.elman import ElmanParams
from nets.cells.gru import GRUParams
from nets.cells.lstm import LSTMParams
from nets.cells.projected_lstm import ProjectedLSTMParams
from nets.interop.gates import GATES, axis, hidden_bias, join_gru_biases, needs_b_hn
from nets.interop.names import check_kind, listed, read
from nets.recurrent import BidirectionalParams
from nets.types import Params

KINDS = ElmanParams, LSTMParams, GRUParams, ProjectedLSTMParams


def params_from_torch(
    state_dict: Mapping[str, Any], kind: type, prefix: str = ""
) -> tuple[Params, ...]:
    """Convert weights of torch.nn.RNN, LSTM or GRU, or of one of their cells.

        w_i = weight_ih^T,    w_h = weight_hh^T,    b = bias_ih + bias_hh

    except n of the GRU, whose two biases stay separate: b_n = b_in, b_hn = b_hn. The
    numbers of layers and directions are inferred from the names. Missing biases become
    zeros.

    Args:
        state_dict: `module.state_dict()`, or any arrays with the same names.
        kind: Class of the parameters: `nets.cells.ElmanParams` for an RNN, `LSTMParams`
            for an LSTM, `ProjectedLSTMParams` for an LSTM with `proj_size`, `GRUParams`
            for a GRU.
        prefix: Prefix of the names, e.g. "encoder.rnn.". Names without it are ignored.

    Returns:
        Parameters of a `nets.stack` with the same number of layers: a tuple with one
        entry per layer, of the class `kind` or `BidirectionalParams` of two. One layer,
        or a cell, gives a tuple of length 1.

    Raises:
        ValueError: A name, a shape or the kind does not match.

    Example:
        >>> import numpy as np, nets
        >>> names = "weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"
        >>> arrays = np.ones((32, 3)), np.ones((32, 8)), np.ones(32), np.ones(32)
        >>> state_dict = dict(zip(names, arrays))
        >>> (params,) = params_from_torch(state_dict, nets.cells.LSTMParams)
        >>> state, ys = nets.unroll(nets.lstm(), params, jnp.ones((10, 5, 3)))
        >>> ys.shape
        (10, 5, 8)
    """
    check_kind(kind, KINDS, "PyTorch")
    selected = {name: a for name, a in state_dict.items() if name.startswith(prefix)}
    if not selected:
        raise ValueError(
            f'expected names that begin with "{prefix}"; got {listed(state_dict)}'
        )
    selected = {name.removeprefix(prefix): a for name, a in selected.items()}
    layers = _layers(selected)
    biased = any(name.startswith("bias") for name in selected)
    expected = {prefix + n: s for n, s in _shapes(kind, layers, biased).items()}
    arrays = read({prefix + n: a for n, a in selected.items()}, expected, _source(kind))
    arrays = {name.removeprefix(prefix): a for name, a in arrays.items()}
    params = []
    for suffixes in layers:
        cells = [_read_cell(kind, arrays, suffix) for suffix in suffixes]
        params.append(BidirectionalParams(*cells) if len(cells) == 2 else cells[0])
    return tuple(params)


def to_torch(params: Params, prefix: str = "") -> dict[str, jax.Array]:
    """Convert weights to the `state_dict` of a torch.nn.RNN, LSTM or GRU.

        weight_ih = w_i^T,    weight_hh = w_h^T,    bias_ih = b,    bias_hh = 0

    and b_hn becomes bias_hh of the GRU's n. PyTorch trains both biases, which doubles
    the learning rate of their sum. The names are those of a module with one or more
    layers; in a cell, e.g. torch.nn.LSTMCell, they have no "_l0".

    Args:
        params: Parameters of a cell, `BidirectionalParams` of two cells, or a tuple of
            these with one entry per layer, from the bottom to the top.
        prefix: Prefix of the names, e.g. "encoder.rnn.".

    Returns:
        Arrays by name. Convert each to PyTorch by `torch.tensor(np.asarray(array))`.

    Raises:
        ValueError: No module of PyTorch has such parameters: the class is not
            supported, or the layers differ in more than their numbers of inputs.

    Example:
        >>> import nets
        >>> params = nets.lstm().init(jax.random.key(0), 3, 8)
        >>> {name: a.shape for name, a in to_torch(params).items()}
        {'weight_ih_l0': (32, 3), 'weight_hh_l0': (32, 8), 'bias_ih_l0': (32,), \
'bias_hh_l0': (32,)}
    """
    stacked = params if type(params) is tuple else (params,)
    layers = [p if isinstance(p, BidirectionalParams) else (p,) for p in stacked]
    cells = [cell for layer in layers for cell in layer]
    for cell in cells:
        check_kind(type(cell), KINDS, "PyTorch")
    forms = {(type(cell), len(layer)) for layer in layers for cell in layer}
    if len(forms) != 1:
        given = [type(entry).__name__ for entry in stacked]
        raise ValueError(
            "expected layers of one kind, all in one direction or all in both; "
            f"got {', '.join(given) or 'no layer'}"
        )
    (kind, directions), *_ = forms
    suffixes = _suffixes(len(layers), directions)
    flat = [suffix for layer in suffixes for suffix in layer]
    arrays = {}
    for cell, suffix in zip(cells, flat, strict=True):
        arrays |= {name + suffix: a for name, a in _written_cell(cell).items()}
    expected = {prefix + n: s for n, s in _shapes(kind, suffixes, True).items()}
    return read({prefix + n: a for n, a in arrays.items()}, expected, _source(kind))


def _source(kind):
    return f"arrays of {kind.__name__}"


def _suffixes(layers: int, directions: int) -> list[tuple[str, ...]]:
    endings = "", "_reverse"
    return [tuple(f"_l{i}{e}" for e in endings[:directions]) for i in range(layers)]


def _layers(names) -> list[tuple[str, ...]]:
    """Return the suffixes of names, one per layer and direction; "" for a cell."""
    ends = [re.fullmatch(r"\w+_l(\d+)(_reverse)?", name) for name in names]
    ends = [end for end in ends if end]
    if not ends:
        return [("",)]
    both = any(end[2] for end in ends)
    return _suffixes(1 + max(int(end[1]) for end in ends), 2 if both else 1)


def _shapes(kind, layers, biased) -> dict[str, str]:
    rows = axis(len(GATES[kind]), "H")
    projected = kind is ProjectedLSTMParams
    hidden = "P" if projected else "H"
    shapes, below = {}, "I"
    for suffixes in layers:
        for suffix in suffixes:
            shapes[f"weight_ih{suffix}"] = f"{rows} {below}"
            shapes[f"weight_hh{suffix}"] = f"{rows} {hidden}"
            if biased:
                shapes[f"bias_ih{suffix}"] = shapes[f"bias_hh{suffix}"] = rows
            if projected:
                shapes[f"weight_hr{suffix}"] = "P H"
        below = axis(len(suffixes), hidden)
    return shapes


def _read_cell(kind, arrays, suffix):
    w_i, w_h = arrays[f"weight_ih{suffix}"].T, arrays[f"weight_hh{suffix}"].T
    zeros = jnp.zeros(w_i.shape[-1], w_i.dtype)
    b_i = arrays.get(f"bias_ih{suffix}", zeros)
    b_h = arrays.get(f"bias_hh{suffix}", zeros)
    if kind is GRUParams:
        return GRUParams(w_i, w_h, *join_gru_biases(b_i, b_h))
    if kind is ProjectedLSTMParams:
        return kind(w_i, w_h, b_i + b_h, w_p=arrays[f"weight_hr{suffix}"].T)
    return kind(w_i, w_h, b_i + b_h)


def _written_cell(params):
    arrays = {
        "weight_ih": params.w_i.T,
        "weight_hh": params.w_h.T,
        "bias_ih": params.b,
        "bias_hh": jnp.zeros_like(params.b),
    }
    if isinstance(params, GRUParams):
        arrays["bias_hh"] = hidden_bias(needs_b_hn(params, "torch.nn.GRU"))
    if isinstance(params, ProjectedLSTMParams):
        arrays["weight_hr"] = params.w_p.T
    return arrays
