"""Modules of other libraries that cannot become a cell: one sentence each."""

from functools import partial
from types import SimpleNamespace
from typing import Any

import equinox as eqx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from cases import FEATURES, INPUTS
from flax import nnx

import nets
from nets.interop import recognized

KEY = jax.random.key(0)


def drawn(cell):
    """As instruments ask for them: parameters and an initial state."""
    params = jax.eval_shape(lambda: cell.init(KEY, INPUTS, FEATURES))
    return jax.eval_shape(lambda p: nets.unroll(cell, p, jnp.ones((2, INPUTS))), params)


class Normalized(nn.RNNCellBase):
    """With running means, which are no parameters."""

    features: int

    @nn.compact
    def __call__(self, carry, x):
        h = nn.BatchNorm(use_running_average=False)(nn.Dense(self.features)(x))
        return h, h

    @nn.nowrap
    def initialize_carry(self, rng, input_shape):
        return jnp.zeros((*input_shape[:-1], self.features))


class Dropped(Normalized):
    @nn.compact
    def __call__(self, carry, x):
        h = nn.Dense(self.features)(x)
        return nn.Dropout(0.5, deterministic=False)(h), h


class Growing(Normalized):
    @nn.compact
    def __call__(self, carry, x):
        h = nn.Dense(self.features)(x)
        return jnp.concatenate([carry, h], axis=-1), h


