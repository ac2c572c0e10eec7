"""The long short-term memory of images, whose weights are kernels."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets import initializers
from nets.cells.convolutional import draw_kernels, zero_images
from nets.convolutional.convolution import ConvParams, conv
from nets.convolutional.geometry import Sizes, per_axis, window
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
    w_h: Float[Array, "*around features 4*features"]
    b: Float[Array, " 4*features"]


class ConvLSTMState(NamedTuple):
    """hidden and cell, each [*batch, *space, features]; cell float32 at the least."""

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
    """The long short-term memory of images: convolutions in place of products.

        i, f, g, o = split(W_i * x + W_h * h + b),   * the convolution
        c' = sigmoid(f) c + sigmoid(i) tanh(g)
        h' = sigmoid(o) tanh(c')

    One LSTM at every place, which sees its neighbours: what happens at a place reaches
    (k - 1) / 2 places further in each step. Along c the gradient stays where it is. The
    paper's peepholes are left out, as in Keras and Linen: with a weight for each place,
    they would fix the size of the images.

    Args:
        kernel_size: Of W_i: a tuple, (3, 3) for images, (3,) for sequences, (3, 3, 3)
            for volumes.
        recurrent_kernel_size: Of W_h, by default that of W_i.
        strides: Of the convolution with W_i, as in `nets.conv`. The state is as large
            as its outputs; the one with W_h keeps that size ("same").
        padding: Likewise of W_i.
        dilation: Likewise of W_i.
        forget_bias: What f's bias starts at, by default what the scheme says.
        init: How the parameters start, of `nets.initializers`: a kernel as a matrix
            that reads all that its window shows.

    Returns:
        A `Cell` with `ConvLSTMParams` and `ConvLSTMState`, whose output is h. It reads
        [*batch, *space, inputs].

    Raises:
        ValueError: `kernel_size` is no tuple of positive integers, or another number
            does not fit its axes.

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
    size = window("kernel_size", kernel_size)
    axes = len(size)
    around = size if recurrent_kernel_size is None else recurrent_kernel_size
    recurrent_size = per_axis("recurrent_kernel_size", around, axes)
    options = {
        "strides": per_axis("strides", strides, axes),
        "padding": padding,
        "dilation": per_axis("dilation", dilation, axes),
    }
    read, look_around = partial(conv, **options), partial(conv, padding="same")

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
        seen = read(ConvParams(params.w_i, params.b), x)
        gates = seen + look_around(ConvParams(params.w_h, None), drop(state.hidden))
        i, f, g, o = jnp.split(wide(gates), 4, axis=-1)
        i = tag_gate(jax.nn.sigmoid(i), "input")
        f = tag_gate(jax.nn.sigmoid(f), "forget", retains=True)
        o = tag_gate(jax.nn.sigmoid(o), "output")
        c = f * wide(state.cell) + i * tag_candidate(jnp.tanh(g))
        c = c.astype(state.cell.dtype)
        h = (o * jnp.tanh(wide(c))).astype(gates.dtype)
        return ConvLSTMState(hidden=h, cell=c), h

    return Cell(init_params, initial_state, step, spatial_dims=axes, takes_drop=True)
