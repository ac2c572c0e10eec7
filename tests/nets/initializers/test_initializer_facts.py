"""Facts of each initializer."""

import inspect
from functools import partial

import cases
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import FEATURES, INPUTS
from scipy import stats

import nets
from nets import initializers
from nets.initializers import INITIALIZERS, Weights, chrono

BY_NAME = INITIALIZERS | {"chrono(50)": chrono(50)}
OURS = {"elman": (nets.elman(), 1), "lstm": (nets.lstm(), 4), "gru": (nets.gru(), 3)}
each = pytest.mark.parametrize("cell, gates", OURS.values(), ids=OURS)


@each
def test_every_recurrent_gate_starts_orthogonal(cell, gates):
    params = cell.init(jax.random.key(0), 4, 8)
    for block in jnp.split(params.w_h, gates, axis=-1):
        np.testing.assert_allclose(block.T @ block, np.eye(8), atol=1e-5)


@pytest.mark.parametrize("init", [initializers.nnx, initializers.keras])
@pytest.mark.parametrize("gates", ["n", "fn", "rzn", "ifgo"])
@pytest.mark.parametrize("hidden", [3, 8, 20])
def test_fused_recurrent_matrices_start_orthogonal(init, gates, hidden):
    w = init(jax.random.key(0), 4, 8, gates, hidden).w_h
    assert w.shape == (hidden, 8 * len(gates))
    w = w if hidden <= w.shape[1] else w.T
    np.testing.assert_allclose(w @ w.T, np.eye(len(w)), atol=1e-5)


@each
def test_input_weights_start_with_variance_1_over_inputs(cell, gates):
    inputs, features = 20, 16
    init = jax.jit(lambda key: cell.init(key, inputs, features).w_i)
    draws = np.stack([init(jax.random.key(seed)) for seed in range(8)])
    # Of n = 2,560 or more draws, mean and variance stray by 0.02 and 0.03 at one sigma.
    assert draws.size >= 2560
    assert abs(draws.mean()) * inputs**0.5 < 0.06
    assert abs(draws.var() * inputs - 1) < 0.08
    # Linen's normal is cut at two deviations, and widened to keep its variance.
    assert abs(draws).max() <= 2 / 0.8796 / inputs**0.5


@pytest.mark.parametrize("forget_bias", [1.0, 0.0, 5.0])
def test_only_the_lstms_forget_bias_starts_elsewhere_than_0(forget_bias):
    b = nets.lstm(forget_bias).init(jax.random.key(0), INPUTS, FEATURES).b
    np.testing.assert_array_equal(
        b.reshape(4, FEATURES), np.outer([0, forget_bias, 0, 0], np.ones(FEATURES))
    )


@pytest.mark.parametrize("cell", [nets.elman(), nets.gru(), nets.gru(False)])
def test_other_biases_start_at_0(cell):
    params = cell.init(jax.random.key(0), INPUTS, FEATURES)
    biases = [b for b in params[2:] if b is not None]
    assert biases and all((b == 0).all() for b in biases)
    assert len(biases) == (2 if cell is nets.gru() else 1)


@pytest.mark.parametrize("init", BY_NAME.values(), ids=BY_NAME)
@pytest.mark.parametrize("gates", ["rzn", "ifgo", "fn"])
def test_a_key_decides_and_gates_start_differently(init, gates):
    draw = jax.jit(lambda key: init(key, 4, 8, gates))
    weights = draw(jax.random.key(0))
    chex.assert_tree_all_finite(weights)
    chex.assert_trees_all_equal(weights, draw(jax.random.key(0)))
    assert cases.differ(weights, draw(jax.random.key(1)))[0]
    for w in weights[: 1 if init is initializers.irnn else 2]:
        blocks = np.split(np.asarray(w), len(gates), axis=-1)
        assert len({block.tobytes() for block in blocks}) == len(gates)
    drawn = [w for w in weights if len(np.unique(w)) == w.size]
    assert np.unique(np.concatenate([w.ravel() for w in drawn])).size == sum(
        w.size for w in drawn
    ), "two of the arrays share numbers"


@pytest.mark.parametrize("init", BY_NAME.values(), ids=BY_NAME)
@pytest.mark.parametrize("hidden", [None, 2, 5])
def test_shapes_and_dtypes(init, hidden, x64):
    draw = partial(init, inputs=4, features=3, gates="fgo", hidden=hidden)
    weights = jax.eval_shape(draw, jax.random.key(0))
    assert isinstance(weights, Weights)
    assert [w.shape for w in weights] == [(4, 9), (hidden or 3, 9), (9,), (9,)]
    assert {w.dtype for w in weights} == {np.dtype("float64")}


WITH_INIT = {
    name: make
    for name, make in nets.CELLS.items()
    if "init" in inspect.signature(make).parameters
}
each_with_init = pytest.mark.parametrize(
    "make", WITH_INIT.values(), ids=list(WITH_INIT)
)


@each_with_init
@pytest.mark.parametrize("init", BY_NAME.values(), ids=BY_NAME)
def test_every_cell_starts_by_every_initializer(make, init):
    asked = []

    def record(key, inputs, features, gates, hidden=None):
        asked.append(gates)
        return initializers.linen(key, inputs, features, gates, hidden)

    def shapes(cell):
        return jax.eval_shape(lambda key: cell.init(key, INPUTS, FEATURES), key)

    key = jax.random.key(0)
    shapes(make(init=record))
    cell = make(init=init)
    assert cell is make(init=init)
    if init is chrono(50) and not all(set("fz") & set(gates) for gates in asked):
        with pytest.raises(ValueError, match="expected a cell with a forget gate"):
            shapes(cell)
        return
    chex.assert_trees_all_equal_shapes_and_dtypes(shapes(cell), shapes(make()))


