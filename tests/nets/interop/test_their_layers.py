"""Trained layers of other libraries become layers with their numbers.

Programs are compiled with the tests' flags: test_interop.py and test_torch.py compare
the same cells as users compile them.
"""

from functools import partial
from typing import Any

import cases
import equinox as eqx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from cases import FEATURES, INPUTS, TIME
from flax import nnx
from tolerances import assert_equal_to_rounding

import nets
from nets.cells import GRUParams, LSTMParams
from nets.recurrent import BidirectionalParams
from nets.recurrent.directions import Unidirectional
from nets.recurrent.stacking import Stack

BATCH = 4
XS = cases.normal(TIME, BATCH, INPUTS, scale=1.0)


def first(xs):
    return jnp.swapaxes(xs, 0, 1)


class OwnLinen(nn.RNNCellBase):
    """A cell of a user's, with a state in a dict."""

    features: int

    @nn.compact
    def __call__(self, carry, x):
        h = nn.tanh(nn.Dense(self.features)(jnp.concatenate([x, carry["h"]], -1)))
        return {"h": h}, h

    @nn.nowrap
    def initialize_carry(self, rng, input_shape):
        return {"h": jnp.ones((*input_shape[:-1], self.features))}

    @property
    def num_feature_axes(self):
        return 1


class OwnNNX(nnx.RNNCellBase):
    def __init__(self, inputs, features, *, rngs):
        self.features = features
        self.dense: Any = nnx.Linear(inputs + features, features, rngs=rngs)

    def __call__(self, carry, inputs):
        h = nnx.tanh(self.dense(jnp.concatenate([inputs, carry], -1)))
        return h, h

    def initialize_carry(self, input_shape, rngs=None, carry_init=None):
        return jnp.ones((*input_shape[:-1], self.features))

    @property
    def num_feature_axes(self):
        return 1


class OwnEquinox(eqx.Module):
    """With a module in a list, and a function, which is a leaf of the pytree."""

    maps: list
    activation: Any
    hidden_size: int = eqx.field(static=True)

    def __init__(self, inputs, features, *, key):
        self.maps = [eqx.nn.Linear(inputs + features, features, key=key)]
        self.activation, self.hidden_size = jax.nn.softplus, features

    def __call__(self, x, state):
        return self.activation(self.maps[0](jnp.concatenate([x, state])))


def linen_layer(rnn: Any):
    """The layer, its parameters, and its outputs, time first."""
    like = jax.eval_shape(rnn.init, jax.random.key(0), first(XS))
    variables = cases.draw(like)
    return nets.from_linen(rnn, variables), lambda xs: first(
        rnn.apply(variables, first(xs))
    )


def nnx_layer(rnn: Any):
    graph, state = nnx.split(rnn)

    def run(xs):  # with a module of the program: it counts its random numbers
        module = nnx.merge(graph, jax.tree.map(jnp.asarray, state))
        return first(module(first(xs)))

    return nets.from_nnx(rnn), run


def nnx_rnn(make, seed=0, **options):
    return nnx.RNN(make(INPUTS, FEATURES, rngs=nnx.Rngs(seed)), **options)


def equinox_cell(make):
    cell = make(INPUTS, FEATURES, key=jax.random.key(0))
    zeros = jnp.zeros(FEATURES)
    start = (zeros, zeros) if make is eqx.nn.LSTMCell else zeros

    def run(xs):
        def step(state, x):
            state = cell(x, state)
            return state, jax.tree.leaves(state)[0]

        scan = lambda xs: jax.lax.scan(step, start, xs)[1]  # noqa: E731
        return jax.vmap(scan, in_axes=1, out_axes=1)(xs)

    return nets.from_equinox(cell), run


def haiku_core(make, module=None):
    def unroll(xs):
        core = make()
        return hk.dynamic_unroll(core, xs, core.initial_state(xs.shape[1]))[0]

    def network(xs):
        return unroll(xs) if module is None else Encoder(unroll)(xs)

    theirs = hk.without_apply_rng(hk.transform(network))
    params = cases.draw(jax.eval_shape(theirs.init, jax.random.key(0), XS))
    return nets.from_haiku(make, params, module), partial(theirs.apply, params)


