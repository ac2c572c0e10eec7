"""Initializers of convolutions and dense layers: the defaults of each library."""

import math
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax.nn import initializers as jax_initializers
from jaxtyping import Array, Float

from nets.types import KeyArray


@runtime_checkable
class KernelInitializer(Protocol):
    """Initializer of a convolution or dense layer: any function of a key and a shape.

    Example:
        >>> import jax.numpy as jnp
        >>> from nets import blocks
        >>> def zeros(key, shape):
        ...     return jnp.zeros(shape), jnp.zeros(shape[-1])
        >>> layer = blocks.dense(4, init=zeros)
        >>> layer.init(jax.random.key(0), (3,)).w.shape
        (3, 4)
    """

    def __call__(
        self, key: KeyArray, shape: Sequence[int], /
    ) -> tuple[Float[Array, "..."], Float[Array, " filters"]]:
        """Draw the kernel and the bias.

        Args:
            key: PRNG key, from `jax.random.key`.
            shape: Shape of the kernel, [*size, inputs, filters].

        Returns:
            The kernel and the bias, which is [filters].
        """
        ...


def linen(
    key: KeyArray, shape: Sequence[int]
) -> tuple[Float[Array, "..."], Float[Array, " filters"]]:
    """Flax's default (lecun_normal): outputs have the variance of the inputs.

        W ~ truncated normal of variance 1 / fan_in    (lecun_normal),   b = 0

    where fan_in is the number of inputs that a filter reads.

    `KernelInitializer` describes the arguments and the result.

    Example:
        >>> kernel, bias = linen(jax.random.key(0), (3, 3, 16, 32))
        >>> kernel.shape, bias.shape, round(float(kernel.std() * 12), 1)
        ((3, 3, 16, 32), (32,), 1.0)

    References:
        LeCun, Bottou, Orr and Müller 1998, Efficient backprop.
        Flax, flax.linen.Conv, https://flax.readthedocs.io
    """
    return jax_initializers.lecun_normal()(key, shape), jnp.zeros(shape[-1])


def he(
    key: KeyArray, shape: Sequence[int]
) -> tuple[Float[Array, "..."], Float[Array, " filters"]]:
    """He's initialization (he_normal), for layers of ReLUs, half of which are inactive.

        W ~ truncated normal of variance 2 / fan_in    (he_normal),   b = 0

    `KernelInitializer` describes the arguments and the result.

    Example:
        >>> kernel, bias = he(jax.random.key(0), (3, 3, 16, 32))
        >>> round(float(kernel.std() * 12), 1)
        1.4

    References:
        He, Zhang, Ren and Sun 2015, Delving deep into rectifiers, ICCV,
        https://arxiv.org/abs/1502.01852
    """
    return jax_initializers.he_normal()(key, shape), jnp.zeros(shape[-1])


def keras(
    key: KeyArray, shape: Sequence[int]
) -> tuple[Float[Array, "..."], Float[Array, " filters"]]:
    """Keras's default (glorot_uniform), a compromise between outputs and gradients.

        W ~ U(-a, a),   a = sqrt(6 / (fan_in + fan_out))    (glorot_uniform),   b = 0

    where fan_out is the number of outputs that read an input channel.

    `KernelInitializer` describes the arguments and the result.

    Example:
        >>> kernel, bias = keras(jax.random.key(0), (3, 3, 16, 32))
        >>> bool(abs(kernel).max() <= (6 / (9 * 16 + 9 * 32)) ** 0.5)
        True

    References:
        Glorot and Bengio 2010, Understanding the difficulty of training deep
        feedforward neural networks, AISTATS.
        Keras, keras.layers.Conv2D, https://keras.io/api/layers
    """
    return jax_initializers.glorot_uniform()(key, shape), jnp.zeros(shape[-1])


def torch(
    key: KeyArray, shape: Sequence[int]
) -> tuple[Float[Array, "..."], Float[Array, " filters"]]:
    """PyTorch's default, in which the bias is random, too.

        W, b ~ U(-a, a),   a = 1 / sqrt(fan_in)    (kaiming_uniform, a = sqrt(5))

    (For a transposed convolution PyTorch counts filters instead of inputs in fan_in.)

    `KernelInitializer` describes the arguments and the result.

    Example:
        >>> kernel, bias = torch(jax.random.key(0), (3, 3, 16, 32))
        >>> bool(abs(kernel).max() <= 1 / 12), bool(abs(bias).max() <= 1 / 12)
        (True, True)

    References:
        PyTorch, torch.nn.Conv2d,
        https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv2d.html
    """
    key_w, key_b = jax.random.split(key)
    a = math.prod(shape[:-1]) ** -0.5
    return (
        jax.random.uniform(key_w, tuple(shape), minval=-a, maxval=a),
        jax.random.uniform(key_b, (shape[-1],), minval=-a, maxval=a),
    )


KERNELS: dict[str, KernelInitializer] = {
    "linen": linen,
    "he": he,
    "keras": keras,
    "torch": torch,
}
