"""Nets as deep as a digit has pixels, and the gradient at each of their layers."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array

import nets
from experiments.harness import probing
from experiments.harness.training import losses
from nets import Cell, ElmanState, blocks, convolutional, flow, initializers
from nets.convolutional import DenseParams
from nets.initializers import Initializer, Weights, kernels
from nets.models import SequenceClassifier
from nets.recurrent import time_first

CLASSES, PIXELS = 10, 64

# What figures, tables and claims call them.
FEED_FORWARD = {"tanh": "feed-forward tanh", "ReLU": "feed-forward ReLU"}
ELMAN = {"tanh": "Elman tanh", "ReLU": "Elman ReLU"}
LSTM, GRU = "LSTM", "GRU"
ONE_MATRIX = "feed-forward tanh, one matrix"
OWN_MATRICES = "Elman tanh, a matrix a step"


class Net(NamedTuple):
    """A net of digits, and its gradient by layer or by step.

    Attributes:
        name: What it is called.
        init: `params = init(key, scheme, width)`.
        log_norms: `log_norms(params, xs, labels)`, of xs [examples, 64]: ln of the
            norm of the gradient of each layer or state, the median over examples,
            [depth]; next to the loss stands the last.
        logits: `logits(params, xs)`; None of a net that is not to be trained.
    """

    name: str
    init: Callable[[Array, Initializer, int], Any]
    log_norms: Callable[[Any, Array, Array], Array]
    logits: Callable[[Any, Array], Array] | None = None


def drawn(kernel: kernels.KernelInitializer) -> Initializer:
    """A scheme of cells that draws their matrices as those of dense layers.

    Args:
        kernel: Such as `nets.initializers.kernels.he`.

    Returns:
        A scheme; forget gates start with a bias of 1, as in `orthogonal`.

    Example:
        >>> weights = drawn(kernels.he)(jax.random.key(0), 3, 8, "ifgo")
        >>> weights.w_i.shape, weights.w_h.shape
        ((3, 32), (8, 32))
    """

    def scheme(key, inputs, features, gates, hidden=None):
        def draw(number, rows):
            keys = jax.random.split(jax.random.fold_in(key, number), len(gates))
            found = [kernel(k, (rows, features)) for k in keys]
            return [
                jnp.concatenate(parts, axis=-1) for parts in zip(*found, strict=True)
            ]

        w_i, b_i = draw(0, inputs)
        w_h, b_h = draw(1, hidden or features)
        return Weights(w_i, w_h, initializers.set_gate(b_i, gates, "f", 1.0), b_h)

    return scheme


INITIALIZERS: dict[str, Initializer] = {
    "orthogonal": initializers.orthogonal,
    "lecun": drawn(kernels.linen),
    "he": drawn(kernels.he),
    "torch": initializers.torch,
}


class Stacked(NamedTuple):
    """Parameters of a feed-forward net: hidden are those of all its square layers."""

    first: DenseParams
    hidden: DenseParams
    head: DenseParams


def feed_forward(activation: Callable[[Array], Array], depth: int, name: str) -> Net:
    """A layer that reads the pixels, `depth` square ones, a head without activation."""
    layer = blocks.dense(1, activation=activation).apply  # 1: the width of no params

    def init(key, scheme, width):
        first, hidden, head = (jax.random.fold_in(key, i) for i in range(3))

        def dense(key, inputs, features):  # as a cell's matrix from state to state
            drawn = scheme(key, inputs, features, "n", inputs)
            return DenseParams(drawn.w_h, drawn.b_i + drawn.b_h)

        keys = jax.random.split(hidden, depth)
        return Stacked(
            dense(first, PIXELS, width),
            jax.vmap(lambda key: dense(key, width, width))(keys),
            DenseParams(*kernels.linen(head, (width, CLASSES))),
        )

    def step(ys, own):
        return layer(own, ys)

    def logits(params, xs):
        ys = layer(params.first, xs)
        ys, _ = jax.lax.scan(lambda ys, own: (step(ys, own), None), ys, params.hidden)
        return convolutional.dense(params.head, ys)

    def log_norms(params, xs, labels):
        return by_step(
            step, params.hidden, layer(params.first, xs), params.head, labels
        )

    return Net(name, init, log_norms, logits)


def by_step(
    step: Callable[[Any, Any], Array],
    inputs: Any,
    start: Array,
    head: DenseParams,
    labels: Array,
) -> Array:
    """The log norms of a net whose layers differ, as of a cell that reads weights.

    `flow.depth_gradients` finds the same, but sees a program of so many layers, which
    takes seconds to compile where that of one step takes a tenth.

    Args:
        step: `ys = step(ys, input)`.
        inputs: A tree of arrays [depth, ...]: the weights of each layer, and what else
            it reads.
        start: What the first of them begins with, [examples, width].
        head: What makes logits of what the last puts out.
        labels: [examples].

    Returns:
        As in `Net`.
    """

    def loss(ys, _):
        return losses(convolutional.dense(head, ys), labels).sum()

    def one(_, ys, x):
        ys = step(ys, x)
        return ys, ys

    cell = Cell(lambda *_: (), lambda *_: start, one)
    _, gradients = flow.state_gradients(cell, (), inputs, loss)
    return jnp.median(flow.log_norms(gradients), axis=1)


def recurrent(make: Callable[..., Cell], depth: int, name: str) -> Net:
    """A cell that reads the pixels in turn, and a dense layer on its last output."""

    def model(width):
        return SequenceClassifier(make(), width, CLASSES)

    def init(key, scheme, width):
        first, head = (jax.random.fold_in(key, i) for i in range(2))
        cell = make(init=scheme).init(first, PIXELS // depth, width)
        kernel, bias = kernels.linen(head, (width, CLASSES))
        return {"recurrent": {"cell": cell}, "dense": {"kernel": kernel, "bias": bias}}

    def logits(params, xs):
        width = params["dense"]["kernel"].shape[0]
        found = model(width).apply({"params": params}, in_turn(xs, depth))
        return cast(Array, found)

    def log_norms(params, xs, labels):
        width = params["dense"]["kernel"].shape[0]
        data = in_turn(xs, depth), labels
        return probing.state_gradients(model(width), params, data)["forward"]

    return Net(name, init, log_norms, logits)


def one_matrix(net: Net) -> Net:
    """A feed-forward net whose square layers all start with the same weights."""

    def init(key, scheme, width):
        params = net.init(key, scheme, width)
        same = jax.tree.map(lambda p: jnp.broadcast_to(p[:1], p.shape), params.hidden)
        return params._replace(hidden=same)

    return net._replace(name=ONE_MATRIX, init=init, logits=None)


def own_matrices(depth: int) -> Net:
    """Elman's net with weights of its own in every step, to be measured untrained."""

    def init(key, scheme, width):
        first, head = (jax.random.fold_in(key, i) for i in range(2))
        cell = nets.elman(init=scheme)
        keys = jax.random.split(first, depth)
        steps = jax.vmap(lambda key: cell.init(key, PIXELS // depth, width))(keys)
        return steps, DenseParams(*kernels.linen(head, (width, CLASSES)))

    def step(ys, inputs):
        own, x = inputs
        return nets.elman().step(own, ElmanState(ys), x)[1]

    def log_norms(params, xs, labels):
        steps, head = params
        inputs = steps, time_first(in_turn(xs, depth))
        start = jnp.zeros((len(xs), head.w.shape[0]))
        return by_step(step, inputs, start, head, labels)

    return Net(OWN_MATRICES, init, log_norms)


def in_turn(xs: Array, steps: int) -> Array:
    """Images as sequences of so many steps.

    Args:
        xs: [examples, pixels].
        steps: How many; they divide the pixels.

    Returns:
        [examples, steps, pixels / steps].

    Example:
        >>> in_turn(jnp.arange(4.0)[None], 2).tolist()
        [[[0.0, 1.0], [2.0, 3.0]]]
    """
    return xs.reshape(len(xs), steps, -1)


def all_of(depth: int) -> list[Net]:
    """The nets that are compared, those that are trained too first."""
    plain = feed_forward(jnp.tanh, depth, FEED_FORWARD["tanh"])
    relu = partial(nets.elman, activation=jax.nn.relu)
    return [
        plain,
        feed_forward(jax.nn.relu, depth, FEED_FORWARD["ReLU"]),
        recurrent(nets.elman, depth, ELMAN["tanh"]),
        recurrent(relu, depth, ELMAN["ReLU"]),
        recurrent(nets.lstm, depth, LSTM),
        recurrent(nets.gru, depth, GRU),
        one_matrix(plain),
        own_matrices(depth),
    ]
