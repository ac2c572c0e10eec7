"""Weights to and from other libraries, and files: the same numbers and gradients."""

import os
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
from side_by_side import optimized_jit
from tolerances import close_to_peers as close

import nets
from nets import interop
from nets.cells import ElmanParams, GRUParams, LSTMParams
from nets.cells.mgu import MGUParams, mgu
from nets.cells.projected_lstm import ProjectedLSTMParams, projected_lstm
from nets.recurrent import BidirectionalParams

ELMAN, RELU, LSTM = nets.elman(), nets.elman(jax.nn.relu), nets.lstm()
AFTER, BEFORE = nets.gru(), nets.gru(reset_after=False)
PROJECTED = projected_lstm(projection=2)


def exact(one: Any, other: Any) -> None:
    """The same tree, and in it the same bits."""
    chex.assert_trees_all_equal_structs(one, other)
    chex.assert_trees_all_equal_shapes_and_dtypes(one, other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


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
        THEIRS[f"keras {name}, both, no bias"] = make(both=True, use_bias=False)


@pytest.mark.peers
@pytest.mark.parametrize("theirs", THEIRS.values(), ids=THEIRS)
def test_equal_to_theirs(theirs):
    """Also by their weights: the conversion is differentiated with the layer."""
    weights = cases.draw(theirs.weights())
    xs = cases.normal(TIME, 4, INPUTS, seed=1, scale=1.0)

    def loss(weights, xs):
        ys = theirs.run(weights, xs)
        return jnp.sin(ys).sum(), ys

    # By the chain rule, so that a layer compiles once for all whose weights it takes.
    params, pull = jax.vjp(jax.jit(theirs.read), weights)
    (by_params, by_xs), ys = outputs_and_grads(theirs.layer, params, xs)
    one = (*pull(by_params), by_xs), ys
    other = jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))(weights, xs)
    close(one, other)
    assert all(np.any(leaf) for leaf in jax.tree.leaves(one))


@partial(optimized_jit, static_argnames="layer")
def outputs_and_grads(layer, params, xs):
    def loss(params, xs):
        _, ys = layer.apply(params, xs)
        return jnp.sin(ys).sum(), ys

    return jax.grad(loss, argnums=(0, 1), has_aux=True)(params, xs)


# What writes them, and those of `THEIRS` of which nothing is folded.
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
def test_theirs_come_back(name):
    weights = cases.draw(THEIRS[name].weights())
    write = WRITERS[name.split()[0]]
    exact(write(THEIRS[name].read(weights)), weights)


def params_of(cell, both=False, seed=0) -> Any:
    if both:
        return BidirectionalParams(
            cases.draw_params(cell, seed), cases.draw_params(cell, seed + 1)
        )
    return cases.draw_params(cell, seed)


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
def test_ours_come_back(write, read, params):
    kind = type(jax.tree.leaves(params, is_leaf=lambda p: hasattr(p, "w_i"))[0])
    exact(read(write(params), kind), params)


def test_haikus_forget_bias_comes_back_rounded():
    """1 is taken off it: a float32 near 1 has steps of 6e-8, one near 0 has not."""
    params = params_of(LSTM)
    back = interop.params_from_haiku(interop.to_haiku(params), LSTMParams)
    forget = slice(FEATURES, 2 * FEATURES)
    np.testing.assert_allclose(back.b[forget], params.b[forget], rtol=0, atol=1.2e-7)
    exact(
        back._replace(b=back.b.at[forget].set(0)),
        params._replace(b=params.b.at[forget].set(0)),
    )


def test_haiku_takes_one_module_of_many():
    params, other = params_of(LSTM), params_of(LSTM, seed=5)
    tree = interop.to_haiku(params, "core") | interop.to_haiku(other, "core_1")
    close(interop.params_from_haiku(tree, LSTMParams, "core"), params)


@pytest.mark.slow
@jax.numpy_rank_promotion("allow")
def test_their_layers_take_ours():
    """What is written fits, by name and shape, the modules that it is written for."""
    for cell, _, layer, options in KERAS.values():
        built: Any = layer(FEATURES, **options)
        built.build((4, TIME, INPUTS))
        weights = interop.to_keras(params_of(cell))
        built.set_weights([np.asarray(a) for a in weights])
        exact(get_weights(built), [np.asarray(a) for a in weights])
    for name, cell in [("haiku elman", RELU), ("haiku lstm", LSTM)]:
        params = params_of(cell)
        chex.assert_trees_all_equal_shapes(
            interop.to_haiku(params), THEIRS[name].weights()
        )
    fused = interop.to_nnx(params_of(LSTM))
    chex.assert_trees_all_equal_shapes(fused, THEIRS["nnx fused lstm"].weights())


