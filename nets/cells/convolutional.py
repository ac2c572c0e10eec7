"""What convolutional cells share: how their kernels start, and how a state begins."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from nets.convolutional.convolution import ConvParams, conv
from nets.convolutional.geometry import by
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
    """The kernels of a convolutional cell, by a scheme for dense ones.

    A kernel is a matrix that reads all that its window shows, and starts as one:

        w_i [*size, inputs, outputs] as a w_i of prod(size) inputs rows
        w_h [*size, features, outputs] as a w_h of hidden = prod(size) features rows

    Its fan-in counts the window, and each gate's w_h, flattened, is orthogonal where
    the scheme says so. The first `features` rows of the w_h come to the place in the
    middle of the window, so that the identity of `irnn` keeps an image as it is.

    With `keras` this is how keras.layers.ConvLSTM2D starts, but for the bound of w_i,
    sqrt(6 / (prod(size) inputs + outputs)), where Keras counts prod(size) outputs and
    draws narrower. Linen's and Haiku's ConvLSTM draw w_h as w_i, by its own fan-in.

    Args:
        init: Of `nets.initializers`.
        key: A key of `jax.random.key`.
        inputs: Channels of the input.
        features: Channels of the hidden state.
        gates: A letter a gate, as in `Initializer`.
        size: Of the input's kernel.
        recurrent_size: Of the hidden state's.

    Returns:
        `Weights`, whose w_i and w_h are kernels.

    Example:
        >>> from nets import initializers
        >>> size = (3, 3)
        >>> scheme, key = initializers.orthogonal, jax.random.key(0)
        >>> weights = draw_kernels(scheme, key, 2, 8, "ifgo", size, size)
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
    w_h: Float[Array, "*around features outputs"],
    **options: Any,
) -> Float[Array, "*batch_space_features"]:
    """Zeros for a state, as large as what the input's convolution gives.

    Args:
        x: One step's input, [*batch, *space, inputs].
        w_i: The kernel that reads it.
        w_h: The kernel that reads the state.
        **options: Of `nets.conv`, by which w_i reads x.

    Returns:
        Zeros, [*batch, *space', features], of the dtype that a step will give them.

    Raises:
        ValueError: `x` has other channels or axes than the cell was made for, or is
            smaller than the kernel.

    Example:
        >>> w_i, w_h = jnp.ones((3, 3, 2, 32)), jnp.ones((3, 3, 8, 32))
        >>> zero_images(jnp.ones((5, 28, 28, 2)), w_i, w_h, padding="valid").shape
        (5, 26, 26, 8)
    """
    axes, inputs = w_i.ndim - 2, w_i.shape[-2]
    if x.ndim < axes + 1 or x.shape[-1] != inputs:
        raise ValueError(
            f"expected an input [*batch, *space, inputs] with the axes of a "
            f"{by(w_i.shape[:axes])} kernel and inputs = {inputs}, as the parameters "
            f"were made for; got one of shape {list(x.shape)}"
        )
    read = jax.eval_shape(partial(conv, **options), ConvParams(w_i, None), x)
    dtype = jnp.result_type(read.dtype, w_h.dtype)
    return jnp.zeros((*read.shape[:-1], w_h.shape[-2]), dtype)


def look_around(
    w_h: Float[Array, "*around features outputs"],
    h: Shaped[Array, "*batch_space features"],
) -> Shaped[Array, "*batch_space outputs"]:
    """W_h * h, as large as h.

    Args:
        w_h: The kernel that reads the state.
        h: The state, [*batch, *space, features].

    Returns:
        The convolution, [*batch, *space, outputs].

    Example:
        >>> look_around(jnp.ones((3, 3, 2, 4)), jnp.ones((5, 8, 8, 2))).shape
        (5, 8, 8, 4)
    """
    return conv(ConvParams(w_h, None), h, padding="same")