class WithRates(nnx.GRUCell):
    """With a variable that is no parameter."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.dropout = nnx.Dropout(0.5, rngs=kwargs["rngs"])


class WithCounts(eqx.Module):
    steps: jax.Array
    hidden_size: int = 3

    def __call__(self, x, state):
        return state


class Returning(eqx.nn.GRUCell):
    def __call__(self, *args, **kwargs) -> Any:
        h = super().__call__(*args, **kwargs)
        return h, h, h


def nnx_rnn(**options):
    return nnx.RNN(nnx.GRUCell(INPUTS, FEATURES, rngs=nnx.Rngs(0)), **options)


def keras_cell(kind=keras.layers.LSTM, **options):
    layer: Any = kind(FEATURES, return_sequences=True, **options)
    with jax.numpy_rank_promotion("allow"):
        layer.build((4, 5, INPUTS))
    return layer


def reversed_keras():
    options = {"units": FEATURES, "return_sequences": True}
    return keras.layers.Bidirectional(
        keras.layers.LSTM(**options, go_backwards=True),
        backward_layer=keras.layers.LSTM(**options),
    )


RNN = nn.RNN(nn.LSTMCell(FEATURES))
GRU = {"gru": {"w_i": np.ones((2, 9)), "w_h": np.ones((3, 9)), "b": np.ones(9)}}
REFUSED = {
    "linen, a layer without parameters": (
        lambda: nets.from_linen(RNN),
        "expected a recurrent cell of Linen, .*got RNN: .*needs its parameters",
    ),
    "linen, no cell": (lambda: nets.from_linen(nn.Dense(3)), "got Dense"),
    "linen, nothing of Linen's": (lambda: nets.from_linen(3), "got int"),
    "linen, a class with more arguments": (
        lambda: nets.from_linen(nn.ConvLSTMCell),
        "got ConvLSTMCell: .*kernel_size.*: pass a cell, or functools.partial",
    ),
    "linen, another size": (
        lambda: nets.from_linen(nn.GRUCell(8)).init(KEY, INPUTS, 16),
        "expected features=8, the size of Linen's GRUCell; got features=16: use that",
    ),
    "linen, other parameters": (
        lambda: nets.unroll(nets.from_linen(nn.GRUCell), {"w": KEY}, np.ones((2, 3))),
        "expected the parameters of Linen's GRUCell for 3 inputs, such as {'hn'.*got "
        r"{'w': \[\]}",
    ),
    "linen, a batch norm": (
        lambda: drawn(nets.from_linen(Normalized)),
        "Linen's Normalized to have no variables but parameters, .*batch_stats",
    ),
    "linen, dropout": (
        lambda: drawn(nets.from_linen(Dropped)),
        "expected Linen's Dropped to be deterministic; got .*draws random",
    ),
    "linen, a state that grows": (
        lambda: drawn(nets.from_linen(Growing)),
        r"to keep the structure and the shapes of its state, \[3\]; got \[6\]",
    ),
    "linen, reversed": (
        lambda: nets.from_linen(RNN.clone(reverse=True), {"cell": {}}),
        "keep_order=True if reverse=True, because outputs keep the positions",
    ),
    "linen, carried variables": (
        lambda: nets.from_linen(RNN.clone(variable_carry="stats"), {}),
        "expected an nn.RNN whose variable_carry is the default; got stats",
    ),
    "linen, parameters of nothing": (
        lambda: nets.from_linen(nn.Bidirectional(RNN, RNN), {"a": 1}),
        r"""expected parameters of "forward_rnn"; got \['a'\]""",
    ),
    "linen, another layer in Bidirectional": (
        lambda: nets.from_linen(nn.Bidirectional(nn.Dense(3), RNN), {}),  # type: ignore
        "expected forward_rnn to be an nn.RNN; got Dense",
    ),
    "nnx, no cell": (
        lambda: nets.from_nnx(nnx.Linear(2, 3, rngs=nnx.Rngs(0))),
        "expected a recurrent cell of NNX, .*; got Linear",
    ),
    "nnx, a class of no cells": (
        lambda: drawn(nets.from_nnx(nnx.RNN)),
        r"called as make\(inputs, features, rngs=rngs\); got NNX's RNN: .*positional",
    ),
    "nnx, other variables": (
        lambda: nets.from_nnx(WithRates(INPUTS, FEATURES, rngs=nnx.Rngs(0))),
        "expected WithRates to hold no variables but nnx.Param, .*got RngCount, RngKey",
    ),
    "nnx, reversed": (
        lambda: nets.from_nnx(nnx_rnn(reverse=True)),
        "keep_order=True if reverse=True, because outputs keep the positions",
    ),
    "nnx, an own cell has its parameters": (
        lambda: drawn(
            nets.from_nnx(nnx.GRUCell(2, 3, dtype="float32", rngs=nnx.Rngs(0)))[0]
        ),
        "expected the class of NNX's GRUCell to draw new parameters; got an object",
    ),
    "equinox, no cell": (
        lambda: drawn(nets.from_equinox(eqx.nn.Linear)),
        "expected Equinox's Linear to have a hidden_size; got none: pass initial_state",
    ),
    "equinox, nothing of Equinox's": (
        lambda: drawn(nets.from_equinox(jnp.tanh)),
        r"called as make\(inputs, features, key=key\); got tanh",
    ),
    "equinox, no function": (
        lambda: nets.from_equinox(3),
        "expected a cell of Equinox, or its class; got int",
    ),
    "equinox, integers": (
        lambda: nets.from_equinox(WithCounts(jnp.zeros(3, int))),
        "expected WithCounts to hold arrays of real numbers, .*got int32 at steps",
    ),
    "equinox, another step": (
        lambda: drawn(nets.from_equinox(Returning)),
        r"to return a new state like the one it takes, zeros \[3\] or a pair",
    ),
    "haiku, no core": (
        lambda: nets.from_haiku(hk.Linear),
        "makes an hk.RNNCore from the number of features, .*makes Linear",
    ),
    "haiku, no function": (lambda: nets.from_haiku(3), "within hk.transform; got 3"),
    "haiku, another name": (
        lambda: nets.from_haiku(hk.GRU, GRU, "encoder/gru"),
        'expected a module named "encoder/gru"; got "gru"',
    ),
    "haiku, parameters of nothing": (
        lambda: nets.from_haiku(partial(hk.Conv1DLSTM, (5,), kernel_shape=3), GRU),
        'expected parameters named "conv1_dlstm/hidden_to_hidden", .*; missing: ',
    ),
    "torch, a network": (
        lambda: nets.from_torch(SimpleNamespace(rnn=None)),
        "expected a torch.nn.RNN, LSTM, GRU, .*got SimpleNamespace: pass the module",
    ),
    "torch, other weights": (
        lambda: nets.from_torch({"weight": np.ones((2, 2))}),
        'expected a state_dict with weight_hh_l0, .*; got "weight"',
    ),
    "torch, another shape": (
        lambda: nets.from_torch({"weight_hh_l0": np.ones((6, 3))}),
        r"1, 3 or 4 times as many rows as columns, .*; got shape \(6, 3\)",
    ),
    "torch, another activation": (
        lambda: nets.from_torch({}, nonlinearity="sigmoid"),
        """expected nonlinearity "tanh" or "relu"; got 'sigmoid'""",
    ),
    "keras, another layer": (
        lambda: nets.from_keras(keras.layers.Dense(3)),
        "expected a SimpleRNN, GRU, LSTM or Bidirectional of Keras, .*got Dense: pass",
    ),
    "keras, an own cell": (
        lambda: nets.from_keras(SimpleNamespace(cell=SimpleNamespace())),
        "got SimpleNamespace",
    ),
    "keras, not built": (
        lambda: nets.from_keras(keras.layers.GRU(3)),
        "expected a layer with weights; got GRUCell, which is not built",
    ),
    "keras, reversed": (
        lambda: nets.from_keras(keras_cell(go_backwards=True)),
        "got go_backwards=True with return_sequences=True: set",
    ),
    "keras, both reversed": (
        lambda: nets.from_keras(reversed_keras()),
        "expected a Bidirectional whose first layer reads forward",
    ),
    "keras, stateful": (
        lambda: nets.from_keras(SimpleNamespace(cell=LSTM_CELL, stateful=True)),
        "expected a layer with stateful=False, because the state is an argument here",
    ),
    "keras, another activation": (
        lambda: nets.from_keras(keras_cell(activation="relu")),
        "recurrent_activation sigmoid in a Keras LSTMCell; got relu and sigmoid",
    ),
    "keras, an activation of all units": (
        lambda: nets.from_keras(
            keras_cell(keras.layers.SimpleRNN, activation="softmax")
        ),
        "expected a SimpleRNN whose activation is elu, .*; got softmax",
    ),
    "keras, other weights": (
        lambda: nets.from_keras([np.ones((2, 3)), np.ones(3)]),
        r"expected the weights of a layer: .*; got shapes \[\(2, 3\), \(3,\)\]",
    ),
}
LSTM_CELL: Any = keras.layers.LSTMCell(3)


@pytest.mark.parametrize("make, message", REFUSED.values(), ids=REFUSED)
def test_one_sentence(make, message):
    with pytest.raises(ValueError, match=message) as error:
        make()
    assert "\n" not in str(error.value)


def test_objects_on_the_command_line_keep_their_parameters():
    trained = nnx.OptimizedLSTMCell(INPUTS, FEATURES, rngs=nnx.Rngs(0))
    cell = recognized(trained)
    assert cell is not None and cell.step is nets.lstm().step
    _, params = nets.from_nnx(trained)
    chosen = cell.init(jax.random.key(5), INPUTS, FEATURES)
    np.testing.assert_array_equal(chosen.w_h, params.w_h)
    with pytest.raises(ValueError, match="inputs=2 and features=4; got features=3"):
        cell.init(KEY, INPUTS, 4)
    with pytest.raises(ValueError, match="inputs=7 and features=3; got others: pass"):
        cell.init(KEY, 7, FEATURES)
    with pytest.raises(
        ValueError, match="expected a recurrent cell; got the layer RNN"
    ):
        recognized(nnx_rnn())


def test_what_is_from_no_library_is_not_recognized():
    assert [recognized(t) for t in (nets.lstm(), jnp.tanh, "lstm", None, dict)] == [
        None
    ] * 5
    assert recognized(partial(nn.SimpleCell, activation_fn=nn.relu)) is not None
    with pytest.raises(ValueError, match=r"got LSTM of keras: .* nets\.from_keras"):
        recognized(keras.layers.LSTM)
