"""Weights to and from other libraries: the same numbers and gradients.

Layers of JAX libraries are compared as users compile them; of PyTorch, by the tests'
flags, as test_torch.py compares the same cells as users compile them.
"""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import cases
import chex
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
from interop_cases import (
    AFTER,
    BEFORE,
    ELMAN,
    LSTM,
    PROJECTED,
    RELU,
    assert_same_bits,
    params_of,
)
from side_by_side import optimized_outputs_and_grads
from tolerances import assert_close_to_peers as assert_close

import nets
from nets import interop
from nets.cells import ElmanParams, GRUParams, LSTMParams
from nets.cells.mgu import MGUParams, mgu
from nets.cells.projected_lstm import ProjectedLSTMParams


class Theirs(NamedTuple):
    """A layer of another JAX library: what it is here, its weights and its outputs."""

    layer: nets.recurrent.RecurrentLayer
    read: Callable[[Any], Any]
    weights: Callable[[], Any]
    run: Callable[[Any, Any], Any]


def linen(cell, kind, theirs):
    layer = nn.RNN(theirs, time_major=True)

    def weights():
        x = jnp.zeros((1, 1, INPUTS))
        return jax.eval_shape(layer.init, jax.random.key(0), x)["params"]["cell"]

    return Theirs(
        nets.as_layer(cell),
        lambda tree: interop.params_from_linen(tree, kind),
        weights,
        lambda tree, xs: layer.apply({"params": {"cell": tree}}, xs),
    )


def nnx_cell(cell, kind, theirs):
    def split():
        made = theirs(INPUTS, FEATURES, rngs=nnx.Rngs(0))
        return nnx.split(made, nnx.Param, ...)

    def run(tree, xs):
        graph, params, rest = split()
        nnx.replace_by_pure_dict(params, tree)
        rnn = nnx.RNN(nnx.merge(graph, params, rest), time_major=True, rngs=nnx.Rngs(0))
        return rnn(xs)

    return Theirs(
        nets.as_layer(cell),
        lambda tree: interop.params_from_nnx(tree, kind),
        lambda: nnx.to_pure_dict(split()[1]),
        run,
    )


def get_weights(layer):
    """Keras's variables are not yet what NumPy 2 wants of arrays."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return layer.get_weights()


def keras_layer(cell, kind, theirs, both=False, **options):
    @jax.numpy_rank_promotion("allow")
    def build():
        layer: Any = theirs(FEATURES, return_sequences=True, **options)
        layer = keras.layers.Bidirectional(layer) if both else layer
        layer.build((4, TIME, INPUTS))
        return layer

    @jax.numpy_rank_promotion("allow")
    def run(weights, xs):
        layer = build()
        fixed = [v.value for v in layer.non_trainable_variables]
        ys, _ = layer.stateless_call(weights, fixed, xs.swapaxes(0, 1))
        return ys.swapaxes(0, 1)

    return Theirs(
        nets.bidirectional(cell) if both else nets.as_layer(cell),
        lambda weights: interop.params_from_keras(weights, kind),
        lambda: get_weights(build()),
        run,
    )


def haiku(cell, kind, make, module=None):
    def unroll(xs):
        core = make()
        return hk.dynamic_unroll(core, xs, core.initial_state(xs.shape[1]))[0]

    theirs = hk.without_apply_rng(hk.transform(unroll))

    def weights():
        xs = jnp.zeros((1, 1, INPUTS))
        return jax.eval_shape(theirs.init, jax.random.key(0), xs)

    return Theirs(
        nets.as_layer(cell),
        lambda tree: interop.params_from_haiku(tree, kind, module),
        weights,
        theirs.apply,
    )


def equinox(cell, kind, theirs, **options):
    made: Any = theirs(INPUTS, FEATURES, key=jax.random.key(0), **options)
    names = ["weight_ih", "weight_hh", "bias", "bias_n"]
    names = [name for name in names if getattr(made, name, None) is not None]

    def run(arrays, xs):
        filled = eqx.tree_at(
            lambda c: [getattr(c, n) for n in names], made, [arrays[n] for n in names]
        )
        zeros = jnp.zeros((xs.shape[1], FEATURES))

        def step(carry, x):
            carry = jax.vmap(filled)(x, carry)
            return carry, carry[0] if kind is LSTMParams else carry

        first = (zeros, zeros) if kind is LSTMParams else zeros
        return jax.lax.scan(step, first, xs)[1]

    return Theirs(
        nets.as_layer(cell),
        lambda arrays: interop.params_from_equinox(arrays, kind),
        lambda: {name: getattr(made, name) for name in names},
        run,
    )


KERAS = {
    "elman": (ELMAN, ElmanParams, keras.layers.SimpleRNN, {}),
    "lstm": (LSTM, LSTMParams, keras.layers.LSTM, {}),
    "gru": (AFTER, GRUParams, keras.layers.GRU, {}),
    "gru before": (BEFORE, GRUParams, keras.layers.GRU, {"reset_after": False}),
}


class Core(hk.Module):
    """A module within which there is a core of Haiku's."""

    def __init__(self):
        super().__init__(name="encoder")
        self.core = hk.LSTM(FEATURES)

    def initial_state(self, batch):
        return self.core.initial_state(batch)

    def __call__(self, x, state):
        return self.core(x, state)


