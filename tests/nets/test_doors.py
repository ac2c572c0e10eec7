"""Inputs of all kinds: empty, NumPy's numbers, strict dtypes, restored records."""

import warnings
from typing import Any

import cases
import chex
import flax.serialization
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import nets
import nets.linen
import nets.nnx
from nets import blocks
from nets.recurrent.combinations import count_steps

GRU, LINEAR = nets.gru(), nets.min_gru()
STACK = nets.stack(nets.bidirectional(GRU), nets.lstm(), dropout_rate=0.5)
IN, OUT = cases.INPUTS, cases.FEATURES


def init(maker):
    return maker.init(jax.random.key(0), IN, OUT)


PARAMS = init(GRU)


def linen(xs, **options):
    module = nets.linen.Recurrent(GRU, OUT)
    xs = np.swapaxes(xs, 0, 1)
    out: Any = module.apply({"params": {"cell": PARAMS}}, xs, **options)
    return jnp.swapaxes(out[1], 0, 1)


RUNS = {
    "plain": lambda xs, n: nets.unroll(GRU, PARAMS, xs)[1],
    "lengths": lambda xs, n: nets.unroll(GRU, PARAMS, xs, lengths=n)[1],
    "mask": lambda xs, n: nets.unroll(
        GRU, PARAMS, xs, mask=np.arange(len(xs))[:, None] < np.asarray(n)
    )[1],
    "remat": lambda xs, n: nets.unroll(GRU, PARAMS, xs, lengths=n, remat=True)[1],
    "truncate": lambda xs, n: nets.unroll(GRU, PARAMS, xs, truncate=np.int64(2))[1],
    "parallel": lambda xs, n: nets.unroll(
        LINEAR, init(LINEAR), xs, lengths=n, parallel=True
    )[1],
    "stack": lambda xs, n: STACK.apply(
        init(STACK), xs, lengths=n, key=jax.random.key(0)
    )[1],
    "linen": lambda xs, n: linen(xs, lengths=n),
    "perturbations": lambda xs, n: nets.unroll(
        GRU, PARAMS, xs, perturbations=nets.flow.zero_perturbations(GRU, PARAMS, xs)
    )[1],
}


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("time, batch", [(0, 2), (5, 0)])
def test_no_sequences_or_no_steps(name, time, batch):
    xs, lengths = np.zeros((time, batch, IN), np.float32), np.zeros(batch, np.int32)
    assert RUNS[name](xs, lengths).shape == (time, batch, OUT)
    ys = jax.eval_shape(lambda xs: RUNS[name](xs, lengths[:0]), xs[:0, :0])
    assert ys.shape == (0, 0, OUT)


@pytest.mark.parametrize("jit", [False, True], ids=["", "jit"])
@pytest.mark.parametrize("name", RUNS)
def test_numpys_float64_is_taken_without_a_warning(name, jit):
    xs = np.random.default_rng(0).standard_normal((5, 2, IN))
    lengths = np.array([5, 2])
    right = RUNS[name](jnp.asarray(xs), jnp.asarray(lengths))
    run = jax.jit(lambda: RUNS[name](xs, lengths)) if jit else None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = run() if run else RUNS[name](xs, lengths)
    assert result.dtype == jnp.float32
    chex.assert_trees_all_close(result, right, rtol=1e-5, atol=1e-6)


def test_parameters_and_states_of_numpy():
    params = jax.tree.map(lambda a: np.asarray(a, np.float64), PARAMS)
    zeros: Any = np.zeros((2, OUT))
    xs, state = np.ones((5, 2, IN)), nets.cells.GRUState(zeros)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = nets.unroll(GRU, params, xs, state)
        under_jit = jax.jit(lambda: nets.unroll(GRU, params, xs, state))()
    chex.assert_trees_all_close(result, under_jit, rtol=1e-6)
    chex.assert_trees_all_close(result, nets.unroll(GRU, PARAMS, jnp.asarray(xs)))


@pytest.mark.parametrize("name", [name for name in RUNS if name != "parallel"])
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32], ids=str)
def test_strict_promotion(name, dtype):
    xs, lengths = jnp.ones((5, 2, IN)), jnp.array([5, 2], dtype)
    with jax.numpy_dtype_promotion("strict"):
        assert jax.tree.leaves(jax.eval_shape(lambda: RUNS[name](xs, lengths)))


def test_strict_promotion_of_wide_numbers(x64):
    params = jax.tree.map(lambda a: a.astype(float), PARAMS)
    with jax.numpy_dtype_promotion("strict"):
        for dtype in jnp.int32, jnp.int64:
            lengths = jnp.array([5, 2], dtype)
            _, ys = nets.unroll(GRU, params, jnp.ones((5, 2, IN)), lengths=lengths)
            assert ys.dtype == float


@pytest.mark.parametrize("two", [np.int64(2), np.uint8(2), jnp.array(2)], ids=repr)
def test_any_integer_is_one(two):
    xs = jnp.ones((5, 2, IN))

    def slopes(size):
        return jax.grad(
            lambda xs: (nets.unroll(GRU, PARAMS, xs, truncate=size)[1][-1] ** 2).sum()
        )(xs)

    chex.assert_trees_all_equal(slopes(two), slopes(2))


@pytest.mark.parametrize(
    "wrong", [0, -1, True, np.bool_(True), 2.0, np.float64(2), "2"]
)
def test_and_nothing_else_is(wrong):
    with pytest.raises(ValueError, match="truncate to be an integer, at least 1 step"):
        count_steps(wrong)


def restored_by_flax(tree: Any) -> Any:
    return flax.serialization.msgpack_restore(flax.serialization.to_bytes(tree))


