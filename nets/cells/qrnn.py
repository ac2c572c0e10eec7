"""The quasi-recurrent network."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn.initializers import lecun_normal
from jaxtyping import Array, Float

from nets import initializers
from nets.factories import factory
from nets.linear import add_bias, wide
from nets.linear_recurrence import linear_cell
from nets.tracing.tags import tag_candidate, tag_gate
from nets.types import Cell


class QRNNParams(NamedTuple):
    """w_i [window, inputs, 3 features], oldest input first, and b; gates z f o."""

    w_i: Float[Array, "window inputs 3*features"]
    b: Float[Array, " 3*features"]


class QRNNState(NamedTuple):
    """cell [*batch, features]; past [*batch, window, inputs], oldest first.

    cell is at least float32: steps accumulate in it. past holds the most recent inputs:
    the input of the step is last, and each step drops the oldest.
    """

    cell: Float[Array, "*batch features"]
    past: Float[Array, "*batch window inputs"]


@factory
def qrnn(window: int = 2) -> Cell:
    """The quasi-recurrent network: gates from a convolution over time, and fo-pooling.

        z, f, o = split(W_1 x_{t-window+1} + ... + W_window x_t + b)
        c' = sigmoid(f) c + (1 - sigmoid(f)) tanh(z)
        h' = sigmoid(o) c'

    No gate reads the state, so the gradient from c' to c is multiplied by the forget
    gate only, and dc_T/dc_0 is the product of the forget gates. Inputs before the first
    step are zeros.

    Args:
        window: Number of inputs that the gates read, at least 1. Most of the paper uses
            2.

    Returns:
        A `Cell` with `QRNNParams` and `QRNNState`; its output is h. It runs in parallel
        over time. Weights are initialized by lecun_normal and biases with zeros,
        because no matrix is recurrent.

    Example:
        >>> import nets
        >>> cell = qrnn(window=3)
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)))
        >>> state.past.shape, ys.shape
        ((5, 3, 3), (10, 5, 8))

    References:
        Bradbury et al. 2017, Quasi-recurrent neural networks,
        https://arxiv.org/abs/1611.01576
    """
    if window < 1:
        raise ValueError(f"expected a window of at least 1 input; got {window}")

    def init(key, inputs, features):
        w_i = lecun_normal()(key, (window, inputs, 3 * features))
        return QRNNParams(w_i, b=jnp.zeros(3 * features))

    def initial_state(params, x):
        if len(params.w_i) != window:
            raise ValueError(
                f"expected parameters of qrnn(window={window}); got those of "
                f"window={len(params.w_i)}"
            )
        zeros = initializers.zero_state(x, params.w_i[0], params.b.reshape(3, -1).T)
        past = jnp.zeros((*x.shape[:-1], window, x.shape[-1]), zeros.dtype)
        return QRNNState(cell=wide(zeros), past=past)

    def coefficients(params, state, xs):
        before = jnp.moveaxis(state.past[..., 1:, :], -2, 0)
        history = jnp.concatenate([before, xs.astype(before.dtype)])
        index = np.add.outer(np.arange(len(xs)), np.arange(window))
        past = jnp.moveaxis(history[index], 1, -2)
        w_zf, b_zf = (jnp.split(p, 3, axis=-1)[:2] for p in (params.w_i, params.b))
        z, f = (convolve(past, w, b) for w, b in zip(w_zf, b_zf, strict=True))
        i = tag_gate(jax.nn.sigmoid(-f), "input")
        f = tag_gate(jax.nn.sigmoid(f), "forget", retains=True)
        b = QRNNState(cell=i * tag_candidate(jnp.tanh(z)), past=past)
        return QRNNState(cell=f, past=jnp.zeros_like(past)), b

    def read(params, state, x):
        w_o, b_o = (jnp.split(p, 3, axis=-1)[2] for p in (params.w_i, params.b))
        o = tag_gate(jax.nn.sigmoid(convolve(state.past, w_o, b_o)), "output")
        h = o * wide(state.cell)
        return h.astype(jnp.result_type(x, *params))

    def convolve(past, w, b):
        return add_bias(*wide(jnp.einsum("...wi,wio->...o", past, w), b))

    return linear_cell(init, initial_state, coefficients, read)