THEIRS = {
    "linen elman": linen(ELMAN, ElmanParams, nn.SimpleCell(FEATURES)),
    "linen lstm": linen(LSTM, LSTMParams, nn.LSTMCell(FEATURES)),
    "linen fused lstm": linen(LSTM, LSTMParams, nn.OptimizedLSTMCell(FEATURES)),
    "linen gru": linen(AFTER, GRUParams, nn.GRUCell(FEATURES)),
    "linen mgu": linen(mgu(), MGUParams, nn.MGUCell(FEATURES)),
    "linen mgu without reset": linen(
        mgu(reset_gate=False), MGUParams, nn.MGUCell(FEATURES, reset_gate=False)
    ),
    "nnx elman": nnx_cell(ELMAN, ElmanParams, nnx.SimpleCell),
    "nnx lstm": nnx_cell(LSTM, LSTMParams, nnx.LSTMCell),
    "nnx fused lstm": nnx_cell(LSTM, LSTMParams, nnx.OptimizedLSTMCell),
    "nnx gru": nnx_cell(AFTER, GRUParams, nnx.GRUCell),
    "haiku elman": haiku(RELU, ElmanParams, lambda: hk.VanillaRNN(FEATURES)),
    "haiku elman, one bias": haiku(
        RELU, ElmanParams, lambda: hk.VanillaRNN(FEATURES, double_bias=False)
    ),
    "haiku lstm": haiku(LSTM, LSTMParams, lambda: hk.LSTM(FEATURES)),
    "haiku gru": haiku(BEFORE, GRUParams, lambda: hk.GRU(FEATURES)),
    "haiku gru, named": haiku(
        BEFORE, GRUParams, lambda: hk.GRU(FEATURES, name="mine"), "mine"
    ),
    "haiku lstm, within": haiku(LSTM, LSTMParams, Core, "encoder/~/lstm"),
    "equinox lstm": equinox(LSTM, LSTMParams, eqx.nn.LSTMCell),
    "equinox lstm, no bias": equinox(LSTM, LSTMParams, eqx.nn.LSTMCell, use_bias=False),
    "equinox gru": equinox(AFTER, GRUParams, eqx.nn.GRUCell),
    "equinox gru, no bias": equinox(AFTER, GRUParams, eqx.nn.GRUCell, use_bias=False),
}
for name, (cell, kind, theirs, options) in KERAS.items():
    make = partial(keras_layer, cell, kind, theirs, **options)
    THEIRS[f"keras {name}"] = make()
    THEIRS[f"keras {name}, both"] = make(both=True)
    if cell is not BEFORE:
        THEIRS[f"keras {name}, no bias"] = make(use_bias=False)
THEIRS["keras lstm, both, no bias"] = keras_layer(
    *KERAS["lstm"][:3], both=True, use_bias=False
)


@pytest.mark.peers
@pytest.mark.parametrize("theirs", THEIRS.values(), ids=THEIRS)
def test_layers_equal_those_of_other_libraries(theirs):
    """Also by their weights: the conversion is differentiated with the layer."""
    weights = cases.draw(theirs.weights())
    xs = cases.normal(TIME, 4, INPUTS, seed=1, scale=1.0)

    def loss(weights, xs):
        ys = theirs.run(weights, xs)
        return jnp.sin(ys).sum(), ys

    # By the chain rule, so that a layer compiles once for all whose weights it takes.
    params, pull = jax.vjp(jax.jit(theirs.read), weights)
    (by_params, by_xs), ys = optimized_outputs_and_grads(theirs.layer, params, xs)
    one = (*pull(by_params), by_xs), ys
    other = jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))(weights, xs)
    assert_close(one, other)
    assert all(np.any(leaf) for leaf in jax.tree.leaves(one))


# Functions that write weights, and the entries of `THEIRS` without folded weights.
WRITERS = {
    "linen": interop.to_linen,
    "nnx": interop.to_nnx,
    "keras": interop.to_keras,
    "haiku": interop.to_haiku,
    "equinox": interop.to_equinox,
}
FOLDED = {
    "nnx lstm",  # written as the fused one
    "keras gru",
    "keras gru, both",
    "haiku elman",
    "haiku elman, one bias",
    "haiku lstm",
    "haiku lstm, within",
    "haiku gru, named",
}
UNFOLDED = [n for n in THEIRS if n not in FOLDED and "no bias" not in n]


