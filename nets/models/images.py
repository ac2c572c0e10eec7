"""Networks of images, of sequences as images of one axis, and of vectors."""

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
    """The convolutional classifier: blocks of conv and pool, then dense layers.

        x -> [conv, activation, pool] for each of `filters` -> flatten
          -> [dense, activation] for each of `hidden` -> dense

    Its kernel tells whether it reads sequences, images, or volumes.

    Args:
        classes: How many labels: the length of the output, the logits.
        filters: Feature maps of each block.
        kernel_size: One number a spatial axis, of every convolution.
        strides: Of every convolution.
        padding: Likewise.
        pool: "max", "mean", "lp", or None for none.
        window: Of the pools; by default 2 along each axis.
        hidden: Units of the dense layers before the last.
        activation: Of all layers but the last.
        init: How the weights start, of `nets.initializers.kernels`.

    Returns:
        A Linen module, to be called with [*batch, *space, channels].

    Raises:
        ValueError: There is no such pool.

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

    as it is built today: each filter of the second convolution sees all six maps, the
    pools have no weights, and the last layer is dense.

    Args:
        classes: How many labels.
        activation: Of all layers but the last.
        init: How the weights start.

    Returns:
        A Linen module, to be called with [*batch, 28, 28, 1].

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
    """The convolutional classifier of sequences that MNIST-1D was published with.

        conv 5, stride 2; then conv 3, stride 2, ...; all padded by 1; flatten; dense

    It shrinks by strides and has no pools. With 40 steps of one number: 5,210
    parameters.

    Args:
        classes: How many labels.
        filters: Feature maps of each convolution.
        activation: Of all layers but the last.
        init: How the weights start; PyTorch's, as published.

    Returns:
        A Linen module, to be called with [*batch, time, inputs].

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
    """The feed-forward net, of any depth: dense layers and their activations.

        h_1 = activation(W_1 x + b_1)
        h_l = activation(W_l h_(l-1) + b_l) (+ h_(l-1), if residual)
        y = W h + b

    Args:
        features: Hidden units of each layer, from the input on; none for a linear
            model.
        classes: The length of the output.
        residual: Whether the layers after the first, where they keep the number of
            units, add what they learn to what comes in.
        activation: Of all layers but the last.
        init: How the weights start.

    Returns:
        A Linen module, to be called with [*batch, inputs].

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
