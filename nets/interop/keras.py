"""Weights of Keras's recurrent layers."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nets.cells.conv_lstm import ConvLSTMParams
from nets.cells.elman import ElmanParams
from nets.cells.gru import GRUParams
from nets.cells.lstm import LSTMParams
from nets.interop.gates import GATES, axis, hidden_bias, join_gru_biases, reorder
from nets.interop.names import check_kind, read
from nets.recurrent import BidirectionalParams
from nets.types import Params

KINDS = ElmanParams, LSTMParams, GRUParams, ConvLSTMParams


def from_keras(weights: Sequence[Any], kind: type) -> Params:
    """Weights of Keras's SimpleRNN, LSTM, GRU or ConvLSTM, alone or in Bidirectional.

        w_i = kernel,    w_h = recurrent_kernel,    b = bias

    with the GRU's gates z r n brought to our order r z n. Its bias tells the form:
    [2, 3 features] with `reset_after`, [3 features] without it. A GRU that has no bias
    is taken as one with `reset_after`, Keras's default; if it is not, replace b_hn by
    None. Without biases, ours are zero.

    Args:
        weights: `layer.get_weights()`: kernel, recurrent kernel and, if there is one,
            bias; of a Bidirectional layer the forward ones, then the backward ones.
        kind: `nets.cells.ElmanParams` of a SimpleRNN, `LSTMParams` of an LSTM,
            `GRUParams` of a GRU, `ConvLSTMParams` of a ConvLSTM1D, 2D or 3D.

    Returns:
        Parameters of `kind`, or `BidirectionalParams` of two.

    Raises:
        ValueError: The number of arrays, a shape or the kind does not fit; or two cells
            may also be stacked, as the second reads as many inputs as
            the first has units.

    Example:
        >>> import nets
        >>> weights = [np.ones((3, 32)), np.ones((8, 32)), np.ones(32)]
        >>> params = from_keras(weights, nets.cells.LSTMParams)
        >>> params.w_h.shape
        (8, 32)
    """
    check_kind(kind, KINDS, "Keras")
    if len(weights) in (2, 3):
        return _read_layer(weights, kind, "")
    if len(weights) not in (4, 6):
        raise ValueError(
            "expected 2 or 3 arrays of a layer, kernel, recurrent_kernel and perhaps "
            f"bias, or twice as many of a Bidirectional one; got {len(weights)}"
        )
    half = len(weights) // 2
    forward = _read_layer(weights[:half], kind, "forward ")
    backward = _read_layer(weights[half:], kind, "backward ")
    inputs = [np.shape(weights[i])[-2] for i in (0, half)]
    units = np.shape(weights[1])[-2]
    if inputs[0] != inputs[1] or units == inputs[1]:
        raise ValueError(
            "expected the arrays of one layer, or of both directions of a "
            "Bidirectional one, whose cells read the same inputs; got cells of "
            f"{inputs[0]} and {inputs[1]} inputs, the first of {units} units, which "
            "may be one on top of the other: give the arrays of each cell by "
            "themselves, and join them as nets.recurrent.BidirectionalParams("
            "forward, backward) or, for nets.stack, as a tuple"
        )
    return BidirectionalParams(forward, backward)


def to_keras(params: Params) -> list[jax.Array]:
    """What `set_weights` of a Keras layer takes.

    A layer with `use_bias=True`; of a GRU with `reset_after=True` if there is a b_hn,
    which then goes to n's part of the second row, and with `reset_after=False` if it is
    None.

    Args:
        params: A cell's parameters, or `BidirectionalParams` of two.

    Returns:
        kernel, recurrent kernel and bias; of `BidirectionalParams` those of the forward
        layer, then of the backward one.

    Raises:
        ValueError: The kind is not supported, or a cell of images has kernels of two
            sizes, which Keras has not.

    Example:
        >>> import nets
        >>> params = nets.gru().init(jax.random.key(0), 3, 8)
        >>> [a.shape for a in to_keras(params)]
        [(3, 24), (8, 24), (2, 24)]
    """
    if isinstance(params, BidirectionalParams):
        return to_keras(params.forward) + to_keras(params.backward)
    check_kind(type(params), KINDS, "Keras")
    if isinstance(params, ConvLSTMParams):
        shapes = _shapes(ConvLSTMParams, params)
        read(params._asdict(), dict(zip(params._fields, shapes, strict=True)), "")
    if not isinstance(params, GRUParams):
        return list(params)
    w_i, w_h, b = (reorder(a, "rzn", "zrn") for a in params[:3])
    if params.b_hn is not None:
        b = jnp.stack([b, hidden_bias(params.b_hn)])
    return [w_i, w_h, b]


def _read_layer(weights, kind, direction):
    names = [direction + name for name in ("kernel", "recurrent_kernel", "bias")]
    found = dict(zip(names, weights, strict=False))
    shapes = _shapes(kind, weights)
    expected = dict(zip(names[: len(found)], shapes, strict=False))
    w_i, w_h, *b = read(found, expected, f"arrays of {kind.__name__}").values()
    if kind is GRUParams:
        return _read_gru(w_i, w_h, *b)
    return kind(w_i, w_h, *(b or [jnp.zeros(w_i.shape[-1], w_i.dtype)]))


def _shapes(kind, weights):
    """Those of kernel, recurrent kernel and bias, as `read` has it."""
    columns = axis(len(GATES[kind]), "H")
    if kind is ConvLSTMParams:
        size = " ".join("XYZ"[: max(1, np.ndim(weights[0]) - 2)])
        return [f"{size} I {columns}", f"{size} H {columns}", columns]
    two = kind is GRUParams and len(weights) == 3 and np.ndim(weights[2]) == 2
    return [f"I {columns}", f"H {columns}", f"2 {columns}" if two else columns]


def _read_gru(w_i, w_h, b=None):
    if b is None:
        b = jnp.zeros((2, w_i.shape[-1]), w_i.dtype)
    w_i, w_h, b = (reorder(a, "zrn", "rzn") for a in (w_i, w_h, b))
    if b.ndim == 1:
        return GRUParams(w_i, w_h, b, b_hn=None)
    return GRUParams(w_i, w_h, *join_gru_biases(b[0], b[1]))