@pytest.mark.parametrize("name", UNFOLDED)
def test_weights_of_other_libraries_come_back(name):
    weights = cases.draw(THEIRS[name].weights())
    write = WRITERS[name.split()[0]]
    assert_same_bits(write(THEIRS[name].read(weights)), weights)


def without_b_hn(params):
    return params._replace(b_hn=jnp.zeros_like(params.b_hn))


ROUND_TRIPS = {
    "linen elman": (interop.to_linen, interop.params_from_linen, params_of(ELMAN)),
    "linen lstm": (interop.to_linen, interop.params_from_linen, params_of(LSTM)),
    "linen gru": (interop.to_linen, interop.params_from_linen, params_of(AFTER)),
    "linen mgu": (interop.to_linen, interop.params_from_linen, params_of(mgu())),
    "linen mgu without reset": (
        interop.to_linen,
        interop.params_from_linen,
        params_of(mgu(reset_gate=False)),
    ),
    "nnx elman": (interop.to_nnx, interop.params_from_nnx, params_of(ELMAN)),
    "nnx lstm": (interop.to_nnx, interop.params_from_nnx, params_of(LSTM)),
    "nnx gru": (
        interop.to_nnx,
        interop.params_from_nnx,
        without_b_hn(params_of(AFTER)),
    ),
    "haiku elman": (interop.to_haiku, interop.params_from_haiku, params_of(RELU)),
    "haiku gru": (interop.to_haiku, interop.params_from_haiku, params_of(BEFORE)),
    "equinox lstm": (interop.to_equinox, interop.params_from_equinox, params_of(LSTM)),
    "equinox gru": (interop.to_equinox, interop.params_from_equinox, params_of(AFTER)),
}
for name, (cell, *_) in KERAS.items():
    both_ways = interop.to_keras, interop.params_from_keras
    ROUND_TRIPS[f"keras {name}"] = (*both_ways, params_of(cell))
    ROUND_TRIPS[f"keras {name}, both"] = (*both_ways, params_of(cell, both=True))


@pytest.mark.parametrize("write, read, params", ROUND_TRIPS.values(), ids=ROUND_TRIPS)
def test_our_parameters_come_back(write, read, params):
    kind = type(jax.tree.leaves(params, is_leaf=lambda p: hasattr(p, "w_i"))[0])
    assert_same_bits(read(write(params), kind), params)


def test_haikus_forget_bias_comes_back_rounded():
    """1 is taken off it: a float32 near 1 has steps of 6e-8, one near 0 has not."""
    params = params_of(LSTM)
    back = interop.params_from_haiku(interop.to_haiku(params), LSTMParams)
    forget = slice(FEATURES, 2 * FEATURES)
    np.testing.assert_allclose(back.b[forget], params.b[forget], rtol=0, atol=1.2e-7)
    assert_same_bits(
        back._replace(b=back.b.at[forget].set(0)),
        params._replace(b=params.b.at[forget].set(0)),
    )


def test_haiku_takes_one_module_of_many():
    params, other = params_of(LSTM), params_of(LSTM, seed=5)
    tree = interop.to_haiku(params, "core") | interop.to_haiku(other, "core_1")
    assert_close(interop.params_from_haiku(tree, LSTMParams, "core"), params)


@pytest.mark.slow
@jax.numpy_rank_promotion("allow")
def test_their_layers_take_ours():
    """Written weights fit, by name and shape, the modules of their library."""
    for cell, _, layer, options in KERAS.values():
        built: Any = layer(FEATURES, **options)
        built.build((4, TIME, INPUTS))
        weights = interop.to_keras(params_of(cell))
        built.set_weights([np.asarray(a) for a in weights])
        assert_same_bits(get_weights(built), [np.asarray(a) for a in weights])
    for name, cell in [("haiku elman", RELU), ("haiku lstm", LSTM)]:
        params = params_of(cell)
        chex.assert_trees_all_equal_shapes(
            interop.to_haiku(params), THEIRS[name].weights()
        )
    fused = interop.to_nnx(params_of(LSTM))
    chex.assert_trees_all_equal_shapes(fused, THEIRS["nnx fused lstm"].weights())