def tensors(shape_of_layer="lstm", features=FEATURES, **more):
    """Arrays by PyTorch's names, without PyTorch."""
    rows = {"elman": 1, "lstm": 4, "gru": 3}[shape_of_layer] * features
    shapes = {
        "weight_ih_l0": (rows, INPUTS),
        "weight_hh_l0": (rows, features),
        "bias_ih_l0": (rows,),
        "bias_hh_l0": (rows,),
    }
    return {name: np.ones(shape) for name, shape in (shapes | more).items()}


TORCH_CELLS = {
    "elman": (ELMAN, ElmanParams, "RNN", {"nonlinearity": "tanh"}),
    "elman relu": (RELU, ElmanParams, "RNN", {"nonlinearity": "relu"}),
    "lstm": (LSTM, LSTMParams, "LSTM", {}),
    "projected lstm": (PROJECTED, ProjectedLSTMParams, "LSTM", {"proj_size": 2}),
    "gru": (AFTER, GRUParams, "GRU", {}),
}
# layers, both directions, biases
FORMS = [(1, False, True), (1, True, False), (3, True, True), (3, False, False)]


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="pip install -e '.[peers]'")


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")
@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("case", TORCH_CELLS.values(), ids=TORCH_CELLS)
def test_equal_to_torch(torch, case, form):
    cell, kind, name, options = case
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

    grads, ys = optimized_jit(jax.grad(loss, argnums=(0, 1), has_aux=True))(
        arrays(module.state_dict()), jnp.array(inputs.detach().numpy())
    )
    close(ys, jnp.array(outputs.detach().numpy()))
    theirs = arrays({n: p.grad for n, p in module.named_parameters()})
    close(grads, (theirs, jnp.array(inputs.grad.numpy())))

    # Back: into a module with biases, which then does the same.
    params = interop.params_from_torch(module.state_dict(), kind)
    written = interop.to_torch(params)
    exact(interop.params_from_torch(written, kind), params)
    for n, a in module.state_dict().items():
        if "weight" in n:
            exact(np.asarray(written[n]), a.numpy())
    again = getattr(torch.nn, name)(
        INPUTS, FEATURES, layers, bidirectional=both, **options
    )
    again.load_state_dict({n: torch.tensor(np.asarray(a)) for n, a in written.items()})
    close(again(inputs)[0].detach().numpy(), outputs.detach().numpy())


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
    ys = optimized_jit(lambda params, xs: nets.unroll(cell, params, xs)[1])(
        params, xs.numpy()
    )
    close(ys, torch.stack(outputs).detach().numpy())
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
    exact(jax.tree.map(np.asarray, params), before)
    written = interop.to_torch(params, prefix)
    assert set(written) == {n for n in network.state_dict() if n.startswith(prefix)}
    exact(interop.params_from_torch(written, GRUParams, prefix), (params,))


def test_one_entry_or_a_tuple_for_torch():
    params = params_of(LSTM)
    exact(interop.to_torch(params), interop.to_torch((params,)))
    both = params_of(LSTM, both=True)
    exact(interop.params_from_torch(interop.to_torch(both), LSTMParams), (both,))


@pytest.mark.parametrize("x64_dtype", ["float32", "float64"])
def test_dtype_stays(x64, x64_dtype):
    params = jax.tree.map(lambda a: a.astype(x64_dtype), params_of(LSTM))
    (back,) = interop.params_from_torch(
        {n: np.asarray(a) for n, a in interop.to_torch(params).items()}, LSTMParams
    )
    exact(back, params)


def drop(arrays, name):
    return {n: a for n, a in arrays.items() if n != name}


