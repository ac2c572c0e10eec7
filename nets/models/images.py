"""Networks of images, of sequences (as images with one axis), and of vectors."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from nets import blocks
from nets.convolutional.geometry import Sizes
from nets.convolutional.padding import Padding
from nets.initializers import kernels
from nets.linen import Sequential
from nets.types import ImageLayer

POOLS = {"max": blocks.max_pool, "mean": blocks.mean_pool, "lp": blocks.lp_pool}


def cnn(
    classes: int = 10,
    filters: Sequence[int] = (16, 32),
    kernel_size: Sequence[int] = (3, 3),
    *,
    strides: Sizes = 1,
    padding: Padding = "same",
    pool: str | None = "max",
    window: Sequence[int] | None = None,
    hidden: Sequence[int] = (),
    activation: Callable[[Array], Array] = jax.nn.relu,
    init: kernels.KernelInitializer = kernels.linen,
) -> Sequential:
    """Convolutional classifier: blocks of convolution and pool, then dense layers.

        x -> [conv, activation, pool] for each of `filters` -> flatten
          -> [dense, activation] for each of `hidden` -> dense

    The kernel size determines whether it reads sequences, images, or volumes.

    Args:
        classes: Number of labels, the length of the output (the logits).
        filters: Number of filters of each block.
        kernel_size: Kernel size of every convolution, one number per spatial axis.
        strides: Strides of every convolution.
        padding: Padding of every convolution.
        pool: Kind of pool: "max", "mean", "lp", or None for no pool.
        window: Window of the pools. Default: 2 along each axis.
        hidden: Number of units of each dense layer before the last.
        activation: Activation function of all layers except the last.
        init: Initializer of the weights, from `nets.initializers.kernels`.

    Returns:
        A Linen module, called with [*batch, *space, channels].

    Raises:
        ValueError: The kind of pool is unknown.

    Example:
        >>> from nets import models
        >>> model = models.cnn(classes=10)
        >>> xs = jnp.ones((5, 8, 8, 1))
        >>> logits, variables = model.init_with_output(jax.random.key(0), xs)
        >>> logits.shape
        (5, 10)

    References:
        LeCun et al. 1998, Gradient-based learning applied to document recognition,
        Proceedings of the IEEE, https://doi.org/10.1109/5.726791
    """
    if pool is not None and pool not in POOLS:
        raise ValueError(
            f"expected a pool of {', '.join(POOLS)}, or None; got {pool!r}"
        )
    axes = len(kernel_size)
    layers: list[ImageLayer] = []
    for count in filters:
        layers.append(
            blocks.conv(
                count,
                kernel_size,
                strides=strides,
                padding=padding,
                activation=activation,
                init=init,
            )
        )
        if pool is not None:
            layers.append(POOLS[pool](window or (2,) * axes))
    layers.append(blocks.flatten(axes))
    layers += _dense_layers(hidden, activation, init)
    layers.append(blocks.dense(classes, activation=None, init=init))
    return Sequential(tuple(layers))


def lenet5(
    classes: int = 10,
    *,
    activation: Callable[[Array], Array] = jnp.tanh,
    init: kernels.KernelInitializer = kernels.linen,
) -> Sequential:
    """LeNet-5, for images of 28x28: 61,706 parameters.

        conv 6@5x5, mean_pool, conv 16@5x5, mean_pool, dense 120, dense 84, dense 10

    in its common modern form: each filter of the second convolution reads all six maps,
    the pools have no weights, and the last layer is dense.

    Args:
        classes: Number of labels.
        activation: Activation function of all layers except the last.
        init: Initializer of the weights, from `nets.initializers.kernels`.

    Returns:
        A Linen module, called with [*batch, 28, 28, 1].

    Example:
        >>> from nets import models
        >>> model = models.lenet5()
        >>> variables = model.init(jax.random.key(0), jnp.ones((28, 28, 1)))
        >>> sum(leaf.size for leaf in jax.tree.leaves(variables))
        61706

    References:
        LeCun et al. 1998, Gradient-based learning applied to document recognition,
        Proceedings of the IEEE, https://doi.org/10.1109/5.726791
    """
    options: Any = {"activation": activation, "init": init}
    return Sequential(
        (
            blocks.conv(6, (5, 5), padding=2, **options),
            blocks.mean_pool((2, 2)),
            blocks.conv(16, (5, 5), **options),
            blocks.mean_pool((2, 2)),
            blocks.flatten(axes=2),
            blocks.dense(120, **options),
            blocks.dense(84, **options),
            blocks.dense(classes, activation=None, init=init),
        )
    )


def cnn_1d(
    classes: int = 10,
    filters: Sequence[int] = (25, 25, 25),
    *,
    activation: Callable[[Array], Array] = jax.nn.relu,
    init: kernels.KernelInitializer = kernels.torch,
) -> Sequential:
    """Convolutional classifier of sequences from the publication of MNIST-1D.

        conv 5, stride 2; then conv 3, stride 2, ...; all padded by 1; flatten; dense

    Its strides reduce the number of steps; it has no pools. For 40 steps of one number
    it has 5,210 parameters.

    Args:
        classes: Number of labels.
        filters: Number of filters of each convolution.
        activation: Activation function of all layers except the last.
        init: Initializer of the weights. Default: PyTorch's, as published.

    Returns:
        A Linen module, called with [*batch, time, inputs].

    Example:
        >>> from nets import models
        >>> model = models.cnn_1d()
        >>> variables = model.init(jax.random.key(0), jnp.ones((40, 1)))
        >>> sum(leaf.size for leaf in jax.tree.leaves(variables))
        5210

    References:
        Greydanus and Kobak 2024, Scaling down deep learning with MNIST-1D, ICML,
        https://arxiv.org/abs/2011.14439
    """
    options: Any = {"strides": 2, "padding": 1, "activation": activation}
    layers = [
        blocks.conv(count, (3,) if i else (5,), init=init, **options)
        for i, count in enumerate(filters)
    ]
    head = blocks.dense(classes, activation=None, init=init)
    return Sequential((*layers, blocks.flatten(axes=1), head))


def feed_forward(
    features: Sequence[int],
    classes: int = 10,
    *,
    residual: bool = False,
    activation: Callable[[Array], Array] = jax.nn.relu,
    init: kernels.KernelInitializer = kernels.linen,
) -> Sequential:
    """Feed-forward network of any depth: dense layers and activations.

        h_1 = activation(W_1 x + b_1)
        h_l = activation(W_l h_(l-1) + b_l) (+ h_(l-1), if residual)
        y = W h + b

    Args:
        features: Number of hidden units of each layer; empty for a linear model.
        classes: Length of the output.
        residual: Whether each layer after the first adds its input to its output, if
            both have the same number of units.
        activation: Activation function of all layers except the last.
        init: Initializer of the weights, from `nets.initializers.kernels`.

    Returns:
        A Linen module, called with [*batch, inputs].

    Example:
        >>> from nets import models
        >>> model = models.feed_forward((64,) * 20, classes=10)
        >>> xs = jnp.ones((5, 32))
        >>> logits, variables = model.init_with_output(jax.random.key(0), xs)
        >>> logits.shape, len(variables["params"])
        ((5, 10), 21)
    """
    layers = _dense_layers(features, activation, init)
    if residual:
        layers = [
            blocks.residual(layer) if i and features[i - 1] == features[i] else layer
            for i, layer in enumerate(layers)
        ]
    head = blocks.dense(classes, activation=None, init=init)
    return Sequential((*layers, head))


def _dense_layers(features, activation, init) -> list[ImageLayer]:
    return [blocks.dense(count, activation=activation, init=init) for count in features]
