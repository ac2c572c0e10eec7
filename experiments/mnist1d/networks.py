"""The networks: the authors', and those of other cells with as many parameters."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

import nets
from experiments.harness import cells, cli
from experiments.mnist1d.config import CNN, LINEAR, MLP, SAME_SHAPE
from nets import blocks, initializers
from nets.cells import ElmanParams, GRUParams, LSTMParams
from nets.initializers import Weights, kernels
from nets.interop.gates import GATES, join_gru_biases
from nets.linen import Bidirectional, Block, Sequential
from nets.types import Cell, ImageLayer

CLASSES, TIME, INPUTS = 10, 40, 1
WIDTH, FILTERS, POOL_FILTERS = 100, 25, 20  # of the MLP, the CNN, and with pools
UNITS = 6  # of the authors' GRU, in each direction
PARAMETERS = 5_134  # of the authors' GRU
MOST_UNITS = 16  # of a cell; with more, the dense layer alone has more parameters


class Model(NamedTuple):
    """A network.

    Attributes:
        module: Linen module, from sequences [batch, time, 1] to logits.
        units: Hidden units of each direction; 0 if it has no cell.
    """

    module: nn.Module
    units: int = 0

    @property
    def layer(self) -> str | None:
        """Name of the recurrent layer in the parameters; None if there is none."""
        return "recurrent" if self.units else None


class Recurrent(nn.Module):
    """A bidirectional layer, and a dense layer that reads the outputs of all steps.

    Attributes:
        cell: The cell of both directions.
        units: Hidden units of each direction.
    """

    cell: Cell
    units: int

    def setup(self):
        self.recurrent = Bidirectional(self.cell, self.units)
        self.dense = Block(_logits())

    def __call__(
        self, xs: Float[Array, "*batch time 1"]
    ) -> Float[Array, "*batch classes"]:
        _, ys = self.recurrent(xs)
        return self.dense(ys.reshape(*ys.shape[:-2], -1))


def model(name: str) -> Model:
    """The network of a name.

    Args:
        name: "linear", "mlp", "cnn", or the name of a cell, as in `cells.named`. The
            tanh RNN, the LSTM and the GRU have 6 units and both biases of PyTorch.
            Other cells have the number of units whose network is nearest to the GRU's
            in parameters.

    Returns:
        A `Model`.

    Raises:
        cli.UsageError: There is no such cell.
    """
    if name == LINEAR:
        return Model(Sequential((blocks.flatten(1), _logits())))
    hidden = blocks.dense(WIDTH, init=kernels.torch)
    if name == MLP:
        layers = blocks.flatten(1), hidden, blocks.residual(hidden), _logits()
        return Model(Sequential(layers))
    if name == CNN:
        convs = [_conv(FILTERS, size, strides=2) for size in (5, 3, 3)]
        return Model(Sequential((*convs, blocks.flatten(1), _logits())))
    if name in SAME_SHAPE:
        return Model(Recurrent(two_biases(name), UNITS), UNITS)
    cell, units = _of_size(name)
    return Model(Recurrent(cell, units), units)


def with_pools(pool: str) -> Model:
    """Two convolutions, each followed by a pool.

    Args:
        pool: "none", "stride" (convolutions with stride 2), "max", "mean" or "l2".

    Returns:
        A `Model`.
    """
    kinds = {"max": blocks.max_pool, "mean": blocks.mean_pool, "l2": blocks.lp_pool}
    pools = [kinds[pool]((2,))] if pool in kinds else []
    layer = _conv(POOL_FILTERS, 3, strides=2 if pool == "stride" else 1)
    layers = layer, *pools, layer, *pools, blocks.flatten(1), _logits()
    return Model(Sequential(layers))


@functools.cache  # equal calls return the same object, as Flax compares modules
def two_biases(name: str) -> Cell:
    """A cell whose parameters are those of PyTorch, which has two biases.

    Both are trained, so that Adam moves their sum twice as far in a step.

    Args:
        name: "elman", "lstm" or "gru".

    Returns:
        A `Cell` whose parameters are `nets.initializers.Weights`.
    """
    kinds = {"elman": ElmanParams, "lstm": LSTMParams, "gru": GRUParams}
    kind, cell = kinds[name], nets.CELLS[name]()

    def init(key, inputs, features):
        return initializers.torch(key, inputs, features, GATES[kind])

    def joined(params: Weights) -> Any:
        w_i, w_h, b_i, b_h = params
        if kind is GRUParams:
            return GRUParams(w_i, w_h, *join_gru_biases(b_i, b_h))
        return kind(w_i, w_h, b_i + b_h)

    def initial_state(params, x):
        return cell.initial_state(joined(params), x)

    def step(params, state, x):
        return cell.step(joined(params), state, x)

    return Cell(init, initial_state, step)


def _logits() -> ImageLayer:
    """The last layer."""
    return blocks.dense(CLASSES, activation=None, init=kernels.torch)


def _conv(filters: int, size: int, strides: int) -> ImageLayer:
    """A convolution with ReLU; padding of 1 on both sides."""
    options: dict[str, Any] = {"strides": strides, "padding": 1, "init": kernels.torch}
    return blocks.conv(filters, (size,), **options)


def _of_size(name: str) -> tuple[Cell, int]:
    """A cell, and the number of units whose network is nearest to the GRU's in size."""
    sizes: dict[int, tuple[Cell, int]] = {}
    refused: Exception | None = None
    for units in range(1, MOST_UNITS + 1):
        try:
            cell = cells.named(name, INPUTS, units, initializers.torch)
            sizes[units] = cell, _parameters(cell, units)
        except cli.UsageError as error:  # an odd number of units, for example
            refused = error
            continue
        if sizes[units][1] > PARAMETERS:
            break
    if refused and not sizes:
        raise refused
    units = min(sizes, key=lambda units: abs(sizes[units][1] - PARAMETERS))
    return sizes[units][0], units


def _parameters(cell: Cell, units: int) -> int:
    """Number of parameters of the network of a cell."""

    def outputs(key):
        params = cell.init(key, INPUTS, units)
        x = jnp.zeros((1, INPUTS))
        return params, cell.step(params, cell.initial_state(params, x), x)[1]

    params, y = jax.eval_shape(outputs, jax.random.key(0))
    dense = (2 * TIME * y.shape[-1] + 1) * CLASSES
    return 2 * sum(leaf.size for leaf in jax.tree.leaves(params)) + dense