LINEN_TREE = {
    "i": {"kernel": np.ones((INPUTS, FEATURES)), "bias": np.ones(FEATURES)},
    "h": {"kernel": np.ones((FEATURES, FEATURES))},
}
ERRORS = {
    "missing": (
        lambda: interop.params_from_torch(drop(tensors(), "weight_hh_l0"), LSTMParams),
        'expected arrays of LSTMParams named "weight_ih_l0", "weight_hh_l0", '
        '"bias_ih_l0", "bias_hh_l0"; missing: "weight_hh_l0", unexpected: none',
    ),
    "one bias missing": (
        lambda: interop.params_from_torch(drop(tensors(), "bias_hh_l0"), LSTMParams),
        'missing: "bias_hh_l0", unexpected: none',
    ),
    "a layer missing": (
        lambda: interop.params_from_torch(
            drop(tensors(), "x") | {"weight_ih_l1": np.ones((12, 3))}, LSTMParams
        ),
        'missing: "weight_hh_l1", "bias_ih_l1", "bias_hh_l1", unexpected: none',
    ),
    "unexpected": (
        lambda: interop.params_from_torch(tensors(weight_hr_l0=(2, 3)), LSTMParams),
        'missing: none, unexpected: "weight_hr_l0"',
    ),
    "with a prefix": (
        lambda: interop.params_from_torch(
            {"a.weight_ih": np.ones(1)}, LSTMParams, "a."
        ),
        'expected arrays of LSTMParams named "a.weight_ih", "a.weight_hh"; missing: '
        '"a.weight_hh", unexpected: none',
    ),
    "no such prefix": (
        lambda: interop.params_from_torch({"weight_ih": np.ones(1)}, LSTMParams, "a."),
        'expected names that begin with "a."; got "weight_ih"',
    ),
    "shape": (
        lambda: interop.params_from_torch(tensors(weight_hh_l0=(12, 4)), LSTMParams),
        '"weight_hh_l0": expected shape (4H, H), where H = 3; got (12, 4)',
    ),
    "first shape": (
        lambda: interop.params_from_torch(tensors(weight_ih_l0=(13, 2)), LSTMParams),
        '"weight_ih_l0": expected shape (4H, I); got (13, 2)',
    ),
    "rank": (
        lambda: interop.params_from_torch(tensors(bias_ih_l0=(1, 12)), LSTMParams),
        '"bias_ih_l0": expected shape (4H), where H = 3; got (1, 12)',
    ),
    "another kind's": (
        lambda: interop.params_from_torch(tensors("gru"), LSTMParams),
        '"weight_ih_l0": expected shape (4H, I); got (9, 2)',
    ),
    "no array": (
        lambda: interop.params_from_torch({"weight_ih": [[1], []]}, ElmanParams),
        'missing: "weight_hh"',
    ),
    "ragged": (
        lambda: interop.params_from_torch(
            tensors("elman") | {"bias_ih_l0": [[1.0], []]}, ElmanParams
        ),
        '"bias_ih_l0": expected an array for np.asarray; got a list',
    ),
    "kind for torch": (
        lambda: interop.params_from_torch(tensors(), MGUParams),
        "expected parameters that PyTorch has, ElmanParams or LSTMParams or GRUParams "
        "or ProjectedLSTMParams; got MGUParams",
    ),
    "kind to torch": (
        lambda: interop.to_torch(params_of(mgu())),
        "expected parameters that PyTorch has, ElmanParams or LSTMParams or GRUParams "
        "or ProjectedLSTMParams; got MGUParams",
    ),
    "reset before, to torch": (
        lambda: interop.to_torch(params_of(BEFORE)),
        "expected a b_hn, because torch.nn.GRU resets after the product; got None, "
        "as of gru(reset_after=False)",
    ),
    "no layer to torch": (
        lambda: interop.to_torch(()),
        "expected layers of one kind, all in one direction or all in both; got no "
        "layer",
    ),
    "mixed to torch": (
        lambda: interop.to_torch((params_of(LSTM, both=True), params_of(LSTM))),
        "expected layers of one kind, all in one direction or all in both; got "
        "BidirectionalParams, LSTMParams",
    ),
    "layers that do not fit, to torch": (
        lambda: interop.to_torch((params_of(LSTM), params_of(LSTM))),
        '"weight_ih_l1": expected shape (4H, H), where H = 3; got (12, 2)',
    ),
    "keras's count": (
        lambda: interop.params_from_keras([np.ones(1)] * 5, LSTMParams),
        "expected 2 or 3 arrays of a layer, kernel, recurrent_kernel and optional "
        "bias, or twice as many of a Bidirectional one; got 5",
    ),
    "keras's shape": (
        lambda: interop.params_from_keras(
            [np.ones((2, 12)), np.ones((4, 12))], LSTMParams
        ),
        '"recurrent_kernel": expected shape (H, 4H), where H = 3; got (4, 12)',
    ),
    "keras's bias": (
        lambda: interop.params_from_keras(
            [np.ones((2, 9)), np.ones((3, 9)), np.ones((1, 9))], GRUParams
        ),
        '"bias": expected shape (2, 3H), where H = 3; got (1, 9)',
    ),
    "keras's second direction": (
        lambda: interop.params_from_keras(
            [np.ones((2, 3)), np.ones((3, 3)), np.ones((2, 3)), np.ones(3)], ElmanParams
        ),
        '"backward recurrent_kernel": expected shape (H, H), where H = 3; got (3,)',
    ),
    "kind for keras": (
        lambda: interop.params_from_keras([], dict),
        "expected parameters that Keras has, ElmanParams or LSTMParams or GRUParams or "
        "ConvLSTMParams; got dict",
    ),
    "kind to keras": (
        lambda: interop.to_keras(params_of(PROJECTED)),
        "got ProjectedLSTMParams",
    ),
    "linen missing": (
        lambda: interop.params_from_linen(drop(LINEN_TREE, "h"), ElmanParams),
        'expected arrays of ElmanParams named "i/kernel", "h/kernel", "i/bias"; '
        'missing: "h/kernel", unexpected: none',
    ),
    "linen unexpected": (
        lambda: interop.params_from_linen(
            LINEN_TREE | {"h": LINEN_TREE["h"] | {"bias": np.ones(3)}}, ElmanParams
        ),
        'missing: none, unexpected: "h/bias"',
    ),
    "linen shape": (
        lambda: interop.params_from_linen(
            LINEN_TREE | {"h": {"kernel": np.ones((3, 4))}}, ElmanParams
        ),
        '"h/kernel": expected shape (H, H), where H = 3; got (3, 4)',
    ),
    "reset before, to linen": (
        lambda: interop.to_linen(params_of(BEFORE)),
        "expected a b_hn, because Linen's GRUCell resets after the product; got None",
    ),
    "kind for linen": (
        lambda: interop.params_from_linen({}, ProjectedLSTMParams),
        "expected parameters that Flax's Linen has",
    ),
    "kind to linen": (lambda: interop.to_linen({}), "got dict"),
    "nnx not fused, missing": (
        lambda: interop.params_from_nnx(
            drop(THEIRS["nnx lstm"].weights(), "if_"), LSTMParams
        ),
        'missing: "if_/kernel", unexpected: none',
    ),
    "nnx missing": (
        lambda: interop.params_from_nnx(
            {"dense_i": {"kernel": np.ones((2, 12))}}, LSTMParams
        ),
        'missing: "dense_h/kernel", "dense_h/bias", unexpected: none',
    ),
    "nnx has no b_hn": (
        lambda: interop.to_nnx(params_of(AFTER)._replace(b_hn=jnp.array([0.0, 2, 0]))),
        "expected a b_hn of zeros, because nnx.GRUCell has no bias that could hold it; "
        "got [0.0, 2.0, 0.0]",
    ),
    "reset before, to nnx": (
        lambda: interop.to_nnx(params_of(BEFORE)),
        "expected a b_hn, because nnx.GRUCell resets after the product; got None",
    ),
    "kind for nnx": (lambda: interop.params_from_nnx({}, MGUParams), "Flax's NNX has"),
    "kind to nnx": (lambda: interop.to_nnx(params_of(mgu())), "got MGUParams"),
    "haiku's module": (
        lambda: interop.params_from_haiku(
            {"lstm/linear": {"w": 1}}, LSTMParams, "core"
        ),
        'expected a module named "core"; got "lstm/linear"',
    ),
    "haiku's unexpected": (
        lambda: interop.params_from_haiku(
            {"gru": dict.fromkeys(["w_i", "w_h", "b", "c"], 1.0)}, GRUParams
        ),
        'expected arrays of GRUParams named "gru/w_i", "gru/w_h", "gru/b"; missing: '
        'none, unexpected: "gru/c"',
    ),
    "haiku's shape": (
        lambda: interop.params_from_haiku(
            {"lstm/linear": {"w": np.ones((5, 13)), "b": np.ones(12)}}, LSTMParams
        ),
        '"lstm/linear/w": expected shape (J, 4H), where H = 3; got (5, 13)',
    ),
    "haiku's rows": (
        lambda: interop.params_from_haiku(
            {"lstm/linear": {"w": np.ones((3, 12)), "b": np.ones(12)}}, LSTMParams
        ),
        '"lstm/linear/w": expected more than 3 rows, those of the input and of the 3 '
        "hidden units; got 3",
    ),
    "reset after, to haiku": (
        lambda: interop.to_haiku(params_of(AFTER)),
        "expected no b_hn, because hk.GRU resets before the product; got one, "
        "as of gru(reset_after=True)",
    ),
    "kind for haiku": (lambda: interop.params_from_haiku({}, MGUParams), "Haiku has"),
    "kind to haiku": (lambda: interop.to_haiku(params_of(mgu())), "got MGUParams"),
    "equinox's missing": (
        lambda: interop.params_from_equinox(
            {"weight_ih": np.ones((12, 2))}, LSTMParams
        ),
        'expected arrays of LSTMParams named "weight_ih", "weight_hh"; missing: '
        '"weight_hh", unexpected: none',
    ),
    "equinox's bias": (
        lambda: interop.params_from_equinox(
            drop(THEIRS["equinox gru"].weights(), "bias_n"), GRUParams
        ),
        'missing: "bias_n", unexpected: none',
    ),
    "reset before, to equinox": (
        lambda: interop.to_equinox(params_of(BEFORE)),
        "expected a b_hn, because eqx.nn.GRUCell resets after the product; got None",
    ),
    "kind for equinox": (
        lambda: interop.params_from_equinox({}, ElmanParams),
        "expected parameters that Equinox has, LSTMParams or GRUParams; got "
        "ElmanParams",
    ),
    "kind to equinox": (lambda: interop.to_equinox(params_of(ELMAN)), "got Elman"),
}


