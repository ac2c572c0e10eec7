"""Cells of Linen, NNX, Equinox and Haiku as cells: their numbers, on everything."""

import types
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import cases
import equinox as eqx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import FEATURES, INPUTS, TIME
from flax import nnx
from side_by_side import optimized_jit
from tolerances import assert_close, assert_equal_to_rounding

import nets
from nets import flow

BATCH = 4


class Theirs(NamedTuple):
    """A cell of another library: how it is converted, and how its library runs it."""

    convert: Callable[[], nets.Cell]
    init: Callable[[Any], Any]
    run: Callable[[Any, Any], Any]  # outputs of params and inputs [time, batch, ...]
    space: tuple[int, ...] = ()


def linen(make, space=()):
    cell: Any = make if isinstance(make, nn.Module) else make(FEATURES)
    rnn: Any = nn.RNN(cell, time_major=True)
    xs = jnp.zeros((TIME, BATCH, *space, INPUTS))
    if space:  # as nn.RNN does not take these time first
        rnn, xs = nn.RNN(cell), jnp.moveaxis(xs, 0, 1)

    def run(params, xs):
        xs = jnp.moveaxis(xs, 0, 1) if space else xs
        ys = rnn.apply({"params": {"cell": params}}, xs)
        return jnp.moveaxis(ys, 1, 0) if space else ys

    def init(key):
        x = xs[:, 0] if space else xs[0]
        return cell.init(key, cell.initialize_carry(key, x.shape), x)["params"]

    return Theirs(lambda: nets.from_linen(make), init, run, space)


def of_nnx(make):
    def build(key):
        return make(INPUTS, FEATURES, rngs=nnx.Rngs(key))

    def run(params, xs):
        cell = nnx.merge(nnx.split(build(0))[0], params)
        return nnx.RNN(cell, time_major=True, rngs=nnx.Rngs(0))(xs)

    def init(key):
        return nnx.to_pure_dict(nnx.state(build(key)))

    return Theirs(lambda: nets.from_nnx(make), init, run)


def equinox(make, both=False):
    def run(params, xs):
        cell = make(INPUTS, FEATURES, key=jax.random.key(0))
        names = list(params)
        cell = eqx.tree_at(
            lambda c: [getattr(c, n) for n in names], cell, list(params.values())
        )
        zeros = jnp.zeros((xs.shape[1], FEATURES))

        def step(carry, x):
            carry = jax.vmap(cell)(x, carry)
            return carry, carry[0] if both else carry

        return jax.lax.scan(step, (zeros, zeros) if both else zeros, xs)[1]

    def init(key):
        cell = make(INPUTS, FEATURES, key=key)
        names = "weight_ih", "weight_hh", "bias", "bias_n"
        arrays = {n: getattr(cell, n, None) for n in names}
        return {n: a for n, a in arrays.items() if a is not None}

    return Theirs(lambda: nets.from_equinox(make), init, run)


def haiku(make, *sizes, space=()):
    def unroll(xs):
        core = make(*sizes)
        return hk.dynamic_unroll(core, xs, core.initial_state(xs.shape[1]))[0]

    theirs = hk.without_apply_rng(hk.transform(unroll))

    def init(key):
        return theirs.init(key, jnp.zeros((TIME, BATCH, *space, INPUTS)))

    return Theirs(lambda: nets.from_haiku(make), init, theirs.apply, space)


class Leaky(hk.RNNCore):
    """A core of a user's: two states, an initial state that is learned, a wider y."""

    def __init__(self, size, name=None):
        super().__init__(name=name)
        self.size = size

    def initial_state(self, batch_size) -> Any:
        start = hk.get_parameter("start", [self.size], init=hk.initializers.Constant(1))
        h = jnp.broadcast_to(start, (batch_size, self.size))
        return {"h": h, "slow": 0.5 * h}

    def __call__(self, x, state):
        slow = 0.9 * state["slow"] + 0.1 * state["h"]
        h = jnp.tanh(hk.Linear(self.size)(jnp.concatenate([x, slow], axis=-1)))
        return jnp.concatenate([h, slow], axis=-1), {"h": h, "slow": slow}


def deep():
    return hk.DeepRNN([hk.LSTM(FEATURES), jax.nn.relu, hk.GRU(FEATURES)])


def conv_core():
    return hk.Conv1DLSTM(input_shape=(5,), output_channels=FEATURES, kernel_shape=3)


THEIRS = {
    "linen SimpleCell": linen(nn.SimpleCell),
    "linen residual": linen(partial(nn.SimpleCell, residual=True)),
    "linen LSTMCell": linen(nn.LSTMCell),
    "linen OptimizedLSTMCell": linen(nn.OptimizedLSTMCell(FEATURES)),
    "linen GRUCell": linen(nn.GRUCell),
    "linen MGUCell": linen(nn.MGUCell),
    "linen ConvLSTMCell": linen(partial(nn.ConvLSTMCell, kernel_size=(3,)), space=(5,)),
    "nnx SimpleCell": of_nnx(nnx.SimpleCell),
    "nnx LSTMCell": of_nnx(nnx.LSTMCell),
    "nnx OptimizedLSTMCell": of_nnx(nnx.OptimizedLSTMCell),
    "nnx GRUCell": of_nnx(nnx.GRUCell),
    "equinox GRUCell": equinox(eqx.nn.GRUCell),
    "equinox LSTMCell": equinox(eqx.nn.LSTMCell, both=True),
    "equinox, no bias": equinox(partial(eqx.nn.GRUCell, use_bias=False)),
    "haiku VanillaRNN": haiku(hk.VanillaRNN, FEATURES),
    "haiku LSTM": haiku(hk.LSTM, FEATURES),
    "haiku GRU": haiku(hk.GRU, FEATURES),
    "haiku DeepRNN": haiku(deep),
    "haiku Conv1DLSTM": haiku(conv_core, space=(5,)),
    "haiku, a user's": haiku(Leaky, FEATURES),
}


