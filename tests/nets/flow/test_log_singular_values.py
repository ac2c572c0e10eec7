"""Transport: singular values of long products, against many digits and exact facts."""

from functools import partial

import cases
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import FEATURES, INPUTS, TIME, example
from tolerances import assert_equal_float64

import nets
from nets.cells import ElmanParams, LSTMParams
from nets.flow import log_singular_values, step_jacobians
from nets.flow.udt import UDT, log_sigmas, times

# Each program takes a second to compile: tests of one cell share their shapes.
_carried = jax.jit(log_singular_values, static_argnames=("cell", "count", "reverse"))
singular = jax.jit(log_sigmas)
LINEAR, RELU = nets.elman(lambda x: x), nets.elman(jax.nn.relu)
NOTHING = -400.0  # what 10^-200, the last digits of mpmath, leaves of a zero

# A cell whose inputs are its Jacobians, row by row.
GIVEN = nets.Cell(
    lambda key, inputs, features: (),
    lambda params, x: jnp.zeros(x.shape[:-1], x.dtype),
    lambda params, state, x: ((x @ state[..., None])[..., 0],) * 2,
    spatial_dims=1,
)


def carried(*args, **options):
    """The singular values as NumPy's arrays, whose slices are not compiled."""
    return jax.tree.map(np.asarray, _carried(*args, **options))


def product(matrices, **options):
    """transport of the product of matrices [time, n, n], all singular values."""
    return carried(GIVEN, (), matrices, count=None, **options)


def by_many_digits(matrices):
    """ln of the singular values of the whole product."""
    mp = pytest.importorskip("mpmath")
    with mp.workdps(200):
        size = matrices.shape[-1]
        whole = mp.eye(size)
        for matrix in np.asarray(matrices, float):
            whole = mp.matrix(matrix.tolist()) * whole
        sigmas = mp.svd_r(whole, compute_uv=False)
        logs = [float(mp.log(s)) if s > 0 else -np.inf for s in sigmas]
    logs = np.sort(logs)[::-1]
    return np.where(logs < NOTHING, -np.inf, logs)


def orthogonal(*shape, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal(shape))[0]


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def saturated():
    """Slopes of tanh from 1 down to 6e-6, then an orthogonal matrix."""
    slopes = np.exp(-12 * np.random.default_rng(3).random((40, 6, 1)))
    return slopes * orthogonal(40, 6, 6)


CLUSTERS = orthogonal(40, 6, 6) * np.repeat([1.0, 0.1], 3)
TWINS = normal(40, 6, 6)[..., [0, 1, 2, 3, 4, 1]]
# And the error of float32, in nats: where the smallest counts, the rounding of each
# matrix is amplified by its condition number, eps sum_t cond(J_t), which is 0.07 of
# the saturated ones. The rest depends on the processor.
PRODUCTS = {
    "n = 1": (normal(40, 1, 1), 1e-6),
    "n = 2": (normal(40, 2, 2), 1e-4),
    "n = 6": (normal(40, 6, 6), 1e-4),
    "the same again": (np.repeat(0.3 * normal(1, 6, 6), 40, axis=0), 1e-4),
    "equal singular values": (0.9 * orthogonal(40, 6, 6), 1e-5),
    "two clusters": (CLUSTERS, 1e-4),
    "saturated": (saturated(), 0.05),
    "a column that is another's": (TWINS, 5e-4),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PRODUCTS)
def test_all_singular_values_against_many_digits(name, x64):
    matrices, close = PRODUCTS[name]
    for dtype, tolerance in (("float64", 1e-10), ("float32", close)):
        given = jnp.asarray(matrices, dtype)
        result, exact = product(given)[-1], by_many_digits(given)
        assert result.dtype == dtype
        known = np.isfinite(exact)
        np.testing.assert_allclose(result[known], exact[known], rtol=0, atol=tolerance)
        rest = result[~known]  # zero, but for rounding in every step
        assert (rest < exact[known][-1] + len(matrices) * np.log(1e-5)).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lstm", "fast weights"])
