"""Lyapunov exponents: systems whose exponents are known, and what they promise."""

import cases
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import FEATURES, INPUTS, TIME, example
from tolerances import assert_equal_float64

import nets
from nets.cells import ElmanParams
from nets.flow import lyapunov_spectrum, step_jacobians

spectrum = jax.jit(
    lyapunov_spectrum, static_argnames=("cell", "count", "warmup", "reverse")
)
LINEAR = nets.elman(lambda x: x)

# x' = x * state: the inputs are the growth of each unit.
GAIN = nets.Cell(
    lambda key, inputs, features: (),
    lambda params, x: jnp.ones(x.shape, x.dtype),
    lambda params, state, x: (x * state,) * 2,
)
LOGISTIC = nets.Cell(
    lambda key, inputs, features: (),
    lambda params, x: jnp.full(x.shape, 0.3, x.dtype),
    lambda params, state, x: (4 * state * (1 - state),) * 2,
)


def autonomous(w):
    """An Elman cell's parameters that read nothing."""
    return ElmanParams(jnp.zeros((1, len(w)), w.dtype), w, jnp.zeros(len(w), w.dtype))


@pytest.mark.slow
def test_a_linear_orthogonal_network_has_zeros(x64):
    q, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((6, 6)))
    result = spectrum(LINEAR, autonomous(jnp.asarray(q)), jnp.ones((100, 1)))
    np.testing.assert_allclose(result.exponents, 0, atol=1e-13)
    np.testing.assert_allclose(result.errors, 0, atol=1e-13)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_contraction_without_input_is_ruled_by_the_spectral_radius(dtype, x64):
    """tanh(W h) settles at 0, where its Jacobian is W: ln rho(W), not ln g."""
    size, g = 20, 0.8
    w = g / size**0.5 * np.random.default_rng(2).standard_normal((size, size))
    params = autonomous(jnp.asarray(w.astype(dtype)))
    state = nets.cells.ElmanState(cases.normal(size).astype(dtype))
    result = spectrum(nets.elman(), params, jnp.zeros((1500, 1), dtype), state)
    assert result.exponents.dtype == dtype
    rho = np.abs(np.linalg.eigvals(w)).max()
    assert abs(np.log(rho) - np.log(g)) > 0.02
    np.testing.assert_allclose(result.exponents[0], np.log(rho), atol=2e-3)


@pytest.mark.parametrize("name", ["elman", "lstm", "fast weights", "lru", "cornn"])
def test_all_together_are_the_mean_of_ln_det(name, x64):
    cell = cases.CASES[name].cell
    params, xs, state = example(cell, 2, time=12)
    result = spectrum(cell, params, xs, state, warmup=2)
    jacobians = step_jacobians(cell, params, xs, state)[2:]
    _, logs = np.linalg.slogdet(jacobians)
    total = result.exponents.sum(axis=-1)
    np.testing.assert_allclose(total, logs.mean(axis=0), rtol=1e-8)


@pytest.mark.slow
def test_a_diagonal_system_gives_its_rates_in_order(x64):
    rates = jnp.array([-0.5, 0.1, -2.0, 0.0])
    result = spectrum(GAIN, (), jnp.exp(jnp.tile(rates, (300, 1))), warmup=200)
    assert_equal_float64(result.exponents, -jnp.sort(-rates))


def test_the_logistic_map_has_ln_2(x64):
    result = spectrum(LOGISTIC, (), jnp.zeros((5000, 1)))
    np.testing.assert_allclose(result.exponents, np.log(2), atol=1e-2)
    assert 0 < result.errors[0] < 1e-2


@pytest.mark.slow
def test_a_few_are_the_first_of_all(x64):
    cell = nets.elman()
    params, xs, state = example(cell, 2, time=300)
    params = params._replace(w_h=jnp.diag(jnp.array([0.3, -0.9, 0.1])))
    whole = spectrum(cell, params, xs, state, warmup=50)
    assert (jnp.diff(whole.exponents, axis=-1) < -0.5).all()
    for count in (1, 2):
        result = spectrum(cell, params, xs, state, warmup=50, count=count)
        assert_equal_float64(result.exponents, whole.exponents[:, :count])
        assert_equal_float64(result.errors, whole.errors[:, :count])


