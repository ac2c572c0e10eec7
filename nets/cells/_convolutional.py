"""Shared helpers of the convolutional cells."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from nets.convolutional.convolution import ConvParams, conv
from nets.convolutional.geometry import format_shape
from nets.initializers.weights import Initializer, Weights
from nets.types import KeyArray


def draw_kernels(
    init: Initializer,
    key: KeyArray,
    inputs: int,
    features: int,
    gates: str,
    size: Sequence[int],
    recurrent_size: Sequence[int],
) -> Weights:
    """Draw the kernels of a convolutional cell with an initializer of dense weights.

    A kernel is a matrix that reads all inputs in its window, and is initialized as one:

        w_i [*size, inputs, outputs] as a w_i of prod(size) inputs rows
        w_h [*size, features, outputs] as a w_h of hidden = prod(size) features rows

    So the fan-in includes the window, and each gate's flattened w_h is orthogonal if
    the initializer makes it so. The first `features` rows of w_h become the center of
    the window, so that the identity of `irnn` leaves an image unchanged.

    With `keras` this is the initialization of keras.layers.ConvLSTM2D, except for the
    bound of w_i: it is sqrt(6 / (prod(size) inputs + outputs)) here, whereas Keras
    counts prod(size) outputs and draws from a narrower range. The ConvLSTM of Linen and
    of Haiku draw w_h like w_i, with the fan-in of w_h.

    Args:
        init: Initializer of dense weights, from `nets.initializers`.
        key: PRNG key, from `jax.random.key`.
        inputs: Number of channels of the input.
        features: Number of channels of the hidden state.
        gates: One letter per gate, as in `Initializer`.
        size: Size of the kernel that reads the input.
        recurrent_size: Size of the kernel that reads the hidden state.

    Returns:
        `Weights` in which w_i and w_h are kernels.

    Example:
        >>> from nets import initializers
        >>> size = (3, 3)
        >>> init, key = initializers.orthogonal, jax.random.key(0)
        >>> weights = draw_kernels(init, key, 2, 8, "ifgo", size, size)
        >>> weights.w_i.shape, weights.w_h.shape, weights.b_i.shape
        ((3, 3, 2, 32), (3, 3, 8, 32), (32,))
    """
    rows, hidden = math.prod(size) * inputs, math.prod(recurrent_size) * features
    weights = init(key, rows, features, gates, hidden=hidden)
    w_h = weights.w_h.reshape(*recurrent_size, features, -1)
    middle = [(k - 1) // 2 for k in recurrent_size]
    return weights._replace(
        w_i=weights.w_i.reshape(*size, inputs, -1),
        w_h=jnp.roll(w_h, middle, axis=range(len(middle))),
    )


def zero_images(
    x: Shaped[Array, "*batch_space_inputs"],
    w_i: Float[Array, "*size inputs outputs"],
    w_h: Float[Array, "*recurrent_size features outputs"],
    **options: Any,
) -> Float[Array, "*batch_space_features"]:
    """Return a state of zeros with the size of the input convolution's output.

    Args:
        x: Input of one step, [*batch, *space, inputs].
        w_i: Kernel that reads the input.
        w_h: Kernel that reads the state.
        **options: Options of `nets.conv` with which w_i reads x.

    Returns:
        Zeros, [*batch, *space', features], of the dtype of the states that steps
        return.

    Raises:
        ValueError: The channels or the number of axes of `x` do not match the
            parameters, or `x` is smaller than the kernel.

    Example:
        >>> w_i, w_h = jnp.ones((3, 3, 2, 32)), jnp.ones((3, 3, 8, 32))
        >>> zero_images(jnp.ones((5, 28, 28, 2)), w_i, w_h, padding="valid").shape
        (5, 26, 26, 8)
    """
    axes, inputs = w_i.ndim - 2, w_i.shape[-2]
    if x.ndim < axes + 1 or x.shape[-1] != inputs:
        raise ValueError(
            f"expected an input [*batch, *space, inputs] with the axes of a "
            f"{format_shape(w_i.shape[:axes])} kernel and inputs = {inputs}, to match "
            f"the parameters; got one of shape {list(x.shape)}"
        )
    read = jax.eval_shape(partial(conv, **options), ConvParams(w_i, None), x)
    dtype = jnp.result_type(read.dtype, w_h.dtype)
    return jnp.zeros((*read.shape[:-1], w_h.shape[-2]), dtype)


def convolve_state(
    w_h: Float[Array, "*recurrent_size features outputs"],
    h: Shaped[Array, "*batch_space features"],
) -> Shaped[Array, "*batch_space outputs"]:
    """Convolve h with W_h, keeping the size of h.

    Args:
        w_h: Kernel that reads the state.
        h: State, [*batch, *space, features].

    Returns:
        The convolution, [*batch, *space, outputs].

    Example:
        >>> convolve_state(jnp.ones((3, 3, 2, 4)), jnp.ones((5, 8, 8, 2))).shape
        (5, 8, 8, 4)
    """
    return conv(ConvParams(w_h, None), h, padding="same")