@pytest.mark.parametrize("call, message", ERRORS.values(), ids=ERRORS)
def test_what_does_not_fit_is_said(call, message):
    with pytest.raises(ValueError) as error:
        call()
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_tensor_that_numpy_does_not_take(torch):
    arrays = {n: torch.ones(a.shape) for n, a in tensors("elman").items()}
    arrays["bias_hh_l0"] = arrays["bias_hh_l0"].bfloat16()
    with pytest.raises(
        ValueError, match=r'"bias_hh_l0": expected an array .* got a Tens'
    ):
        interop.params_from_torch(arrays, ElmanParams)


TREES = {
    "a cell's": params_of(AFTER),
    "with None": params_of(BEFORE),
    "a stack": (params_of(LSTM, both=True), params_of(AFTER), params_of(PROJECTED)),
    "dicts": {"encoder": {"0": params_of(ELMAN)}, "head": [jnp.ones(2), None]},
    "one array": jnp.arange(3.0),
    "sizes": {"scalar": jnp.float32(2.5), "empty": jnp.zeros((0, 3))},
    "nothing": {},
    "exotic numbers": jnp.array([jnp.nan, jnp.inf, -0.0, 1e-45]),
    "transposed": np.arange(6.0).reshape(2, 3).T,
}
DTYPES = [
    "float32",
    "float64",
    "float16",
    "bfloat16",
    "int8",
    "int64",
    "uint32",
    "bool",
]