class Encoder(hk.Module):
    """A network with another core of the same kind, and a dense map."""

    def __init__(self, inner):
        super().__init__(name="encoder")
        self.inner = inner

    def __call__(self, xs):
        ys = self.inner(xs)
        hk.Linear(2)(hk.dynamic_unroll(hk.LSTM(2), xs, hk.LSTM(2).initial_state(4))[0])
        return ys


class OwnHaiku(hk.RNNCore):
    def __call__(self, inputs, prev_state):
        h = jnp.tanh(hk.Linear(FEATURES)(jnp.concatenate([inputs, prev_state], -1)))
        return 2 * h, h

    def initial_state(self, batch_size) -> Any:
        return jnp.ones((batch_size, FEATURES))


@jax.numpy_rank_promotion("allow")
def keras_layer(layer: Any):
    layer.build((BATCH, TIME, INPUTS))
    weights = [cases.draw(v.value, seed=i) for i, v in enumerate(layer.weights)]
    for variable, weight in zip(layer.weights, weights, strict=True):
        variable.assign(weight)

    @jax.numpy_rank_promotion("allow")
    def run(xs):
        fixed = [v.value for v in layer.non_trainable_variables]
        trained = [v.value for v in layer.trainable_variables]
        ys, _ = layer.stateless_call(trained, fixed, first(xs))
        return jax.tree.map(first, tuple(ys) if isinstance(ys, list) else ys)

    return nets.from_keras(layer), run


SEQUENCES = {"units": FEATURES, "return_sequences": True}
GRU_BEFORE = keras.layers.GRU(**SEQUENCES, reset_after=False, use_bias=False)


def both(**options):
    return keras.layers.Bidirectional(keras.layers.LSTM(**SEQUENCES), **options)


LAYERS = {
    "linen RNN": lambda: linen_layer(nn.RNN(nn.LSTMCell(FEATURES))),
    "linen RNN of a GRU, reversed": lambda: linen_layer(
        nn.RNN(nn.GRUCell(FEATURES), reverse=True, keep_order=True)
    ),
    "linen RNN, other activations": lambda: linen_layer(
        nn.RNN(nn.OptimizedLSTMCell(FEATURES, activation_fn=nn.relu))
    ),
    "linen RNN of a ReLU net": lambda: linen_layer(
        nn.RNN(nn.SimpleCell(FEATURES, activation_fn=nn.relu))
    ),
    "linen RNN of an own cell": lambda: linen_layer(nn.RNN(OwnLinen(FEATURES))),
    "linen Bidirectional": lambda: linen_layer(
        nn.Bidirectional(nn.RNN(nn.MGUCell(FEATURES)), nn.RNN(nn.GRUCell(FEATURES)))
    ),
    "linen Bidirectional, summed": lambda: linen_layer(
        nn.Bidirectional(
            nn.RNN(OwnLinen(FEATURES)),
            nn.RNN(nn.GRUCell(FEATURES)),
            merge_fn=lambda a, b: a + b,
        )
    ),
    "nnx RNN": lambda: nnx_layer(nnx_rnn(nnx.OptimizedLSTMCell)),
    "nnx RNN of a GRU, reversed": lambda: nnx_layer(
        nnx_rnn(nnx.GRUCell, reverse=True, keep_order=True)
    ),
    "nnx RNN, other activations": lambda: nnx_layer(
        nnx_rnn(partial(nnx.GRUCell, activation_fn=nnx.relu))
    ),
    "nnx RNN of an own cell": lambda: nnx_layer(nnx_rnn(OwnNNX)),
    "nnx Bidirectional": lambda: nnx_layer(
        nnx.Bidirectional(nnx_rnn(nnx.LSTMCell), nnx_rnn(nnx.SimpleCell, seed=1))
    ),
    "equinox GRUCell": lambda: equinox_cell(eqx.nn.GRUCell),
    "equinox LSTMCell": lambda: equinox_cell(eqx.nn.LSTMCell),
    "equinox own cell": lambda: equinox_cell(OwnEquinox),
    "haiku LSTM": lambda: haiku_core(lambda: hk.LSTM(FEATURES)),
    "haiku VanillaRNN in a network": lambda: haiku_core(
        lambda: hk.VanillaRNN(FEATURES), "encoder/vanilla_rnn"
    ),
    "haiku DeepRNN": lambda: haiku_core(
        lambda: hk.DeepRNN([hk.GRU(FEATURES), hk.GRU(FEATURES)])
    ),
    "haiku DeepRNN in a network": lambda: haiku_core(
        lambda: hk.DeepRNN([hk.GRU(FEATURES), hk.LSTM(FEATURES)]), "encoder/deep_rnn"
    ),
    "haiku own core in a network": lambda: haiku_core(OwnHaiku, "encoder/own_haiku"),
    "keras SimpleRNN": lambda: keras_layer(
        keras.layers.SimpleRNN(**SEQUENCES, activation="softplus")
    ),
    "keras LSTM": lambda: keras_layer(keras.layers.LSTM(**SEQUENCES)),
    "keras GRU": lambda: keras_layer(keras.layers.GRU(**SEQUENCES)),
    "keras GRU, reset before, no bias": lambda: keras_layer(GRU_BEFORE),
    "keras Bidirectional": lambda: keras_layer(both()),
    "keras Bidirectional, mean": lambda: keras_layer(both(merge_mode="ave")),
    "keras Bidirectional, pair": lambda: keras_layer(both(merge_mode=None)),
    "keras RNN of two cells": lambda: keras_layer(
        keras.layers.RNN(
            [keras.layers.LSTMCell(FEATURES), keras.layers.GRUCell(FEATURES)],
            return_sequences=True,
        )
    ),
}
OWN_CODE = "own c", "other activations", "summed"


