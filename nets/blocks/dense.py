"""The dense layer."""

from fractions import Fraction
from functools import partial

import jax

from nets import convolutional
from nets.blocks._filters import Activation, apply_activated
from nets.convolutional import DenseParams
from nets.convolutional.geometry import IntLike, positive
from nets.factories import factory
from nets.initializers import kernels
from nets.types import ImageLayer, ReceptiveField


@factory
def dense(
    features: IntLike,
    *,
    use_bias: bool = True,
    activation: Activation | None = jax.nn.relu,
    init: kernels.KernelInitializer = kernels.linen,
) -> ImageLayer:
    """Dense layer over the last axis, and activation.

        y = activation(x W + b)

    Args:
        features: Number of features of the output.
        use_bias: Whether to add the bias b.
        activation: Elementwise activation function, or None, e.g. for the last layer.
        init: Initializer of W and b, from `nets.initializers.kernels`.

    Returns:
        A `ImageLayer` with `DenseParams`.

    Example:
        >>> from nets import blocks
        >>> layer = blocks.dense(10, activation=None)
        >>> params = layer.init(jax.random.key(0), (64,))
        >>> layer.apply(params, jax.numpy.ones((5, 64))).shape
        (5, 10)
    """
    features = positive("features", features)

    def init_params(key, shape):
        w, b = init(key, (shape[-1], features))
        return DenseParams(w, b if use_bias else None)

    def window(shape):
        ones = (Fraction(1),) * (len(shape) - 1)
        return (
            ReceptiveField(ones, ones) if ones else None
        )  # a vector is read as a whole

    return ImageLayer(
        init_params,
        partial(apply_activated, convolutional.dense, activation),
        name=f"dense {features}",
        receptive_field=window,
    )