@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
def test_files_keep_every_tree(tree, tmp_path):
    path = tmp_path / "params.safetensors"
    interop.save_safetensors(path, tree)
    back = interop.load_safetensors(path, tree)
    exact(back, tree)
    if not isinstance(tree, np.ndarray):
        assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(back))
        shapes = jax.eval_shape(lambda: tree)
        exact(interop.load_safetensors(str(path), shapes), tree)


@pytest.mark.parametrize("dtype", DTYPES)
def test_files_keep_every_dtype(dtype, tmp_path):
    path = tmp_path / "params.safetensors"
    array = np.array([[0, 1, 1], [1, 0, 3]]).astype(jnp.dtype(dtype))
    interop.save_safetensors(path, {"a": array})
    exact(interop.load_safetensors(path), {"a": array})
    exact(interop.load_safetensors(path, {"a": array}), {"a": array})
    with jax.enable_x64(True):
        exact(interop.load_safetensors(path, {"a": jnp.array(array)})["a"], array)


def test_names_in_files(tmp_path):
    path = tmp_path / "params.safetensors"
    interop.save_safetensors(path, (params_of(LSTM, both=True), params_of(BEFORE)))
    found = interop.load_safetensors(path)
    sides = [f"0.{side}.{n}" for side in ("forward", "backward") for n in ("w_i", "b")]
    assert set(sides) < set(found) and "1.w_h" in found and len(found) == 9
    assert all(a.flags.writeable for a in found.values())