def with_gradients(function, xs):
    """Outputs, and gradients by the inputs of the sum of the outputs' sines."""
    ys, back = jax.vjp(function, xs)
    return ys, *back(jax.tree.map(jnp.cos, ys))


@partial(jax.jit, static_argnames="layer")
def ours(layer, params, xs):
    """A layer is compiled once for all the peers that it is compared with."""
    return with_gradients(lambda xs: layer.apply(params, xs)[1], xs)


@pytest.mark.peers
@pytest.mark.parametrize("name", LAYERS)
def test_numbers_and_gradients_are_theirs(name):
    (layer, params), run = LAYERS[name]()
    layer = nets.as_layer(layer)
    result = ours(layer, params, XS)
    assert_equal_to_rounding(result, jax.jit(partial(with_gradients, run))(XS))
    assert all(np.any(leaf) for leaf in jax.tree.leaves(result))
    own_code = any(text in name for text in OWN_CODE)
    kinds = [k for k in jax.tree.leaves(params, is_leaf=_is_record) if _is_record(k)]
    assert bool(kinds) != own_code or "summed" in name


def _is_record(tree):
    return hasattr(tree, "w_h")


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="pip install -e '.[peers]'")


TORCH = {
    "LSTM": {"num_layers": 2, "bidirectional": True},
    "GRU": {"batch_first": True, "bias": False},
    "RNN": {"nonlinearity": "relu", "bidirectional": True},
    "LSTM, projected": {"num_layers": 2, "proj_size": 2},
    "LSTM, one-way": {},
}


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")
@pytest.mark.parametrize("name", TORCH)
def test_numbers_and_gradients_are_torchs(torch, name):
    torch.manual_seed(0)
    options = TORCH[name]
    module = getattr(torch.nn, name.split(",")[0])(INPUTS, FEATURES, **options)
    inputs = torch.tensor(np.asarray(XS), requires_grad=True)
    swap = (lambda a: a.transpose(0, 1)) if options.get("batch_first") else lambda a: a
    outputs, _ = module(swap(inputs))
    outputs = swap(outputs)
    torch.sin(outputs).sum().backward()

    layer, params = nets.from_torch(module)
    nonlinearity = options.get("nonlinearity")
    state_dict = {f"rnn.{n}": a for n, a in module.state_dict().items()}
    same, same_params = nets.from_torch(state_dict, "rnn.", nonlinearity)
    assert same == layer
    assert_equal_to_rounding(same_params, params)
    assert_equal_to_rounding(
        ours(layer, params, XS), (outputs.detach().numpy(), inputs.grad.numpy())
    )
    assert isinstance(layer, Stack) == ("num_layers" in options)


