"""Gated cells: exact facts."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import FEATURES, INPUTS, TIME, example, normal

import nets
from nets import initializers
from nets.cells.coupled_lstm import coupled_lstm
from nets.cells.irnn import irnn
from nets.cells.janet import janet
from nets.cells.layer_norm_gru import layer_norm_gru
from nets.cells.layer_norm_lstm import layer_norm_lstm
from nets.cells.lstm_1997 import lstm_1997
from nets.cells.m2rnn import M2RNNParams, M2RNNState, m2rnn
from nets.cells.para_gru import para_gru
from nets.cells.para_lstm import para_lstm
from nets.cells.peephole_lstm import peephole_lstm
from nets.cells.projected_lstm import projected_lstm

BATCH = 2


def test_the_first_lstm_with_its_input_gate_shut_carries_the_cell_exactly():
    cell = lstm_1997()
    params, xs, first = example(cell, time=100)
    params = params._replace(b=params.b.at[:FEATURES].set(-1e9))

    def last(c):
        return nets.unroll(cell, params, xs, first._replace(cell=c))[0].cell

    chex.assert_trees_all_equal(last(first.cell), first.cell)
    jacobian = jax.jit(jax.jacobian(last))(first.cell)
    chex.assert_trees_all_equal(jacobian, jnp.eye(FEATURES))


def test_the_first_lstm_passes_the_gradient_along_the_cell_whatever_is_written():
    cell = lstm_1997()
    params, xs, state = example(cell)

    def new_cell(c):
        return cell.step(params, state._replace(cell=c), xs[0])[0].cell

    chex.assert_trees_all_equal(jax.jacobian(new_cell)(state.cell), jnp.eye(FEATURES))


def test_peepholes_of_zero_make_an_lstm():
    key = jax.random.key(0)
    params = peephole_lstm().init(key, INPUTS, FEATURES)
    plain = nets.lstm().init(key, INPUTS, FEATURES)
    chex.assert_trees_all_equal(params[:3], tuple(plain))
    xs = normal(TIME, INPUTS)
    state, ys = nets.unroll(peephole_lstm(), params, xs)
    expected, ys_expected = nets.unroll(nets.lstm(), plain, xs)
    chex.assert_trees_all_close(
        (tuple(state), ys), (tuple(expected), ys_expected), rtol=1e-6
    )


def test_coupled_gates_sum_to_one():
    # c = 1 is kept by f, and tanh(g) = 1 written by 1 - f: both together are 1.
    cell = coupled_lstm()
    params, xs, state = example(cell, 4)
    params = params._replace(b=params.b.at[FEATURES : 2 * FEATURES].set(1e3))
    state = state._replace(cell=jnp.ones_like(state.cell))
    new, _ = cell.step(params, state, xs[0])
    chex.assert_trees_all_close(new.cell, state.cell, rtol=1e-6)


def test_janet_with_beta_writes_more_than_it_forgets():
    params, xs, state = example(janet())
    params = params._replace(b=params.b.at[FEATURES:].set(1e3))  # tanh(n) = 1
    state = state._replace(hidden=jnp.ones_like(state.hidden))

    def new(beta):
        return janet(beta).step(params, state, xs[0])[0].hidden

    chex.assert_trees_all_close(new(0.0), state.hidden, rtol=1e-6)
    assert (new(1.0) > 1.05).all()
    w_i, w_h, b = (np.asarray(p)[..., :FEATURES] for p in params)  # of f, then n
    f = np.asarray(xs)[0] @ w_i + np.asarray(state.hidden) @ w_h + b
    chex.assert_trees_all_close(new(jnp.inf), 1 / (1 + np.exp(-f)) + 1, rtol=1e-6)
    assert janet() is janet(beta=1.0)


@pytest.mark.slow
@pytest.mark.parametrize("cell", [layer_norm_lstm(), layer_norm_gru()])
def test_layer_norm_makes_the_size_of_the_weights_forgotten(cell, x64):
    params, xs, state = example(cell, dtype=jnp.float64)
    # Large weights, so that epsilon does not count.
    small = params._replace(w_i=1e3 * params.w_i, w_h=1e3 * params.w_h)
    large = params._replace(w_i=1e5 * params.w_i, w_h=1e5 * params.w_h)

    def step(params):
        f = partial(cell.step, params, x=xs[0])
        return f(state), jax.jacobian(f)(state)

    chex.assert_trees_all_close(step(small), step(large), rtol=1e-4, atol=1e-9)


def test_projection_has_a_default_and_a_least_value():
    def width(cell, features):
        init = partial(cell.init, inputs=INPUTS, features=features)
        return jax.eval_shape(init, jax.random.key(0)).w_p.shape[-1]

    assert [width(projected_lstm(), n) for n in (1, 2, 7, 8)] == [1, 1, 3, 4]
    assert width(projected_lstm(projection=9), 3) == 9
    with pytest.raises(ValueError, match="at least 1 unit; got 0"):
        projected_lstm(projection=0)


def test_irnn_starts_as_the_identity_and_is_an_elman_network():
    assert irnn() is nets.elman(jax.nn.relu, initializers.irnn)
    params = irnn().init(jax.random.key(0), INPUTS, FEATURES)
    chex.assert_trees_all_equal(params.w_h, jnp.eye(FEATURES))
    chex.assert_trees_all_equal(params.b, jnp.zeros(FEATURES))


def test_para_gru_has_the_published_diagonal_jacobian(x64):
    """apple/ml-pararnn, pararnn/rnn_cell/gru_diag_mh.py: _compute_jacobians_inner."""
    cell = para_gru()
    params, xs, state = example(cell, time=1, dtype=jnp.float64)

    @jax.jit
    def jacobian(state):
        return jax.jacobian(lambda s: cell.step(params, s, xs[0])[0])(state)

    got = np.asarray(jacobian(state).hidden.hidden)
    (h,), x = map(np.asarray, (state, xs[0]))
    r, z, n = np.split(x @ np.asarray(params.w_i) + np.asarray(params.b), 3)
    w_r, w_z, w_n = np.asarray(params.w_h)
    r, z = (1 / (1 + np.exp(-a)) for a in (r + w_r * h, z + w_z * h))
    n = np.tanh(n + w_n * h * r)
    slope_n = w_n * (1 - n**2) * (r + h * w_r * r * (1 - r))
    wanted = (1 - z) + (n - h) * w_z * z * (1 - z) + z * slope_n
    np.testing.assert_allclose(got, np.diag(wanted), rtol=1e-12)


def test_para_lstm_has_blocks_of_one_unit_each():
    cell = para_lstm()
    params, xs, state = example(cell, time=1)

    @jax.jit
    def jacobian(state):
        return jax.jacobian(lambda s: cell.step(params, s, xs[0])[0])(state)

    for block in jax.tree.leaves(jacobian(state)):
        block = np.asarray(block)
        assert np.diag(block).all()
        np.testing.assert_array_equal(block, np.diag(np.diag(block)))


def test_m2rnn_mixes_no_rows():
    cell = m2rnn()
    params, xs, state = example(cell, time=1)

    @jax.jit
    def jacobian(state):
        return jax.jacobian(lambda s: cell.step(params, s, xs[0])[0])(state)

    blocks = np.asarray(jacobian(state).memory.memory)[0, :, :, 0]
    for row in range(FEATURES):
        for other in range(FEATURES):
            assert blocks[row, :, other].all() == (row == other)
            assert blocks[row, :, other].any() == (row == other)


def test_m2rnn_of_two_heads_is_two_cells(x64):
    both, one = m2rnn(heads=2), m2rnn()
    params = both.init(jax.random.key(0), INPUTS, 4)
    params = jax.tree.map(
        lambda a: normal(*a.shape, seed=a.ndim, dtype=a.dtype), params
    )
    xs = normal(TIME, 2, INPUTS, dtype=jnp.float64)
    state, ys = nets.unroll(both, params, xs)
    gates = np.split(np.asarray(params.w_i), [4, 8, 12], axis=-1)
    for j in range(2):
        parts = [part[:, 2 * j : 2 * j + 2] for part in gates[:3]]
        w_i = jnp.concatenate([*parts, gates[3][:, j : j + 1]], axis=-1)
        single = M2RNNParams(w_i, *(part[j : j + 1] for part in params[1:]))
        wanted, outputs = nets.unroll(one, single, xs)
        chex.assert_trees_all_close(
            (M2RNNState(state.memory[:, j : j + 1]), ys[..., 2 * j : 2 * j + 2]),
            (wanted, outputs),
            rtol=1e-12,
        )


def test_heads_of_m2rnn_share_the_features_equally():
    with pytest.raises(ValueError, match="divisible by heads; got 3 and 2"):
        m2rnn(heads=2).init(jax.random.key(0), INPUTS, 3)


def test_diagonal_cells_start_as_in_the_authors_code():
    """apple/ml-pararnn: xlstm_init, xavier_uniform_init, bias_minus_linspace_init."""
    gru = para_gru().init(jax.random.key(0), 200, 400)
    lstm = para_lstm().init(jax.random.key(0), 200, 400)
    bound = np.sqrt(6 / 600)
    ramp = -np.linspace(0, 1, 400)
    for params, first in ((gru, 1), (lstm, 0)):
        assert np.std(params.w_h) == pytest.approx(2 / np.sqrt(2000), rel=0.1)
        assert abs(params.w_i).max() == pytest.approx(bound, rel=1e-3)
        assert np.std(params.w_i) == pytest.approx(bound / np.sqrt(3), rel=0.01)
        wanted = np.zeros((3, 400))
        wanted[first] = ramp
        np.testing.assert_allclose(params.b, wanted.ravel(), atol=1e-6)
    for peephole in (lstm.p_f, lstm.p_o):
        assert np.std(peephole) == pytest.approx(2 / np.sqrt(2000), rel=0.2)


def test_m2rnn_starts_with_identities_and_decays_like_mamba_2():
    params = m2rnn(heads=400).init(jax.random.key(0), 3, 800)
    np.testing.assert_array_equal(params.w_h, np.tile(np.eye(2), (400, 1, 1)))
    rates, steps = np.exp(params.a_log), np.logaddexp(np.float64(params.b), 0)
    assert 0 < rates.min() < 0.5 and 15.5 < rates.max() <= 16
    assert 0.0009 < steps.min() < 0.0012 and 0.09 < steps.max() < 0.1001