def test_the_product_of_the_step_jacobians(name, x64):
    """At every step, short enough for NumPy."""
    cell = cases.CASES[name].cell
    params, xs, state = example(cell, 2)
    result = carried(cell, params, xs, state, count=None)
    so_far = np.broadcast_to(np.eye(result.shape[-1]), (2, *[result.shape[-1]] * 2))
    jacobians = np.asarray(step_jacobians(cell, params, xs, state))
    for t in range(TIME):
        so_far = jacobians[t] @ so_far
        expected = np.log(np.linalg.svd(so_far, compute_uv=False))
        good = expected > expected.max() - 20  # the others are beyond NumPy
        np.testing.assert_allclose(result[t][good], expected[good], atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-10), ("float32", 1e-3)])
def test_a_linear_orthogonal_network_keeps_all_norms(dtype, tolerance, x64):
    result = of_a_linear_network(orthogonal(6, 6).astype(dtype))
    np.testing.assert_allclose(np.exp(result), 1, atol=tolerance)


def of_a_linear_network(w_h):
    """1000 steps of one whose recurrent matrix is [6, 6]."""
    arrays = normal(INPUTS, 6), w_h, normal(6)
    params = ElmanParams(*(jnp.asarray(a, w_h.dtype) for a in arrays))
    xs = jnp.asarray(np.zeros((1000, INPUTS), w_h.dtype))
    return carried(LINEAR, params, xs, count=None)


@pytest.mark.slow
def test_ten_thousand_steps_in_float32():
    """Of 0.9 Q, after which every singular value is at 10^-458."""
    steps = np.arange(1, 10_001)[:, None]
    shrinking = jnp.asarray(0.9 * orthogonal(4, 4), jnp.float32)
    params = ElmanParams(jnp.zeros((1, 4)), shrinking, jnp.zeros(4))
    result = carried(LINEAR, params, jnp.zeros((10_000, 1)), count=None)
    exact = steps * np.log(np.linalg.svd(np.asarray(shrinking, float))[1])
    assert exact[-1, 0] < -1000
    # float32 holds a number near 1053 to 6e-5
    np.testing.assert_allclose(result, exact, rtol=0, atol=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("dtype, close", [("float64", 1e-9), ("float32", 1e-5)])
def test_diagonal_gates(dtype, close, x64):
    gates = np.array([0.5, 0.99, 1.0, 1e-6, 0.1, 1.5], dtype)
    result = of_a_linear_network(np.diag(gates))
    exact = 1000 * np.sort(np.log(gates.astype(float)))[::-1]
    np.testing.assert_allclose(result[-1], exact, rtol=close)


@pytest.mark.slow
@pytest.mark.parametrize("b, kept", [(5.0, 0.510924)])
def test_the_forget_bias_alone_sets_an_lstms_memory(b, kept, x64):
    bias = jnp.repeat(jnp.array([0.0, b, 0.0, 0.0]), FEATURES)
    w_i, w_h = jnp.zeros((INPUTS, len(bias))), jnp.zeros((FEATURES, len(bias)))
    params = LSTMParams(w_i, w_h, bias)
    result = carried(nets.lstm(), params, cases.normal(100, INPUTS), count=None)[-1]
    # h' = tanh(c') / 2 has slope 1/2 at c' = 0: the column (1/2, 1) f^T.
    grown = np.exp(result[:FEATURES]) / 1.25**0.5
    np.testing.assert_allclose(grown, (1 + np.exp(-b)) ** -100, rtol=1e-9)
    np.testing.assert_allclose(grown, kept, rtol=1e-6)
    assert np.isneginf(result[FEATURES:]).all()  # what h was is forgotten at once


@pytest.mark.slow
def test_the_constant_error_carousel_and_an_irnn_are_exactly_zero():
    f_open = jnp.repeat(jnp.array([-1e3, 1e3, 0.3, -1e3]), FEATURES)
    params = cases.draw_params(nets.lstm())._replace(b=f_open)
    result = carried(nets.lstm(), params, cases.normal(50, INPUTS), count=FEATURES)
    assert (result == 0).all()
    ones = ElmanParams(jnp.ones((4, 4)), jnp.eye(4), jnp.zeros(4))
    xs = np.abs(normal(6, 4)) + 0.1
    assert (carried(RELU, ones, jnp.asarray(xs, jnp.float32), count=None) == 0).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    "activation, gamma", [(jnp.tanh, 1.0), (jax.nn.sigmoid, 0.25)], ids=["tanh", "s"]
)
def test_pascanus_bound(activation, gamma, x64):
    """|P_t| <= (gamma sigma_max)^(t + 1)."""
    cell = nets.elman(activation)
    params, xs, _ = example(cell, 8, time=20)
    for scale in (0.3, 2.0):
        params = params._replace(w_h=cases.normal(FEATURES, FEATURES, scale=scale))
        result = carried(cell, params, xs)[..., 0]
        rate = np.log(gamma * np.linalg.norm(params.w_h, ord=2))
        bound = np.arange(1, 21)[:, None] * rate
        assert (result <= bound + 1e-12).all()