@pytest.mark.peers
def test_torchs_cells_and_dropout(torch):
    cell, params = nets.from_torch(torch.nn.GRUCell(INPUTS, FEATURES))
    assert cell is nets.gru() and isinstance(params, GRUParams)
    cell, _ = nets.from_torch(torch.nn.RNNCell(INPUTS, FEATURES, nonlinearity="relu"))
    assert cell is nets.elman(jax.nn.relu)
    layer, _ = nets.from_torch(torch.nn.LSTM(INPUTS, FEATURES, 2, dropout=0.25))
    assert layer == nets.stack(nets.lstm(), nets.lstm(), dropout_rate=0.25)


def test_equal_modules_return_the_same_cell():
    """So that two checkpoints of one architecture are compiled once."""
    one, other = (nn.RNN(OwnLinen(FEATURES)) for _ in range(2))
    variables = jax.eval_shape(one.init, jax.random.key(0), first(XS))
    made = [nets.from_linen(rnn, cases.draw(variables))[0] for rnn in (one, other)]
    assert made[0] == made[1] and isinstance(made[0], Unidirectional)
    cells = [OwnNNX(INPUTS, FEATURES, rngs=nnx.Rngs(seed)) for seed in (0, 1)]
    assert nets.from_nnx(cells[0])[0] is nets.from_nnx(cells[1])[0]
    keys = jax.random.split(jax.random.key(0))
    modules = [OwnEquinox(INPUTS, FEATURES, key=key) for key in keys]
    assert nets.from_equinox(modules[0])[0] is nets.from_equinox(modules[1])[0]


def test_parameters_in_whatever_form_they_are_kept():
    """With and without the level of variables; frozen; NumPy's; of a cell outside."""
    rnn = nn.RNN(nn.LSTMCell(FEATURES))
    variables: Any = cases.draw(jax.eval_shape(rnn.init, jax.random.key(0), first(XS)))
    _, right = nets.from_linen(rnn, variables)
    assert isinstance(right, LSTMParams)
    from flax.core import freeze

    inner = variables["params"]
    arrays = jax.tree.map(np.asarray, inner)
    for params in freeze(variables), inner, arrays, inner["cell"]:
        assert_equal_to_rounding(nets.from_linen(rnn, params)[1], right)


def test_shared_directions_of_linen():
    rnn = nn.RNN(nn.GRUCell(FEATURES))
    both: Any = nn.Bidirectional(rnn, rnn)
    variables = cases.draw(jax.eval_shape(both.init, jax.random.key(0), first(XS)))
    _, params = nets.from_linen(both, variables)
    assert isinstance(params, BidirectionalParams)
    assert_equal_to_rounding(params.forward, params.backward)


def test_weights_of_keras_without_the_layer():
    for cell in nets.lstm(), nets.elman(), nets.gru(), nets.gru(reset_after=False):
        params = cases.draw_params(cell)
        layer, back = nets.from_keras(nets.interop.to_keras(params))
        assert layer == nets.as_layer(cell)
        assert_equal_to_rounding(back, params)
    pair = BidirectionalParams(params, params)
    layer, _ = nets.from_keras(nets.interop.to_keras(pair))
    assert layer == nets.bidirectional(nets.gru(reset_after=False))


def test_an_initial_state_for_equinox():
    theirs: Any = eqx.nn.GRUCell(INPUTS, FEATURES, key=jax.random.key(0))
    cell, params = nets.from_equinox(theirs, lambda cell: cell.bias_n)
    state = cell.initial_state(params, XS[0])
    np.testing.assert_array_equal(state, np.tile(theirs.bias_n, (BATCH, 1)))
