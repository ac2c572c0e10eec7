"""The convolutional gated recurrent unit."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets import initializers
from nets.cells._convolutional import convolve_state, draw_kernels, zero_images
from nets.cells.gru import check_form
from nets.convolutional.convolution import ConvParams, conv
from nets.convolutional.geometry import Sizes, per_axis, window_size
from nets.convolutional.padding import Padding
from nets.factories import factory
from nets.linear import add_bias, wide
from nets.tracing.tags import tag_candidate, tag_gate
from nets.types import Cell


class ConvGRUParams(NamedTuple):
    """w_i [*size, inputs, 3 features], w_h [*size, features, 3 features], b.

    Gate order r z n. b_hn [features] is as in `GRUParams`: n's second bias, or None.
    """

    w_i: Float[Array, "*size inputs 3*features"]
    w_h: Float[Array, "*recurrent_size features 3*features"]
    b: Float[Array, " 3*features"]
    b_hn: Float[Array, " features"] | None


class ConvGRUState(NamedTuple):
    """hidden [*batch, *space, features], at least float32: steps accumulate in it."""

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
    init: initializers.Initializer = initializers.orthogonal,
) -> Cell:
    """The convolutional GRU: a GRU of images, whose weights are kernels.

        r, z = sigmoid(W_i * x + W_h * h + b),   * the convolution
        n = tanh(W_in * x + b_n + W_hn * (r h))            unless reset_after
        n = tanh(W_in * x + b_n + r (W_hn * h + b_hn))     if reset_after
        h' = (1 - z) n + z h

    Each gate has its own filters. z weights the old state, as in `gru` (in the paper it
    weights the new state).

    Args:
        kernel_size: Size of the kernel W_i, a tuple: (3,) for sequences, (3, 3) for
            images, (3, 3, 3) for volumes.
        recurrent_kernel_size: Size of the kernel W_h. Default: that of W_i.
        strides: Strides of the convolution with W_i, as in `nets.conv`. The state has
            the size of that convolution's output. The convolution with W_h keeps the
            size ("same").
        padding: Padding of the convolution with W_i, as in `nets.conv`.
        dilation: Dilation of the convolution with W_i, as in `nets.conv`.
        reset_after: Whether r acts after the convolution with W_hn. In the paper it
            acts before it: n then reads through two convolutions, so the receptive
            field grows twice as fast per step.
        init: Initializer of the kernels, from `nets.initializers`.

    Returns:
        A `Cell` with `ConvGRUParams` and `ConvGRUState`; its output is h. It reads
        [*batch, *space, inputs].

    Raises:
        ValueError: `kernel_size` is not a tuple of positive integers, or the number of
            values in another argument does not match its axes.

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
    size = window_size("kernel_size", kernel_size)
    axes = len(size)
    recurrent = size if recurrent_kernel_size is None else recurrent_kernel_size
    recurrent_size = per_axis("recurrent_kernel_size", recurrent, axes)
    options: dict[str, Any] = {"strides": per_axis("strides", strides, axes)}
    options |= {"padding": padding, "dilation": per_axis("dilation", dilation, axes)}

    def read(params, x):
        return conv(ConvParams(params.w_i, params.b), x, **options)

    def init_params(key, inputs, features):
        w_i, w_h, b_i, b_h = draw_kernels(
            init, key, inputs, features, "rzn", size, recurrent_size
        )
        if not reset_after:
            return ConvGRUParams(w_i, w_h, b_i + b_h, b_hn=None)
        b_hrz, b_hn = jnp.split(b_h, [2 * features])
        return ConvGRUParams(w_i, w_h, b_i + jnp.pad(b_hrz, (0, features)), b_hn)

    def initial_state(params, x):
        check_form("conv_gru", params, reset_after)
        return ConvGRUState(wide(zero_images(x, params.w_i, params.w_h, **options)))

    def step_reset_after(params, state, x, drop=lambda h: h):
        from_x = read(params, x)
        from_h = convolve_state(params.w_h, drop(state.hidden).astype(from_x.dtype))
        x_r, x_z, x_n = jnp.split(wide(from_x), 3, axis=-1)
        h_r, h_z, h_n = jnp.split(wide(from_h), 3, axis=-1)
        r = tag_gate(jax.nn.sigmoid(x_r + h_r), "reset")
        z = tag_gate(jax.nn.sigmoid(x_z + h_z), "update", retains=True)
        n = tag_candidate(jnp.tanh(x_n + r * add_bias(*wide(h_n, params.b_hn))))
        return _blend(z, n, state.hidden, from_h.dtype)

    def step_reset_before(params, state, x, drop=lambda h: h):
        from_x, h_in = read(params, x), drop(state.hidden)
        w_hrz, w_hn = jnp.split(params.w_h, [2 * h_in.shape[-1]], axis=-1)
        x_r, x_z, x_n = jnp.split(wide(from_x), 3, axis=-1)
        from_h = convolve_state(w_hrz, h_in.astype(from_x.dtype))
        h_r, h_z = jnp.split(wide(from_h), 2, axis=-1)
        r = tag_gate(jax.nn.sigmoid(x_r + h_r), "reset")
        z = tag_gate(jax.nn.sigmoid(x_z + h_z), "update", retains=True)
        from_h = convolve_state(w_hn, (r * wide(h_in)).astype(from_x.dtype))
        n = tag_candidate(jnp.tanh(x_n + wide(from_h)))
        return _blend(z, n, state.hidden, from_h.dtype)

    step = step_reset_after if reset_after else step_reset_before
    return Cell(init_params, initial_state, step, spatial_dims=axes, takes_drop=True)


def _blend(z, n, hidden, dtype):
    """Return the new state, (1 - z) n + z h, and the output in the given dtype."""
    h = ((1 - z) * n + z * wide(hidden)).astype(hidden.dtype)
    return ConvGRUState(h), h.astype(dtype)