@pytest.mark.slow
def test_dead_units_lose_rank_and_nothing_else():
    """relu units: one that is dead, then all."""
    w = jnp.asarray(orthogonal(4, 4), jnp.float32)
    params = ElmanParams(jnp.eye(4), w, jnp.zeros(4))
    drive = np.tile(10.0 ** np.arange(6)[:, None], (1, 4)).astype(np.float32)
    drive[2, 1] = drive[5] = -1e9
    result = carried(RELU, params, jnp.asarray(drive), count=None)
    np.testing.assert_allclose(result[:2], 0, atol=1e-6)
    np.testing.assert_allclose(result[2:5, :3], 0, atol=1e-6)
    assert (result[2:5, 3] < np.log(1e-6)).all()
    assert np.isneginf(result[5]).all()


LOSING = {
    "a repeated column, then another": [[1, 1, 0], [0, 0, 1], [0, 0, 0]],
    "twice": [[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]],
    "nilpotent": [[0, 1, 0], [0, 0, 1], [0, 0, 0]],
    "zero": [[0, 0], [0, 0]],
    "ones": [[1, 1, 1], [1, 1, 1], [1, 1, 1]],
}


def test_lost_directions_change_no_other(x64):
    """Exact zeros on the diagonal of R, before columns that are not zero."""
    matrices = np.zeros((len(LOSING), 4, 4))
    for whole, matrix in zip(matrices, LOSING.values(), strict=True):
        whole[: len(matrix), : len(matrix)] = matrix
    given = jnp.asarray(np.stack([matrices] * 3))
    result = carried(GIVEN, (), given, count=None)
    assert not np.isnan(result).any()
    for t in range(3):
        powers = np.linalg.matrix_power(matrices, t + 1)
        exact = np.linalg.svd(powers, compute_uv=False)
        np.testing.assert_allclose(np.exp(result[t]), exact, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 5])