def test_files_of_torch(torch, tmp_path):
    pytest.importorskip("safetensors.torch").save_file(
        torch.nn.GRU(INPUTS, FEATURES, 2, bidirectional=True).bfloat16().state_dict(),
        path := tmp_path / "torch.safetensors",
    )
    params = interop.params_from_torch(interop.load_safetensors(path), GRUParams)
    assert len(params) == 2 and params[1].backward.w_h.dtype == jnp.bfloat16


def test_files_that_do_not_fit(tmp_path):
    path = tmp_path / "params.safetensors"
    params = params_of(LSTM)
    interop.save_safetensors(path, {"a": params, "z": jnp.ones(2)})
    like = {
        "a": params._replace(b=jnp.ones(3), w_h=params.w_h.astype("bfloat16")),
        "c": jax.ShapeDtypeStruct((2,), jnp.float32),
    }
    with pytest.raises(ValueError) as error:
        interop.load_safetensors(path, like)
    assert str(error.value) == (
        f'{path}: expected the arrays of `like`; "c" is missing, "z" is unexpected, '
        '"a.w_h" expected as bfloat16[3, 12] is float32[3, 12], '
        '"a.b" expected as float32[3] is float32[12]'
    )


def test_a_file_is_not_narrowed_in_silence(tmp_path):
    path = tmp_path / "params.safetensors"
    interop.save_safetensors(path, {"a": np.ones(2)})
    with jax.enable_x64(True):
        like = {"a": jax.ShapeDtypeStruct((2,), jnp.float64)}
        assert interop.load_safetensors(path, like)["a"].dtype == jnp.float64
    with pytest.raises(ValueError, match="jax_enable_x64, which float64 requires"):
        interop.load_safetensors(path, like)


@pytest.mark.parametrize("keep", [0, 5, 40, -1], ids=str)
def test_half_a_file_is_said_to_be_none(tmp_path, keep):
    path = tmp_path / "params.safetensors"
    interop.save_safetensors(path, params_of(LSTM))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match="expected a complete safetensors file; got"):
        interop.load_safetensors(path)


def test_no_pickle(tmp_path):
    path = tmp_path / "params.npz"
    np.savez(path, np.ones(3))
    with pytest.raises(ValueError, match="expected a complete safetensors file; got"):
        interop.load_safetensors(path, np.ones(3))


def test_a_dtype_that_is_not_known(tmp_path):
    header = b'{"a":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}}'
    path = tmp_path / "params.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(2))
    with pytest.raises(ValueError, match=r'"a": expected a dtype .*; got F8_E4M3'):
        interop.load_safetensors(path)


UNWRITABLE = {
    "a number": ({"a": {"b": 1.5}}, '"a.b": expected an array of float64, .*got float'),
    "a key": ({"a": jax.random.key(0)}, '"a": expected an array of .*got key<fry>'),
    "complex": ({"a": np.ones(2, complex)}, '"a": expected .*got complex128'),
    "one name": (
        {"a.b": np.ones(1), "a": {"b": np.ones(1)}},
        'expected one array of each name; got two of "a.b"',
    ),
}


@pytest.mark.parametrize("tree, message", UNWRITABLE.values(), ids=UNWRITABLE)
def test_what_files_do_not_hold(tree, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        interop.save_safetensors(tmp_path / "params.safetensors", tree)
    assert not list(tmp_path.iterdir())


def test_a_broken_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "params.safetensors"
    interop.save_safetensors(path, params_of(LSTM))
    before = path.read_bytes()

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        interop.save_safetensors(path, params_of(LSTM, seed=1))
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    monkeypatch.undo()
    interop.save_safetensors(path, params_of(LSTM, seed=1))
    assert path.read_bytes() != before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("inputs", [3, 4], ids=["other sizes", "equal sizes"])
def test_two_keras_cells_on_top_of_each_other_are_no_two_directions(inputs, bias):
    """Where the sizes are equal, nothing tells them apart."""
    cells = [nets.lstm().init(jax.random.key(0), n, 4) for n in (inputs, 4)]
    weights = [a for cell in cells for a in interop.to_keras(cell)[: 3 if bias else 2]]
    with pytest.raises(ValueError, match="may be a stack: convert the"):
        interop.params_from_keras(weights, nets.cells.LSTMParams)
    size = len(weights) // 2
    for cell, part in zip(cells, (weights[:size], weights[size:]), strict=True):
        found = interop.params_from_keras(part, nets.cells.LSTMParams)
        chex.assert_trees_all_equal(found[:size], cell[:size])
