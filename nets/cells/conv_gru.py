"""The gated recurrent unit of images, whose weights are kernels."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets import initializers
from nets.cells.gru import check_form
from nets.convolutional.convolution import ConvParams, conv
from nets.convolutional.geometry import Sizes, per_axis, window
from nets.convolutional.padding import Padding
from nets.convolutional.recurrent import draw_kernels, look_around, zero_images
from nets.linear import add_bias, wide
from nets.marks import candidate, gate
from nets.types import Cell, factory, whole


class ConvGRUParams(NamedTuple):
    """w_i [*size, inputs, 3 features], w_h [*size, features, 3 features], b.

    Gate order r z n. b_hn [features] is as in `GRUParams`: n's second bias, or None.
    """

    w_i: Float[Array, "*size inputs 3*features"]
    w_h: Float[Array, "*around features 3*features"]
    b: Float[Array, " 3*features"]
    b_hn: Float[Array, " features"] | None


class ConvGRUState(NamedTuple):
    """hidden [*batch, *space, features], float32 at the least: steps add to it."""

    hidden: Float[Array, "*batch_space features"]


@factory
def conv_gru(
    kernel_size: Sizes = (3, 3),
    recurrent_kernel_size: Sizes | None = None,
    *,
    strides: Sizes = 1,
    padding: Padding = "same",
    dilation: Sizes = 1,
    reset_after: bool = False,
    scheme: initializers.Scheme = initializers.orthogonal,
) -> Cell:
    """The gated recurrent unit of images: convolutions in place of products.

        r, z = sigmoid(W_i * x + W_h * h + b),   * the convolution
        n = tanh(W_in * x + b_n + W_hn * (r h))            unless reset_after
        n = tanh(W_in * x + b_n + r (W_hn * h + b_hn))     if reset_after
        h' = (1 - z) n + z h

    Each gate has its own filters. z keeps the old state, as in `gru` (in the paper it
    admits the new one).

    Args:
        kernel_size: Of W_i: a tuple, (3, 3) for images, (3,) for sequences, (3, 3, 3)
            for volumes.
        recurrent_kernel_size: Of W_h, by default that of W_i.
        strides: Of the convolution with W_i, as in `nets.conv`. The state is as large
            as its outputs; the one with W_h keeps that size ("same").
        padding: Likewise of W_i.
        dilation: Likewise of W_i.
        reset_after: Whether r acts after the convolution with W_hn, or before it, as in
            the paper: there n sees what r saw, and the view grows twice as far in each
            step.
        scheme: Initializer of the kernels, of `nets.initializers`.

    Returns:
        A `Cell` with `ConvGRUParams` and `ConvGRUState`, whose output is h. It reads
        [*batch, *space, inputs].

    Raises:
        ValueError: `kernel_size` is no tuple of positive integers, or another number
            does not fit its axes.

    Example:
        >>> import nets
        >>> cell = nets.conv_gru(kernel_size=(5,), strides=2)
        >>> params = cell.init(jax.random.key(0), 1, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 28, 1)))
        >>> ys.shape
        (10, 5, 14, 8)

    References:
        Ballas, Yao, Pal and Courville 2016, Delving deeper into convolutional networks
        for learning video representations, https://arxiv.org/abs/1511.06432
    """
    size = window("kernel_size", kernel_size)
    axes = len(size)
    around = size if recurrent_kernel_size is None else recurrent_kernel_size
    recurrent_size = per_axis("recurrent_kernel_size", around, axes)
    options: dict[str, Any] = {"strides": per_axis("strides", strides, axes)}
    options |= {"padding": padding, "dilation": per_axis("dilation", dilation, axes)}

    def read(params, x):
        return conv(ConvParams(params.w_i, params.b), x, **options)

    def init(key, inputs, features):
        w_i, w_h, b_i, b_h = draw_kernels(
            scheme, key, inputs, features, "rzn", size, recurrent_size
        )
        if not reset_after:
            return ConvGRUParams(w_i, w_h, b_i + b_h, b_hn=None)
        b_hrz, b_hn = jnp.split(b_h, [2 * features])
        return ConvGRUParams(w_i, w_h, b_i + jnp.pad(b_hrz, (0, features)), b_hn)

    def initial_state(params, x):
        check_form("conv_gru", params, reset_after)
        return ConvGRUState(wide(zero_images(x, params.w_i, params.w_h, **options)))

    def step_reset_after(params, state, x, drop=whole):
        from_x = read(params, x)
        from_h = look_around(params.w_h, drop(state.hidden).astype(from_x.dtype))
        x_r, x_z, x_n = jnp.split(wide(from_x), 3, axis=-1)
        h_r, h_z, h_n = jnp.split(wide(from_h), 3, axis=-1)
        r = gate(jax.nn.sigmoid(x_r + h_r), "reset")
        z = gate(jax.nn.sigmoid(x_z + h_z), "update", keeps=True)
        n = candidate(jnp.tanh(x_n + r * add_bias(*wide(h_n, params.b_hn))))
        return _blend(z, n, state.hidden, from_h.dtype)

    def step_reset_before(params, state, x, drop=whole):
        from_x, seen = read(params, x), drop(state.hidden)
        w_hrz, w_hn = jnp.split(params.w_h, [2 * seen.shape[-1]], axis=-1)
        x_r, x_z, x_n = jnp.split(wide(from_x), 3, axis=-1)
        from_h = look_around(w_hrz, seen.astype(from_x.dtype))
        h_r, h_z = jnp.split(wide(from_h), 2, axis=-1)
        r = gate(jax.nn.sigmoid(x_r + h_r), "reset")
        z = gate(jax.nn.sigmoid(x_z + h_z), "update", keeps=True)
        from_h = look_around(w_hn, (r * wide(seen)).astype(from_x.dtype))
        n = candidate(jnp.tanh(x_n + wide(from_h)))
        return _blend(z, n, state.hidden, from_h.dtype)

    step = step_reset_after if reset_after else step_reset_before
    return Cell(init, initial_state, step, space=axes)


def _blend(z, n, hidden, dtype):
    """The new state, (1 - z) n + z h, and the output in a dtype."""
    h = ((1 - z) * n + z * wide(hidden)).astype(hidden.dtype)
    return ConvGRUState(h), h.astype(dtype)