# Of each library one cell as users compile it. The step is their code on either side.
OPTIMIZED = {"linen LSTMCell", "nnx GRUCell", "equinox LSTMCell", "haiku LSTM"}


@pytest.mark.peers
@pytest.mark.parametrize("name", THEIRS)
def test_numbers_and_gradients_are_theirs(name):
    theirs = THEIRS[name]
    cell = theirs.convert()
    assert cell is theirs.convert() and cell.spatial_dims == len(theirs.space)
    xs = cases.normal(TIME, BATCH, *theirs.space, INPUTS, scale=1.0)

    def init(key):
        return cell.init(key, INPUTS, FEATURES)

    def unroll(params, xs):
        return nets.unroll(cell, params, xs)[1]

    def with_gradients(run, params, xs):
        ys, back = jax.vjp(run, params, xs)
        return ys, back(jnp.cos(ys))

    params, same = (jax.jit(f)(jax.random.key(1)) for f in (init, theirs.init))
    assert_equal_to_rounding(params, same)
    jit = optimized_jit if name in OPTIMIZED else jax.jit
    one = jit(partial(with_gradients, unroll))(params, xs)
    assert_close(one, jax.jit(partial(with_gradients, theirs.run))(params, xs))
    assert all(np.any(leaf) for leaf in jax.tree.leaves(one))


CLASSES = {
    "linen": (nets.from_linen, nn.OptimizedLSTMCell),
    "nnx": (nets.from_nnx, nnx.GRUCell),
    "equinox": (nets.from_equinox, eqx.nn.LSTMCell),
    "haiku": (nets.from_haiku, hk.LSTM),
}
each_library = pytest.mark.parametrize("convert, make", CLASSES.values(), ids=CLASSES)


def params_of(cell, inputs=INPUTS):
    shapes = jax.eval_shape(lambda: cell.init(jax.random.key(0), inputs, FEATURES))
    return cases.draw(shapes)


@each_library
def test_any_batch_padding_and_direction(convert, make):
    cell = convert(make)
    params = params_of(cell)
    xs = cases.normal(TIME, 2, 3, INPUTS, scale=1.0)
    lengths = np.array([[5, 2, 1], [4, 0, 3]])

    @jax.jit
    def run(params, xs):
        whole = nets.unroll(cell, params, xs, lengths=lengths, reverse=True)
        flat = jax.tree.map(lambda x: x.reshape(TIME, 6, INPUTS), xs)
        flat = nets.unroll(cell, params, flat, lengths=lengths.ravel(), reverse=True)
        one = nets.unroll(cell, params, xs[:4, 1, 0], reverse=True)
        return whole, flat, one

    (state, ys), (flat, flat_ys), (end, one_ys) = run(params, xs)
    assert_equal_to_rounding(
        jax.tree.map(lambda s: s.reshape(6, *s.shape[2:]), state), flat
    )
    assert_equal_to_rounding(ys.reshape(TIME, 6, FEATURES), flat_ys)
    assert_equal_to_rounding(jax.tree.map(lambda s: s[1, 0], state), end)
    assert_equal_to_rounding(ys[:4, 1, 0], one_ys)
    assert not ys[4:, 1, 0].any() and ys[:4, 1, 0].any()


@each_library
def test_cells_in_stacks_in_both_directions_with_dropout(convert, make):
    cell = convert(make)
    layer = nets.stack(nets.bidirectional(cell), nets.input_dropout(cell, 0.5))
    shapes = jax.eval_shape(lambda: layer.init(jax.random.key(0), INPUTS, FEATURES))
    params, xs = cases.draw(shapes), cases.normal(TIME, BATCH, INPUTS)

    @jax.jit
    def gradients(params, xs, key):
        loss = lambda states, ys: (ys**2).sum()  # noqa: E731
        calm, by_states = flow.state_gradients(layer, params, xs, loss)
        noisy, _ = flow.state_gradients(layer, params, xs, loss, key=key)
        return calm, noisy, by_states

    calm, noisy, by_states = gradients(params, xs, jax.random.key(1))
    assert calm != noisy
    assert list(flow.by_cell(layer, by_states)) == ["0.forward", "0.backward", "1"]
    assert all(leaf.any() for leaf in jax.tree.leaves(by_states))


@each_library
@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_other_precisions(convert, make, dtype, x64):
    cell = convert(make)
    params = jax.tree.map(lambda a: a.astype(dtype), params_of(cell))
    xs = jax.ShapeDtypeStruct((TIME, BATCH, INPUTS), dtype)
    state, ys = jax.eval_shape(lambda p, xs: nets.unroll(cell, p, xs), params, xs)
    assert ys.shape == (TIME, BATCH, FEATURES)
    if dtype == "float64":
        assert {leaf.dtype for leaf in jax.tree.leaves((state, ys))} == {
            np.dtype(dtype)
        }


@each_library
def test_equal_calls_outside_jit_are_compiled_once(convert, make):
    counter: Any = types.ModuleType(
        "counter"
    )  # a list would be a variable of the program
    counter.traced = 0

    class Mine(make):
        def __call__(self, *args):
            counter.traced += 1
            return super().__call__(*args)

    cell = convert(Mine)
    params, xs = params_of(cell), cases.normal(TIME, BATCH, INPUTS)
    nets.unroll(cell, params, xs)
    before = counter.traced
    nets.unroll(cell, params, 2 * xs)
    assert 0 < before == counter.traced and convert(Mine) is cell