@pytest.mark.slow
def test_the_warmup_does_not_count(x64):
    xs = jnp.concatenate([jnp.full((7, 1), 100.0), jnp.full((30, 1), 0.5)])
    result = spectrum(GAIN, (), xs, warmup=7)
    assert_equal_float64(result.exponents, jnp.log(jnp.array([0.5])))
    mixed = spectrum(GAIN, (), xs).exponents
    assert_equal_float64(mixed, jnp.array([7 * np.log(100) + 30 * np.log(0.5)]) / 37)


@pytest.mark.slow
@cases.both_ways
@pytest.mark.parametrize("warmup", [0, 3])
def test_padding_counts_neither_as_steps_nor_as_warmup(warmup, reverse, x64):
    lengths, how = (0, 25, 40), {"warmup": warmup, "reverse": reverse, "count": 1}
    # Columns of other batches begin in other directions: with one unit as many as all.
    params, xs, _ = example(nets.ind_rnn(), 3, time=40)
    one = params._replace(w_i=params.w_i[:, :1], w_h=params.w_h[:1], b=params.b[:1])
    filled = cases.fill_padding(xs, lengths, np.nan)
    result = spectrum(nets.ind_rnn(), one, filled, lengths=np.array(lengths), **how)
    result = jax.tree.map(np.asarray, result)
    assert np.isnan(result.exponents[0]).all() and np.isnan(result.errors[0]).all()
    alone = spectrum(nets.ind_rnn(), one, jnp.asarray(np.asarray(xs)[:25, 1]), **how)
    assert_equal_float64(jax.tree.map(lambda f: f[1], result), alone)


def noise(seeds, time):
    drawn = 0.3 * np.random.default_rng(5).standard_normal((time, seeds, 1))
    return jnp.exp(jnp.asarray(drawn - 0.2))


@pytest.mark.slow
def test_errors_are_of_the_right_size(x64):
    """Growth of ln x ~ N(-0.2, 0.3^2): the exponent's error is 0.3 / sqrt(T)."""
    result = spectrum(GAIN, (), noise(400, 200))
    true = 0.3 / 200**0.5
    assert abs(result.exponents.std() / true - 1) < 0.15
    assert abs(jnp.sqrt((result.errors**2).mean()) / true - 1) < 0.15
    off = jnp.abs(result.exponents + 0.2) / result.errors
    assert 0.9 < (off < 2.262).mean() < 0.98  # Student's with 9 degrees: 95 %


@pytest.mark.slow
def test_errors_count_the_steps_that_are_not_independent(x64):
    """A drive with a memory of ten steps: more than the spread of steps shows."""
    xs = jnp.exp(jnp.repeat(jnp.log(noise(300, 40)), 10, axis=0))
    result = spectrum(GAIN, (), xs)
    true = result.exponents.std()
    assert 0.5 < jnp.sqrt((result.errors**2).mean()) / true < 2


@pytest.mark.slow
def test_errors_of_a_short_run_are_unknown():
    short = spectrum(GAIN, (), jnp.full((19, 2), 0.5))
    assert jnp.isnan(short.errors).all() and jnp.isfinite(short.exponents).all()
    assert (spectrum(GAIN, (), jnp.full((20, 2), 0.5)).errors < 1e-6).all()
    padded = spectrum(GAIN, (), jnp.full((300, 2, 1), 0.5), lengths=jnp.array([19, 25]))
    np.testing.assert_array_equal(jnp.isnan(padded.errors[:, 0]), [True, False])


def test_a_lost_direction_is_minus_infinity():
    result = spectrum(GAIN, (), jnp.ones((30, 2)).at[4, 1].set(0.0), warmup=0)
    assert not jnp.isnan(result.exponents).any()
    assert jnp.isneginf(result.exponents[1])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["elman", "lstm"])