@pytest.mark.parametrize("dtype, close", [("float64", 1e-11), ("float32", 1e-4)])
def test_graded_matrices_against_many_digits(size, dtype, close, x64):
    """diag(2^k) w, from rows of equal norm to 10^-80 apart."""
    mp = pytest.importorskip("mpmath")
    w = jnp.asarray(normal(2, size, size, seed=size), dtype)
    spread = np.array([0, 270 // size])[:, None]
    k = jnp.asarray(spread * np.random.default_rng(size).permutation(size), dtype)
    eye = jnp.asarray(np.broadcast_to(np.eye(size, dtype=dtype), w.shape))
    result = np.asarray(singular(UDT(eye, k, w)))
    for i in range(2):
        with mp.workdps(120):
            rows = mp.matrix(np.asarray(w[i], float).tolist())
            scale = mp.diag([mp.mpf(2) ** int(power) for power in k[i]])
            sigmas = mp.svd_r(scale * rows, compute_uv=False)
            exact = sorted((float(mp.log(s)) for s in sigmas), reverse=True)
        np.testing.assert_allclose(result[i], exact, rtol=0, atol=close)


@pytest.mark.slow
def test_the_graded_form_is_the_product(x64):
    """Q diag(2^k) W itself, not its singular values alone."""
    eye, multiply = jnp.asarray(np.eye(5)), jax.jit(times)
    so_far, whole = UDT(eye, jnp.asarray(np.zeros(5)), eye), np.eye(5)
    for matrix in normal(6, 5, 5):
        moved = jnp.asarray(matrix @ np.asarray(so_far.q))
        so_far, whole = multiply(moved, so_far), matrix @ whole
        q, k, w = map(np.asarray, so_far[:3])
        assert_equal_float64(q @ (np.exp2(k)[:, None] * w), whole)
        assert_equal_float64(so_far.q.T @ so_far.q, np.eye(5))


@pytest.mark.slow
def test_counts_are_the_first_of_all(x64):
    params, xs, state = example(nets.lstm(), 2)
    whole = carried(nets.lstm(), params, xs, state, count=None)
    assert whole.shape == (TIME, 2, 2 * FEATURES)
    assert (np.diff(whole, axis=-1) <= 0).all()
    assert_equal_float64(
        carried(nets.lstm(), params, xs, state, count=2), whole[..., :2]
    )
    assert_equal_float64(carried(nets.lstm(), params, xs, state), whole[..., :1])


@pytest.mark.slow
def test_a_batch_is_a_vmap(x64):
    cell = nets.gru()
    params, xs, _ = example(cell, 2, 3)
    result = carried(cell, params, xs)
    run = partial(_carried, cell, params)
    assert_equal_float64(result, jax.jit(jax.vmap(jax.vmap(run, 1, 1), 1, 1))(xs))


@pytest.mark.slow
def test_reverse_is_the_flip(x64):
    cell = nets.gru()
    params, xs, _ = example(cell, 2)
    xs = np.asarray(xs)
    flipped = carried(cell, params, jnp.asarray(xs[::-1]), count=None)[::-1]
    assert_equal_float64(
        carried(cell, params, jnp.asarray(xs), count=None, reverse=True), flipped
    )


@pytest.mark.slow
@cases.both_ways
def test_in_padding_the_product_waits(reverse, x64):
    cell, lengths = nets.gru(), (0, 3, TIME)
    params, xs, state = example(cell, 3)
    run = partial(carried, cell, params, state=state, count=None)
    padded = cases.fill_padding(xs, lengths, np.nan)
    result = run(padded, lengths=np.array(lengths), reverse=reverse)
    assert_equal_float64(result[:, 0], np.zeros((TIME, FEATURES)))
    # The three steps as the first of five, in the order in which they are read.
    order = [2, 1, 0, 3, 4] if reverse else range(TIME)
    xs = jnp.asarray(np.asarray(xs)[[*order]])
    alone = run(xs, lengths=np.full(3, TIME))[:3, 1]
    alone = alone[::-1] if reverse else alone
    assert_equal_float64(result[:3, 1], alone)
    waiting = np.zeros(FEATURES) if reverse else alone[-1]
    assert_equal_float64(result[3:, 1], np.broadcast_to(waiting, (2, FEATURES)))


@pytest.mark.slow
def test_every_cell_of_a_layer(x64):
    """Both directions; `test_lyapunov` has a stack of layers."""
    layer = nets.bidirectional(nets.gru())
    like = jax.eval_shape(lambda k: layer.init(k, INPUTS, FEATURES), jax.random.key(0))
    params = cases.draw(like, dtype=jnp.float64)
    xs = cases.normal(TIME, 2, INPUTS)
    run = partial(carried, xs=xs, count=None)
    forward, backward = run(layer, params)
    assert_equal_float64(forward, run(nets.gru(), params.forward))
    assert_equal_float64(backward, run(nets.gru(), params.backward, reverse=True))


@pytest.mark.parametrize("count", [0, FEATURES + 1, -1])
def test_a_count_out_of_range(count):
    params, xs, _ = example(nets.gru())
    with pytest.raises(ValueError, match=f"from 1 to {FEATURES}"):
        log_singular_values(nets.gru(), params, xs, count=count)