def test_chrono_draws_how_long_each_unit_remembers():
    draw = jax.jit(lambda key: chrono(50)(key, 2, 4000, "ifgo", hidden=1))
    weights = draw(jax.random.key(0))
    b_i, b_f, b_g, b_o = jnp.split(weights.b_i, 4)
    uniform = stats.uniform(loc=1, scale=48)  # from 1 to 49
    assert stats.kstest(np.exp(b_f), uniform.cdf).pvalue > 1e-3
    np.testing.assert_array_equal(b_i, -b_f)
    assert not b_g.any() and not b_o.any() and not weights.b_h.any()


@pytest.mark.parametrize("gates, keeps", [("rzn", 1), ("zn", 0), ("fn", 0), ("fgo", 0)])
def test_chrono_opens_whatever_keeps_the_state(gates, keeps):
    weights = chrono(1000)(jax.random.key(0), 2, 8, gates)
    by_gate = weights.b_i.reshape(len(gates), 8)
    assert (by_gate[keeps] > 0).all() and len(np.unique(by_gate[keeps])) == 8
    assert not np.delete(by_gate, keeps, axis=0).any() and not weights.b_h.any()
    assert nets.gru(init=chrono(1000)).init(jax.random.key(0), 2, 8).b.any()


def test_chrono_keeps_linens_distribution_of_weights():
    params = nets.lstm(init=chrono(9)).init(jax.random.key(0), 4, 8)
    for block in jnp.split(params.w_h, 4, axis=-1):
        np.testing.assert_allclose(block.T @ block, np.eye(8), atol=1e-5)


@pytest.mark.parametrize("max_time", [2, 0, -5, float("nan"), float("inf")])
def test_chrono_needs_a_time_to_draw_from(max_time):
    with pytest.raises(ValueError, match="expected chrono's max_time to be above 2"):
        chrono(max_time)


@pytest.mark.parametrize("gates", ["n", "igo", "i"])
def test_chrono_needs_a_forget_gate(gates):
    with pytest.raises(ValueError, match="expected a cell with a forget gate") as info:
        chrono(50)(jax.random.key(0), 2, 3, gates)
    assert repr(gates) in str(info.value)


@pytest.mark.parametrize("gates", ["n", "rzn", "ifgo"])
def test_irnn_is_the_identity(gates):
    draw = jax.jit(lambda key: initializers.irnn(key, 50, 100, gates))
    weights = draw(jax.random.key(0))
    for block in np.split(np.asarray(weights.w_h), len(gates), axis=-1):
        np.testing.assert_array_equal(block, np.eye(100))
    assert stats.kstest(np.ravel(weights.w_i) / 0.001, "norm").pvalue > 1e-3
    assert not weights.b_i.any() and not weights.b_h.any()


def test_irnn_of_a_projection_is_as_much_of_the_identity_as_fits():
    for hidden in (2, 5):
        w_h = initializers.irnn(jax.random.key(0), 1, 3, "n", hidden).w_h
        np.testing.assert_array_equal(w_h, np.eye(hidden, 3))


def test_torch_scales_by_the_units_of_a_projected_lstm_too():
    torch = pytest.importorskip("torch")
    theirs = torch.nn.LSTM(3, 100, proj_size=4).all_weights[0]
    ours = initializers.torch(jax.random.key(0), 3, 100, "ifgo", hidden=4)
    for mine, its in zip(ours, theirs[:4], strict=True):
        assert mine.T.shape == its.shape
        largest = [float(abs(mine).max()), float(abs(its.detach()).max())]
        np.testing.assert_allclose(largest, [0.1, 0.1], atol=2e-3)


def test_equinox_draws_a_second_bias_only_inside_the_grus_reset_gate():
    key = jax.random.key(0)
    b_h = initializers.equinox(key, 2, 3, "rzn").b_h
    assert not b_h[:6].any() and b_h[6:].all()
    for gates in ("n", "ifgo", "fn"):
        weights = initializers.equinox(key, 2, 3, gates)
        assert weights.b_i.all() and not weights.b_h.any()


def test_equal_calls_are_one_object():
    keras_lstm = nets.lstm(init=initializers.keras)
    assert keras_lstm is nets.lstm(init=initializers.keras)
    assert keras_lstm is not nets.lstm(init=initializers.nnx)
    assert chrono(50) is chrono(50) is not chrono(51)
    assert nets.gru(init=chrono(50)) is nets.gru(init=chrono(50))


def test_initializers_have_names():
    for name, init in INITIALIZERS.items():
        assert init is getattr(initializers, name) is initializers.from_name(name)
        assert getattr(init, "__name__", None) == name
    assert initializers.from_name("chrono(64)") is chrono(64)
    assert initializers.from_name("chrono(2.5)") is chrono(2.5)


@pytest.mark.parametrize("name", ["", "glorot", "chrono", "keras(1)", "Keras"])
def test_an_unknown_name_is_answered_with_the_known_ones(name):
    with pytest.raises(ValueError, match="unknown initializer") as info:
        initializers.from_name(name)
    assert repr(name) in str(info.value)
    assert all(known in str(info.value) for known in (*INITIALIZERS, "chrono(STEPS)"))


@pytest.mark.parametrize("number", ["", "many", "2", "-1", "nan", "inf", "3, 4"])
def test_a_number_is_answered_with_the_known_names(number):
    with pytest.raises(ValueError, match="has no number of steps above 2") as info:
        initializers.from_name(f"chrono({number})")
    assert all(known in str(info.value) for known in (*INITIALIZERS, "chrono(STEPS)"))