TORCH_CELLS = {
    "elman": (ELMAN, ElmanParams, "RNN", {"nonlinearity": "tanh"}),
    "elman relu": (RELU, ElmanParams, "RNN", {"nonlinearity": "relu"}),
    "lstm": (LSTM, LSTMParams, "LSTM", {}),
    "projected lstm": (PROJECTED, ProjectedLSTMParams, "LSTM", {"proj_size": 2}),
    "gru": (AFTER, GRUParams, "GRU", {}),
}
# layers, both directions, biases: of every cell the simplest form and the one with all,
# of an LSTM the forms between them
FORMS = [
    (name, form)
    for name in TORCH_CELLS
    for form in ((1, False, False), (2, True, True))
]
FORMS += [("lstm", (1, True, False)), ("lstm", (2, False, True))]


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="pip install -e '.[peers]'")


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")
@pytest.mark.parametrize("name, form", FORMS)
def test_equal_to_torch(torch, name, form):
    cell, kind, name, options = TORCH_CELLS[name]
    layers, both, bias = form
    torch.manual_seed(0)
    module = getattr(torch.nn, name)(
        INPUTS, FEATURES, layers, bias=bias, bidirectional=both, **options
    )
    inputs = torch.randn(TIME, 4, INPUTS, requires_grad=True)
    outputs, _ = module(inputs)
    torch.sin(outputs).sum().backward()
    direction = nets.bidirectional(cell) if both else cell
    deep = nets.stack(*[direction] * layers)

    def loss(state_dict, xs):
        params = interop.params_from_torch(state_dict, kind)
        assert len(params) == layers
        ys = deep.apply(params, xs)[1]
        return jnp.sin(ys).sum(), ys

    def arrays(named):
        return {n: jnp.array(np.asarray(a)) for n, a in named.items()}

    grads, ys = jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))(
        arrays(module.state_dict()), jnp.array(inputs.detach().numpy())
    )
    assert_close(ys, jnp.array(outputs.detach().numpy()))
    theirs = arrays({n: p.grad for n, p in module.named_parameters()})
    assert_close(grads, (theirs, jnp.array(inputs.grad.numpy())))

    # Back: into a module with biases, which then does the same.
    params = interop.params_from_torch(module.state_dict(), kind)
    written = interop.to_torch(params)
    assert_same_bits(interop.params_from_torch(written, kind), params)
    for n, a in module.state_dict().items():
        if "weight" in n:
            assert_same_bits(np.asarray(written[n]), a.numpy())
    again = getattr(torch.nn, name)(
        INPUTS, FEATURES, layers, bidirectional=both, **options
    )
    again.load_state_dict({n: torch.tensor(np.asarray(a)) for n, a in written.items()})
    assert_close(again(inputs)[0].detach().numpy(), outputs.detach().numpy())


@pytest.mark.peers
@pytest.mark.parametrize("name", ["elman", "lstm", "gru"])
def test_equal_to_torchs_cells(torch, name):
    cell, kind, module, options = TORCH_CELLS[name]
    torch.manual_seed(0)
    module = getattr(torch.nn, f"{module}Cell")(INPUTS, FEATURES, **options)
    xs = torch.randn(TIME, 4, INPUTS)
    state, outputs = None, []
    for x in xs:
        state = module(x, state)
        outputs.append(state[0] if isinstance(state, tuple) else state)
    (params,) = interop.params_from_torch(module.state_dict(), kind)
    ys = jax.jit(lambda params, xs: nets.unroll(cell, params, xs)[1])(
        params, xs.numpy()
    )
    assert_close(ys, torch.stack(outputs).detach().numpy())
    written = {n.removesuffix("_l0"): a for n, a in interop.to_torch(params).items()}
    module.load_state_dict({n: torch.tensor(np.asarray(a)) for n, a in written.items()})


def test_torch_by_prefix(torch):
    """Of a whole network, and as a copy: what PyTorch then does is not seen."""
    network = torch.nn.ModuleDict(
        {"rnn": torch.nn.GRU(INPUTS, FEATURES), "head": torch.nn.Linear(FEATURES, 1)}
    )
    prefix = "rnn."
    (params,) = interop.params_from_torch(network.state_dict(), GRUParams, prefix)
    before = jax.tree.map(np.array, params)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1.0)
    assert_same_bits(jax.tree.map(np.asarray, params), before)
    written = interop.to_torch(params, prefix)
    assert set(written) == {n for n in network.state_dict() if n.startswith(prefix)}
    assert_same_bits(interop.params_from_torch(written, GRUParams, prefix), (params,))


def test_one_entry_or_a_tuple_for_torch():
    params = params_of(LSTM)
    assert_same_bits(interop.to_torch(params), interop.to_torch((params,)))
    both = params_of(LSTM, both=True)
    assert_same_bits(
        interop.params_from_torch(interop.to_torch(both), LSTMParams), (both,)
    )


@pytest.mark.parametrize("x64_dtype", ["float32", "float64"])
def test_dtype_stays(x64, x64_dtype):
    params = jax.tree.map(lambda a: a.astype(x64_dtype), params_of(LSTM))
    (back,) = interop.params_from_torch(
        {n: np.asarray(a) for n, a in interop.to_torch(params).items()}, LSTMParams
    )
    assert_same_bits(back, params)
