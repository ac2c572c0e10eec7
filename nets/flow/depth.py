"""The gradient at every layer of a network: depth in place of time."""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, SupportsIndex

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree, Shaped

from nets.flow.decay import log_norms
from nets.flow.saliency import plus, zeros_to_add
from nets.flow.state_gradients import check_scalar_loss
from nets.recurrent import RecurrentLayer, as_layer
from nets.types import Cell, ImageLayer, Params


def depth_gradients(
    layers: Sequence[Cell | RecurrentLayer | ImageLayer],
    params: Sequence[Params],
    xs: PyTree[Shaped[Array, "..."]],
    loss: Callable[[Any], Float[Array, ""]],
    **options: Any,
) -> tuple[Float[Array, ""], tuple[PyTree[Shaped[Array, "..."]], ...]]:
    """The loss, and dL/da_l for the output of every layer, in one backward pass.

        a_0 = xs,   a_l = layer_l(a_{l-1}),   g_l = dL/da_l,   l = 0 ... depth

    with respect to zeros added to each a_l. A network of depth T whose layers share
    their weights is a recurrence of T steps, and its g_{t+1} is dL/ds_t of
    `state_gradients`. Depth takes the place of time, and `decay_rate` and `half_life`
    measure how fast a gradient shrinks per layer as they do per step.

    Args:
        layers: From the input to the output: layers of `nets.blocks`, or cells and
            recurrent layers, in any order that fits.
        params: Parameters, one entry per layer, as `init` of `nets.stack` and of
            `blocks.sequential` returns them.
        xs: Input: [*batch, *space, channels] for image layers, [time, *batch, inputs]
            for recurrent layers.
        loss: Function from the outputs of the last layer to a scalar. If it is a sum
            over the batch, each example has the gradients of its own loss.
        **options: Options of `nets.unroll` for the recurrent layers, such as `lengths`.

    Returns:
        The loss, and its gradients: that of xs, then one per layer, of the shape of the
        layer's output. See `depth_log_norms`.

    Raises:
        ValueError: The numbers of parameters and layers differ, or the loss is not a
            scalar.

    Example:
        >>> from nets import blocks
        >>> layers = [blocks.dense(64, activation=jnp.tanh) for _ in range(20)]
        >>> params = blocks.sequential(*layers).init(jax.random.key(0), (32,))
        >>> xs = jax.random.normal(jax.random.key(1), (5, 32))
        >>> loss, gradients = depth_gradients(
        ...     layers, params, xs, lambda ys: (ys**2).sum()
        ... )
        >>> len(gradients), gradients[0].shape, gradients[1].shape
        (21, (5, 32), (5, 64))

    References:
        Glorot and Bengio 2010, Understanding the difficulty of training deep
        feedforward neural networks, AISTATS,
        https://proceedings.mlr.press/v9/glorot10a.html
        He, Zhang, Ren and Sun 2016, Deep residual learning for image recognition, CVPR,
        https://arxiv.org/abs/1512.03385
    """
    if len(params) != len(layers):
        raise ValueError(
            f"expected parameters of {len(layers)} layers, one entry each; got those "
            f"of {len(params)}"
        )
    xs = jax.tree.map(jnp.asarray, xs)

    def outputs(perturbations):
        activations = [xs if perturbations is None else plus(xs, perturbations[0])]
        for i, (layer, params_of_layer) in enumerate(zip(layers, params, strict=True)):
            if isinstance(layer, ImageLayer):
                ys = layer.apply(params_of_layer, activations[-1])
            else:
                _, ys = as_layer(layer).apply(
                    params_of_layer, activations[-1], **options
                )
            activations.append(
                ys if perturbations is None else plus(ys, perturbations[i + 1])
            )
        return tuple(activations)

    def value(perturbations):
        return check_scalar_loss(loss(outputs(perturbations)[-1]))

    return jax.value_and_grad(value)(zeros_to_add(jax.eval_shape(outputs, None)))


def depth_log_norms(
    gradients: Sequence[PyTree[Shaped[Array, "..."]]],
    batch_axis: SupportsIndex | Sequence[SupportsIndex] = 0,
) -> Float[Array, "depth batch"]:
    """ln of the Euclidean norm of each layer's gradient, for each example.

        ln |g_l|,   over all positions, steps and features of a_l

    This is `log_norms` with depth in place of time, so that its `decay_rate` and
    `half_life` count layers instead of steps. Leave out the first row if the width of
    the inputs differs from that of the layers.

    Args:
        gradients: Gradients from `depth_gradients`.
        batch_axis: Index of the batch axis: 0 in networks of vectors and images, 1
            after an axis of time, as in recurrent layers. One number for all layers, or
            one per gradient, that of the input first.

    Returns:
        Nats, [depth, batch], the input first; -inf where the gradient is zero, inf
        where it has overflowed.

    Raises:
        ValueError: An array does not have the axis, or the numbers of axes and
            gradients differ.

    Example:
        >>> gradients = jnp.ones((5, 4)), jnp.full((5, 2, 8), 0.5)
        >>> depth_log_norms(gradients)[:, 0].round(3).tolist()
        [0.6930000185966492, 0.6930000185966492]

        >>> import nets
        >>> layers = [nets.gru(), nets.gru(), nets.gru()]
        >>> params = nets.stack(*layers).init(jax.random.key(0), 8, 8)
        >>> _, gradients = depth_gradients(
        ...     layers, params, jnp.ones((10, 5, 8)), lambda ys: (ys[-1] ** 2).sum()
        ... )
        >>> depth_log_norms(gradients, batch_axis=1).shape
        (4, 5)
    """
    if not isinstance(batch_axis, Sequence):
        batch_axis = [batch_axis] * len(gradients)
    if len(batch_axis) != len(gradients):
        raise ValueError(
            f"expected one batch axis, or one for each of {len(gradients)} gradients, "
            f"that of the input included; got {len(batch_axis)}"
        )

    def rows(leaf, axis):
        axis = operator.index(axis)
        if not 0 <= axis < leaf.ndim:
            raise ValueError(
                f"expected gradients with the batch on axis {axis}; got an array of "
                f"shape {list(leaf.shape)}: give another batch_axis, and a single "
                "example a batch of one"
            )
        rest = math.prod(leaf.shape[:axis] + leaf.shape[axis + 1 :])
        return jnp.moveaxis(leaf, axis, 0).reshape(1, leaf.shape[axis], rest)

    norms = [
        log_norms([rows(leaf, axis) for leaf in jax.tree.leaves(gradient)])
        for gradient, axis in zip(gradients, batch_axis, strict=True)
    ]
    if len({norm.shape for norm in norms}) > 1:
        raise ValueError(
            "expected gradients of one batch at every layer; got batches of "
            f"{[norm.shape[1] for norm in norms]}: give the batch_axis of each"
        )
    return jnp.concatenate(norms)
