"""Deep and recurrent classifiers of digits, and the gradient at each layer or step."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array

import nets
from experiments.harness import probing
from experiments.harness.training import losses
from nets import Cell, blocks, convolutional, flow, initializers
from nets.cells import ElmanState
from nets.convolutional import DenseParams
from nets.initializers import Initializer, Weights, kernels
from nets.models import SequenceClassifier
from nets.recurrent import time_first

CLASSES, PIXELS = 10, 64

# Names in figures, tables and claims.
FEED_FORWARD = {"tanh": "feed-forward tanh", "ReLU": "feed-forward ReLU"}
ELMAN = {"tanh": "Elman tanh", "ReLU": "Elman ReLU"}
LSTM, GRU = "LSTM", "GRU"
ONE_MATRIX = "feed-forward tanh, one matrix"
MATRIX_PER_STEP = "Elman tanh, one matrix per step"


class Net(NamedTuple):
    """A classifier of digits, and its gradient by layer or by step.

    Attributes:
        name: Name of the network.
        init: Function `params = init(key, initializer, width)`.
        log_norms: Function `log_norms(params, xs, labels)`, xs [examples, inputs]: ln
            of the norm of the gradient of each layer or state, median over examples,
            [depth]; the layer next to the loss is last.
        logits: Function `logits(params, xs)`; None for a network that is not trained.
        model: Function of the width that returns the classifier of a recurrent net,
            whose parameters `init` returns; None for a feed-forward net.
    """

    name: str
    init: Callable[[Array, Initializer, int], Any]
    log_norms: Callable[[Any, Array, Array], Array]
    logits: Callable[[Any, Array], Array] | None = None
    model: Callable[[int], SequenceClassifier] | None = None


def from_kernel(kernel: kernels.KernelInitializer) -> Initializer:
    """Initialize the matrices of cells by an initializer of dense layers.

    Args:
        kernel: Initializer of dense layers, such as `nets.initializers.kernels.he`.

    Returns:
        An initializer of cells; forget gates have a bias of 1, as in `orthogonal`.

    Example:
        >>> weights = from_kernel(kernels.he)(jax.random.key(0), 3, 8, "ifgo")
        >>> weights.w_i.shape, weights.w_h.shape
        ((3, 32), (8, 32))
    """

    def initializer(key, inputs, features, gates, hidden=None):
        def draw(number, rows):
            keys = jax.random.split(jax.random.fold_in(key, number), len(gates))
            gate_weights = [kernel(k, (rows, features)) for k in keys]
            return [
                jnp.concatenate(parts, axis=-1)
                for parts in zip(*gate_weights, strict=True)
            ]

        w_i, b_i = draw(0, inputs)
        w_h, b_h = draw(1, hidden or features)
        return Weights(w_i, w_h, initializers.set_gate(b_i, gates, "f", 1.0), b_h)

    return initializer


INITIALIZERS: dict[str, Initializer] = {
    "orthogonal": initializers.orthogonal,
    "lecun": from_kernel(kernels.linen),
    "he": from_kernel(kernels.he),
    "torch": initializers.torch,
}


class Stacked(NamedTuple):
    """Parameters of a feed-forward net.

    Attributes:
        first: Parameters of the layer that reads the pixels.
        hidden: Parameters of all square layers, stacked.
        head: Parameters of the dense layer that returns logits.
    """

    first: DenseParams
    hidden: DenseParams
    head: DenseParams


def feed_forward(
    activation: Callable[[Array], Array],
    depth: int,
    name: str,
    inputs: int = PIXELS,
    classes: int = CLASSES,
) -> Net:
    """A layer that reads all inputs, `depth` square layers, and a linear head."""
    layer = blocks.dense(1, activation=activation).apply  # the width is not used

    def init(key, initializer, width):
        first, hidden, head = (jax.random.fold_in(key, i) for i in range(3))

        def dense(key, rows, features):  # like the recurrent matrix of a cell
            drawn = initializer(key, rows, features, "n", rows)
            return DenseParams(drawn.w_h, drawn.b_i + drawn.b_h)

        keys = jax.random.split(hidden, depth)
        return Stacked(
            dense(first, inputs, width),
            jax.vmap(lambda key: dense(key, width, width))(keys),
            DenseParams(*kernels.linen(head, (width, classes))),
        )

    def step(ys, weights):
        return layer(weights, ys)

    def logits(params, xs):
        ys = layer(params.first, xs)
        ys, _ = jax.lax.scan(lambda ys, w: (step(ys, w), None), ys, params.hidden)
        return convolutional.dense(params.head, ys)

    def log_norms(params, xs, labels):
        start = layer(params.first, xs)
        return log_norms_by_step(step, params.hidden, start, params.head, labels)

    return Net(name, init, log_norms, logits)


def log_norms_by_step(
    step: Callable[[Any, Any], Array],
    inputs: Any,
    start: Array,
    head: DenseParams,
    labels: Array,
) -> Array:
    """Log norms of a deep net, unrolled like a cell that reads its weights.

    `flow.depth_gradients` returns the same numbers, but compiles a program of all
    layers, which takes seconds; the program of one step takes about a tenth.

    Args:
        step: Function `ys = step(ys, input)`.
        inputs: Weights and inputs of each layer, a tree of arrays [depth, ...].
        start: Input of the first layer, [examples, width].
        head: Dense layer that maps the last outputs to logits.
        labels: Labels, [examples].

    Returns:
        Log norms, [depth], as in `Net`.
    """

    def loss(ys, _):
        return losses(convolutional.dense(head, ys), labels).sum()

    def cell_step(_, ys, x):
        ys = step(ys, x)
        return ys, ys

    cell = Cell(lambda *_: (), lambda *_: start, cell_step)
    _, gradients = flow.state_gradients(cell, (), inputs, loss)
    return jnp.median(flow.log_norms(gradients), axis=1)


def recurrent(
    make: Callable[..., Cell],
    depth: int,
    name: str,
    inputs: int = PIXELS,
    classes: int = CLASSES,
) -> Net:
    """A cell that reads the inputs in sequence, and a dense layer at the end."""

    def model(width):
        return SequenceClassifier(make(), width, classes)

    def init(key, initializer, width):
        first, head = (jax.random.fold_in(key, i) for i in range(2))
        cell = make(init=initializer).init(first, inputs // depth, width)
        kernel, bias = kernels.linen(head, (width, classes))
        return {"recurrent": {"cell": cell}, "dense": {"kernel": kernel, "bias": bias}}

    def logits(params, xs):
        width = params["dense"]["kernel"].shape[0]
        logits = model(width).apply({"params": params}, as_sequence(xs, depth))
        return cast(Array, logits)

    def log_norms(params, xs, labels):
        width = params["dense"]["kernel"].shape[0]
        data = as_sequence(xs, depth), labels
        return probing.state_gradients(model(width), params, data)["forward"]

    return Net(name, init, log_norms, logits, model)


def one_matrix(net: Net) -> Net:
    """A feed-forward net whose square layers share the same initial weights."""

    def init(key, initializer, width):
        params = net.init(key, initializer, width)
        same = jax.tree.map(lambda p: jnp.broadcast_to(p[:1], p.shape), params.hidden)
        return params._replace(hidden=same)

    return net._replace(name=ONE_MATRIX, init=init, logits=None)


def matrix_per_step(depth: int, inputs: int = PIXELS, classes: int = CLASSES) -> Net:
    """Elman's net with separate weights in every step, which is not trained."""

    def init(key, initializer, width):
        first, head = (jax.random.fold_in(key, i) for i in range(2))
        cell = nets.elman(init=initializer)
        keys = jax.random.split(first, depth)
        steps = jax.vmap(lambda key: cell.init(key, inputs // depth, width))(keys)
        return steps, DenseParams(*kernels.linen(head, (width, classes)))

    def step(ys, weights_and_x):
        weights, x = weights_and_x
        return nets.elman().step(weights, ElmanState(ys), x)[1]

    def log_norms(params, xs, labels):
        steps, head = params
        by_step = steps, time_first(as_sequence(xs, depth))
        start = jnp.zeros((len(xs), head.w.shape[0]))
        return log_norms_by_step(step, by_step, start, head, labels)

    return Net(MATRIX_PER_STEP, init, log_norms)


def as_sequence(xs: Array, steps: int) -> Array:
    """Reshape images, or flat sequences, to sequences of a number of steps.

    Args:
        xs: Images, [examples, pixels].
        steps: Number of steps, a divisor of the number of pixels.

    Returns:
        Sequences, [examples, steps, pixels / steps].

    Example:
        >>> as_sequence(jnp.arange(4.0)[None], 2).tolist()
        [[[0.0, 1.0], [2.0, 3.0]]]
    """
    return xs.reshape(len(xs), steps, -1)


def all_nets(depth: int, inputs: int = PIXELS, classes: int = CLASSES) -> list[Net]:
    """All networks; the ones that are trained come first."""
    sizes = inputs, classes
    plain = feed_forward(jnp.tanh, depth, FEED_FORWARD["tanh"], *sizes)
    relu = partial(nets.elman, activation=jax.nn.relu)
    return [
        plain,
        feed_forward(jax.nn.relu, depth, FEED_FORWARD["ReLU"], *sizes),
        recurrent(nets.elman, depth, ELMAN["tanh"], *sizes),
        recurrent(relu, depth, ELMAN["ReLU"], *sizes),
        recurrent(nets.lstm, depth, LSTM, *sizes),
        recurrent(nets.gru, depth, GRU, *sizes),
        one_matrix(plain),
        matrix_per_step(depth, *sizes),
    ]