def as_orbax(tree: Any) -> Any:
    """Dicts for records, lists for tuples."""
    if hasattr(tree, "_fields"):
        return {name: as_orbax(part) for name, part in tree._asdict().items()}
    return [as_orbax(part) for part in tree] if isinstance(tree, tuple) else tree


LAYERS = {
    "gru": GRU,
    "gru without b_hn": nets.gru(reset_after=False),
    "learned_state": nets.learned_state(nets.lstm()),
    "bidirectional": nets.bidirectional(nets.lstm(), GRU),
    "stack": STACK,
}


@pytest.mark.parametrize("restore", [restored_by_flax, as_orbax])
@pytest.mark.parametrize("name", LAYERS)
def test_restored_parameters(name, restore):
    made, xs = LAYERS[name], jnp.ones((5, 2, IN))
    layer = nets.as_layer(made) if isinstance(made, nets.Cell) else made
    params = init(layer)
    back = restore(params)
    assert type(back) is not type(params)
    right = layer.apply(params, xs)
    chex.assert_trees_all_equal(layer.apply(back, xs), right)
    module = nets.linen.Stack((made, nets.lstm()), OUT)
    rows = jnp.swapaxes(xs, 0, 1)
    variables = module.init(jax.random.key(0), rows)
    right = module.apply(variables, rows)
    chex.assert_trees_all_equal(
        module.apply(
            {"params": {"layers": restore(variables["params"]["layers"])}}, rows
        ),
        right,
    )


def test_restored_images():
    block = nets.linen.Block(blocks.conv(4, (3, 3)))
    xs = jnp.ones((2, 8, 8, 1))
    variables = block.init(jax.random.key(0), xs)
    back = restored_by_flax(variables)
    assert isinstance(back["params"]["layer"], dict)
    chex.assert_trees_all_equal(block.apply(back, xs), block.apply(variables, xs))


def test_other_records_are_refused_by_name():
    xs = jnp.ones((5, 2, IN))
    wanted = r"expected .*LSTMParams \(w_i, w_h, b\); got a dict with w_i"
    for params in {"w_i": 1}, PARAMS._asdict():
        with pytest.raises(ValueError, match=wanted):
            nets.unroll(nets.lstm(), params, xs)
        with pytest.raises(ValueError, match=wanted):
            nets.linen.Recurrent(nets.lstm(), OUT).apply(
                {"params": {"cell": params}}, jnp.swapaxes(xs, 0, 1)
            )


RULES = {
    "adam": optax.adam(1e-2),
    "momentum": optax.sgd(0.1, momentum=0.9),
    "adafactor": optax.adafactor(1e-2),
    "ema": optax.chain(optax.clip_by_global_norm(1.0), optax.ema(0.9)),
    "steps": optax.MultiSteps(optax.adamw(1e-2), 2),
}
MODULES = {
    "Recurrent": (GRU, IN, OUT),
    "Bidirectional": (nets.lstm(), IN, OUT),
    "Stack": ((nets.bidirectional(GRU), nets.lstm()), IN, OUT),
}


def squares(layer, xs):
    return (layer(xs)[1] ** 2).mean()


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", ["Stack"])
def test_nnx_optimizers_take_the_steps_of_optax(name, rule):
    xs, tx = jnp.ones((2, 5, IN)), RULES[rule]
    layer = getattr(nets.nnx, name)(*MODULES[name], rngs=nnx.Rngs(0))
    params, apply = layer.params.get_value(), layer.layer.apply
    optimizer = nnx.Optimizer(layer, tx, wrt=nnx.Param)

    @nnx.jit
    def in_nnx(layer, optimizer):
        optimizer.update(layer, nnx.grad(squares)(layer, xs))

    @jax.jit
    def pure(params, memory):
        def loss(params):
            return (apply(params, jnp.swapaxes(xs, 0, 1))[1] ** 2).mean()

        updates, memory = tx.update(jax.grad(loss)(params), memory, params)
        return optax.apply_updates(params, updates), memory

    memory = tx.init(params)
    for _ in range(3):
        in_nnx(layer, optimizer)
        params, memory = pure(params, memory)
    chex.assert_trees_all_close(layer.params.get_value(), params, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", MODULES)
def test_nnx_modules_in_linen_and_back(name):
    xs = jnp.ones((2, 5, IN))
    kind = getattr(nets.nnx, name)
    module = nnx.bridge.to_linen(kind, *MODULES[name])
    variables = module.init(jax.random.key(0), xs)
    out: Any = module.apply(variables, xs)
    assert out[1].shape[:2] == (2, 5)
    layer, other = (kind(*MODULES[name], rngs=nnx.Rngs(seed)) for seed in (0, 1))
    other.params.set_value(layer.params.get_value())  # as a tree of records
    chex.assert_trees_all_equal(other(xs), layer(xs))
    graph, state = nnx.split(layer)
    chex.assert_trees_all_equal(nnx.merge(graph, state)(xs), layer(xs))
    third = kind(*MODULES[name], rngs=nnx.Rngs(2))
    blank = nnx.state(third)
    nnx.replace_by_pure_dict(blank, nnx.to_pure_dict(state))  # as of a checkpoint
    nnx.update(third, blank)
    chex.assert_trees_all_equal(third(xs), layer(xs))


def test_seeds_of_an_nnx_module_in_one_vmap():
    @nnx.split_rngs(splits=3)
    @nnx.vmap
    def make(rngs):
        return nets.nnx.Recurrent(GRU, IN, OUT, rngs=rngs)

    layers, xs = make(nnx.Rngs(0)), jnp.ones((2, 5, IN))
    _, ys = nnx.vmap(lambda layer, xs: layer(xs), in_axes=(0, None))(layers, xs)
    assert ys.shape == (3, 2, 5, OUT)
    assert (ys[0] != ys[1]).any()
