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


def params_from_keras(weights: Sequence[Any], kind: type) -> Params:
    """Convert weights of a SimpleRNN, LSTM, GRU, ConvLSTM or Bidirectional of Keras.

        w_i = kernel,    w_h = recurrent_kernel,    b = bias

    The gate order of a GRU changes from z r n to r z n. The shape of its bias
    determines the form: [2, 3 features] with `reset_after`, [3 features] without. A GRU
    without bias is assumed to have `reset_after`, Keras's default; if it does not,
    replace b_hn by None. Missing biases become zeros.

    Args:
        weights: `layer.get_weights()`: kernel, recurrent kernel and, if present, bias.
            For a Bidirectional layer, those of the forward layer, then those of the
            backward layer.
        kind: Class of the parameters: `nets.cells.ElmanParams` for a SimpleRNN,
            `LSTMParams` for an LSTM, `GRUParams` for a GRU, `ConvLSTMParams` for a
            ConvLSTM1D, 2D or 3D.

    Returns:
        Parameters of the class `kind`, or `BidirectionalParams` of two.

    Raises:
        ValueError: The number of arrays, a shape or the kind does not match; or the two
            cells may be a stack: they read different numbers of inputs, or the second
            reads as many inputs as the first has units.

    Example:
        >>> import nets
        >>> weights = [np.ones((3, 32)), np.ones((8, 32)), np.ones(32)]
        >>> params = params_from_keras(weights, nets.cells.LSTMParams)
        >>> params.w_h.shape
        (8, 32)
    """
    check_kind(kind, KINDS, "Keras")
    if len(weights) in (2, 3):
        return _read_layer(weights, kind, "")
    if len(weights) not in (4, 6):
        raise ValueError(
            "expected 2 or 3 arrays of a layer, kernel, recurrent_kernel and optional "
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
            "may be a stack: convert the arrays of each cell separately, and join "
            "them as nets.recurrent.BidirectionalParams(forward, backward) "
            "or, for nets.stack, as a tuple"
        )
    return BidirectionalParams(forward, backward)


def to_keras(params: Params) -> list[jax.Array]:
    """Convert weights to those of `set_weights` of a Keras layer.

    The layer must have `use_bias=True`. A GRU must have `reset_after=True` if b_hn is
    not None, and `reset_after=False` if it is None. b_hn becomes the part of n in the
    second row of the bias.

    Args:
        params: Parameters of a cell, or `BidirectionalParams` of two cells.

    Returns:
        kernel, recurrent kernel and bias. For `BidirectionalParams`, those of the
        forward layer, then those of the backward layer.

    Raises:
        ValueError: The class of parameters is not supported, or a convolutional cell
            has kernels of two sizes, which Keras does not support.

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
    by_name = dict(zip(names, weights, strict=False))
    shapes = _shapes(kind, weights)
    expected = dict(zip(names[: len(by_name)], shapes, strict=False))
    w_i, w_h, *b = read(by_name, expected, f"arrays of {kind.__name__}").values()
    if kind is GRUParams:
        return _read_gru(w_i, w_h, *b)
    return kind(w_i, w_h, *(b or [jnp.zeros(w_i.shape[-1], w_i.dtype)]))


def _shapes(kind, weights):
    """Shapes of kernel, recurrent kernel and bias, as `read` expects them."""
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
