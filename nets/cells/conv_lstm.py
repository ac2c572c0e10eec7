"""The convolutional long short-term memory."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets import initializers
from nets.cells._convolutional import draw_kernels, zero_images
from nets.convolutional.convolution import ConvParams, conv
from nets.convolutional.geometry import Sizes, per_axis, window_size
from nets.convolutional.padding import Padding
from nets.factories import factory
from nets.linear import wide
from nets.tracing.tags import tag_candidate, tag_gate
from nets.types import Cell


class ConvLSTMParams(NamedTuple):
    """w_i [*size, inputs, 4 features], w_h [*size, features, 4 features], b.

    Gate order i f g o.
    """

    w_i: Float[Array, "*size inputs 4*features"]
    w_h: Float[Array, "*recurrent_size features 4*features"]
    b: Float[Array, " 4*features"]


class ConvLSTMState(NamedTuple):
    """hidden and cell, each [*batch, *space, features]; cell is at least float32."""

    hidden: Float[Array, "*batch_space features"]
    cell: Float[Array, "*batch_space features"]


@factory
def conv_lstm(
    kernel_size: Sizes = (3, 3),
    recurrent_kernel_size: Sizes | None = None,
    *,
    strides: Sizes = 1,
    padding: Padding = "same",
    dilation: Sizes = 1,
    forget_bias: float | None = None,
    init: initializers.Initializer = initializers.orthogonal,
) -> Cell:
    """The convolutional LSTM: an LSTM of images, whose weights are kernels.

        i, f, g, o = split(W_i * x + W_h * h + b),   * the convolution
        c' = sigmoid(f) c + sigmoid(i) tanh(g)
        h' = sigmoid(o) tanh(c')

    One LSTM runs at every position and sees its neighbors: information spreads by
    (k - 1) / 2 positions per step. Along c the gradient does not move between
    positions. The paper's peepholes are omitted, as in Keras and Linen: with one weight
    per position, they would fix the size of the images.

    Args:
        kernel_size: Size of the kernel W_i, a tuple: (3,) for sequences, (3, 3) for
            images, (3, 3, 3) for volumes.
        recurrent_kernel_size: Size of the kernel W_h. Default: that of W_i.
        strides: Strides of the convolution with W_i, as in `nets.conv`. The state has
            the size of that convolution's output. The convolution with W_h keeps the
            size ("same").
        padding: Padding of the convolution with W_i, as in `nets.conv`.
        dilation: Dilation of the convolution with W_i, as in `nets.conv`.
        forget_bias: Initial value of f's bias. Default: that of the initializer.
        init: Initializer of the parameters, from `nets.initializers`. A kernel is
            initialized as a matrix that reads all inputs in its window.

    Returns:
        A `Cell` with `ConvLSTMParams` and `ConvLSTMState`; its output is h. It reads
        [*batch, *space, inputs].

    Raises:
        ValueError: `kernel_size` is not a tuple of positive integers, or the number of
            values in another argument does not match its axes.

    Example:
        >>> import nets
        >>> cell = nets.conv_lstm(kernel_size=(3, 3))
        >>> params = cell.init(jax.random.key(0), 1, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 28, 28, 1)))
        >>> state.cell.shape, ys.shape
        ((5, 28, 28, 8), (10, 5, 28, 28, 8))

    References:
        Shi et al. 2015, Convolutional LSTM network: a machine learning approach for
        precipitation nowcasting, https://arxiv.org/abs/1506.04214
    """
    size = window_size("kernel_size", kernel_size)
    axes = len(size)
    recurrent = size if recurrent_kernel_size is None else recurrent_kernel_size
    recurrent_size = per_axis("recurrent_kernel_size", recurrent, axes)
    options = {
        "strides": per_axis("strides", strides, axes),
        "padding": padding,
        "dilation": per_axis("dilation", dilation, axes),
    }
    read, convolve_state = partial(conv, **options), partial(conv, padding="same")

    def init_params(key, inputs, features):
        w_i, w_h, b_i, b_h = draw_kernels(
            init, key, inputs, features, "ifgo", size, recurrent_size
        )
        b = b_i + b_h
        if forget_bias is not None:
            b = initializers.set_gate(b, "ifgo", "f", forget_bias)
        return ConvLSTMParams(w_i, w_h, b)

    def initial_state(params, x):
        hidden, cell = (
            zero_images(x, params.w_i, params.w_h, **options) for _ in range(2)
        )
        return ConvLSTMState(hidden, wide(cell))

    def step(params, state, x, drop=lambda h: h):
        from_x = read(ConvParams(params.w_i, params.b), x)
        gates = from_x + convolve_state(
            ConvParams(params.w_h, None), drop(state.hidden)
        )
        i, f, g, o = jnp.split(wide(gates), 4, axis=-1)
        i = tag_gate(jax.nn.sigmoid(i), "input")
        f = tag_gate(jax.nn.sigmoid(f), "forget", retains=True)
        o = tag_gate(jax.nn.sigmoid(o), "output")
        c = f * wide(state.cell) + i * tag_candidate(jnp.tanh(g))
        c = c.astype(state.cell.dtype)
        h = (o * jnp.tanh(wide(c))).astype(gates.dtype)
        return ConvLSTMState(hidden=h, cell=c), h

    return Cell(init_params, initial_state, step, spatial_dims=axes, takes_drop=True)
