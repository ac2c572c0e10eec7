"""How convolutions and dense layers begin: what each library draws by default."""

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax.nn import initializers as jax_initializers
from jaxtyping import Array, Float

from nets.types import KeyArray

KernelInitializer = Callable[
    [KeyArray, Sequence[int]], tuple[Float[Array, "..."], Float[Array, " filters"]]
]


def linen(
    key: KeyArray, shape: Sequence[int]
) -> tuple[Float[Array, "..."], Float[Array, " filters"]]:
    """As Flax draws them, so that outputs vary as inputs do.

        W ~ truncated normal of variance 1 / fan_in    (lecun_normal),   b = 0

    where fan_in is how many numbers a filter sees.

    Args:
        key: A key of `jax.random.key`.
        shape: Of the kernel, [*size, inputs, filters].

    Returns:
        The kernel, and the bias, [filters].

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
    """For layers of ReLUs, half of which pass nothing on.

        W ~ truncated normal of variance 2 / fan_in    (he_normal),   b = 0

    Args:
        key: A key of `jax.random.key`.
        shape: Of the kernel, [*size, inputs, filters].

    Returns:
        The kernel, and the bias, [filters].

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
    """As Keras draws them, a mean between outputs forward and gradients backward.

        W ~ U(-a, a),   a = sqrt(6 / (fan_in + fan_out))    (glorot_uniform),   b = 0

    where fan_out is how many outputs a channel of the input reaches.

    Args:
        key: A key of `jax.random.key`.
        shape: Of the kernel, [*size, inputs, filters].

    Returns:
        The kernel, and the bias, [filters].

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
    """As PyTorch draws them, the bias too.

        W, b ~ U(-a, a),   a = 1 / sqrt(fan_in)    (kaiming_uniform, a = sqrt(5))

    (For a transposed convolution PyTorch counts the filters in place of the inputs.)

    Args:
        key: A key of `jax.random.key`.
        shape: Of the kernel, [*size, inputs, filters].

    Returns:
        The kernel, and the bias, [filters].

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
    init.__name__: init for init in (linen, he, keras, torch)
}