def test_the_gradient_is_that_of_finite_differences(name, x64):
    cell = cases.CASES[name].cell
    params, xs, state = example(cell, 2, time=25)
    weights = jnp.arange(1.0, 3.0)

    def number(params):
        result = lyapunov_spectrum(cell, params, xs, state, count=2, warmup=3)
        return (result.exponents * weights[None]).sum()

    number = jax.jit(number)
    gradient, way = jax.jit(jax.grad(number))(params), cases.draw(params, seed=9)
    small = 1e-6
    there, back = (
        number(jax.tree.map(lambda p, w, e=e: p + e * w, params, way))
        for e in (small, -small)
    )
    along = sum(
        (g * w).sum()
        for g, w in zip(jax.tree.leaves(gradient), jax.tree.leaves(way), strict=True)
    )
    np.testing.assert_allclose((there - back) / (2 * small), along, rtol=1e-6)


def test_errors_of_zero_spoil_no_gradient():
    """The exponents of equal steps do not vary, and sqrt has no slope at 0."""

    def top(gain):
        xs = jnp.broadcast_to(gain, (40, 1))
        return lyapunov_spectrum(GAIN, (), xs).exponents[0]

    np.testing.assert_allclose(jax.jit(jax.grad(top))(jnp.array(0.5)), 2.0, rtol=1e-5)


@pytest.mark.slow
def test_reverse_is_the_flip(x64):
    cell = nets.gru()
    params, xs, state = example(cell, 2, time=30)
    flipped = spectrum(cell, params, xs[::-1], state, warmup=4)
    assert_equal_float64(
        spectrum(cell, params, xs, state, warmup=4, reverse=True), flipped
    )


@pytest.mark.slow
def test_every_cell_of_a_layer(x64):
    both = nets.bidirectional(nets.gru())
    layer = nets.stack(both, nets.elman())
    like = jax.eval_shape(lambda k: layer.init(k, INPUTS, FEATURES), jax.random.key(0))
    params = cases.draw(like, dtype=jnp.float64)
    xs, how = cases.normal(TIME, 2, INPUTS), {"count": 2, "warmup": 1}
    (forward, backward), above = spectrum(layer, params, xs, **how)
    low = params[0]
    assert_equal_float64(
        forward.exponents, spectrum(nets.gru(), low[0], xs, **how).exponents
    )
    alone = spectrum(nets.gru(), low[1], xs, reverse=True, **how)
    assert_equal_float64(backward.exponents, alone.exponents)
    _, ys = both.apply(low, xs)
    alone = spectrum(nets.elman(), params[1], ys, **how)
    assert_equal_float64(above.exponents, alone.exponents)


@pytest.mark.slow
def test_vmap_over_seeds(x64):
    cell = nets.elman()
    runs = [example(cell, time=20, seed=seed) for seed in (0, 10)]
    params = jax.tree.map(lambda *ps: jnp.stack(ps), *[run.params for run in runs])
    result = jax.vmap(lambda p: spectrum(cell, p, runs[0].xs))(params)
    alone = [spectrum(cell, run.params, runs[0].xs) for run in runs]
    assert_equal_float64(
        result, jax.tree.map(lambda *result: jnp.stack(result), *alone)
    )


@pytest.mark.slow
def test_jit_changes_nothing(x64):
    params, xs, state = example(nets.elman(), 2, time=20)
    result = spectrum(nets.elman(), params, xs, state)
    assert_equal_float64(result, lyapunov_spectrum(nets.elman(), params, xs, state))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"count": 0}, f"count from 1 to {FEATURES}"),
        ({"count": FEATURES + 1}, f"count from 1 to {FEATURES}"),
        ({"warmup": -1}, f"warmup from 0 to {TIME - 1}"),
        ({"warmup": TIME}, f"warmup from 0 to {TIME - 1}"),
        ({"lengths": jnp.array([TIME + 1, 0])}, f"lengths from 0 to {TIME}"),
    ],
)
def test_refusals(options, message):
    params, xs, _ = example(nets.elman(), 2)
    with pytest.raises(ValueError, match=message):
        lyapunov_spectrum(nets.elman(), params, xs, **options)
