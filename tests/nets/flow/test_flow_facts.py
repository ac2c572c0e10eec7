"""Exact facts of gradient flow, and the numbers that describe it."""

import cases
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import INPUTS

import nets
from nets.cells import ElmanParams, LSTMParams
from nets.flow import decay_rate, half_life, log_norms, state_gradients

FEATURES, LONG = 4, 100


def identity(x):
    return x


def last(state, ys):
    """A loss of the last output alone, another for each unit."""
    return (ys[-1] @ jnp.arange(1.0, 1 + ys.shape[-1], dtype=ys.dtype)).sum()


def orthogonal(size, dtype):
    q, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((size, size)))
    return jnp.asarray(q, dtype)


@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-10), ("float32", 1e-3)])
def test_a_linear_orthogonal_network_keeps_the_norm(dtype, tolerance, x64):
    params = ElmanParams(
        cases.normal(INPUTS, FEATURES).astype(dtype),
        orthogonal(FEATURES, dtype),
        cases.normal(FEATURES, seed=1).astype(dtype),
    )
    xs = cases.normal(LONG, INPUTS, seed=2).astype(dtype)
    _, gradients = state_gradients(nets.elman(identity), params, xs, last)
    norms = np.linalg.norm(gradients.hidden, axis=-1)
    assert (gradients.hidden[0] != gradients.hidden[-1]).all()
    np.testing.assert_allclose(norms, np.sqrt(1 + 4 + 9 + 16), rtol=tolerance)


def gates_only(i, f):
    """An LSTM whose gates are constants: all weights are 0."""
    b = jnp.repeat(jnp.array([i, f, 0.0, 0.0]), FEATURES)
    return LSTMParams(
        jnp.zeros((INPUTS, 4 * FEATURES)), jnp.zeros((FEATURES, 4 * FEATURES)), b
    )


@pytest.mark.parametrize("b, kept", [(5.0, 0.510924), (0.0, 0.5**100), (3.0, None)])
def test_the_forget_bias_alone_sets_the_cells_memory(b, kept, x64):
    xs = cases.normal(LONG + 1, INPUTS)
    _, gradients = state_gradients(
        nets.lstm(), gates_only(0.0, b), xs, lambda state, ys: state.cell.sum()
    )
    decayed = (1 + np.exp(-b)) ** -LONG
    np.testing.assert_allclose(gradients.cell[0], decayed, rtol=1e-6)
    if kept is not None:
        np.testing.assert_allclose(gradients.cell[0], kept, rtol=1e-6)


def test_the_constant_error_carousel_is_the_identity():
    """f = 1 and i = 0, whatever the other weights are."""
    params = cases.draw_params(nets.lstm())
    b = jnp.repeat(jnp.array([-1e3, 1e3, 0.3, -0.2]), cases.FEATURES)
    xs = cases.normal(LONG, INPUTS)
    start = nets.cells.LSTMState(jnp.zeros(cases.FEATURES), jnp.array([0.5, -2.0, 1.0]))
    weights = jnp.array([1.0, 2.0, 3.0])
    loss, gradients = state_gradients(
        nets.lstm(),
        params._replace(b=b),
        xs,
        lambda state, ys: (state.cell * weights).sum(),
        start,
    )
    chex.assert_trees_all_equal(
        gradients.cell, jnp.broadcast_to(weights, (LONG, cases.FEATURES))
    )
    assert loss == 0.5 - 4.0 + 3.0


def test_an_irnn_that_is_driven_upwards_is_the_identity():
    params = ElmanParams(
        jnp.ones((INPUTS, FEATURES)), jnp.eye(FEATURES), jnp.zeros(FEATURES)
    )
    xs = jnp.abs(cases.normal(LONG, INPUTS)) + 0.1
    _, gradients = state_gradients(nets.elman(jax.nn.relu), params, xs, last)
    ones = jnp.broadcast_to(jnp.arange(1.0, 5.0), (LONG, FEATURES))
    chex.assert_trees_all_equal(gradients.hidden, ones)


@pytest.mark.parametrize("scale", [0.3, 1.0, 2.0])
@pytest.mark.parametrize(
    "activation, gamma", [(jnp.tanh, 1.0), (jax.nn.sigmoid, 0.25)], ids=["tanh", "s"]
)
def test_pascanus_bound(activation, gamma, scale, x64):
    """|g_t| <= (gamma sigma_max)^k |g_{t+k}|, for a loss at the end."""
    params = ElmanParams(
        cases.normal(INPUTS, FEATURES),
        cases.normal(FEATURES, FEATURES, seed=1, scale=scale),
        cases.normal(FEATURES, seed=2),
    )
    xs = cases.normal(20, 8, INPUTS, seed=3)
    _, gradients = state_gradients(nets.elman(activation), params, xs, last)
    norms = np.linalg.norm(gradients.hidden, axis=-1)
    bound = gamma * np.linalg.norm(params.w_h, ord=2)
    left = np.arange(19, -1, -1)[:, None]
    assert (norms <= bound**left * norms[-1] * (1 + 1e-12)).all()
    assert (norms > 0).all()


@pytest.mark.parametrize("size", [1e-30, 1e-20, 1.0, 1e30], ids=str)
def test_log_norms_neither_underflow_nor_overflow(size):
    gradients = nets.cells.LSTMState(
        jnp.full((3, 2, 4), size), jnp.full((3, 2, 5), size)
    )
    norms = log_norms(gradients)
    assert norms.shape == (3, 2)
    np.testing.assert_allclose(norms, np.log(size) + np.log(9) / 2, rtol=1e-6)


def test_log_norms_are_minus_infinity_at_zero_only():
    gradients = [jnp.zeros((3, 2, 4)).at[1, 0, 2].set(-1e-30)]
    norms = np.asarray(log_norms(gradients))
    np.testing.assert_allclose(norms[1, 0], np.log(1e-30), rtol=1e-6)
    assert np.isneginf(np.delete(norms.ravel(), 2)).all()


def test_log_norms_are_of_the_whole_state(x64):
    first = cases.example(cases.FAST_WEIGHTS, 3, time=1).state
    state = {"a": first["memory"][None], "b": cases.normal(1, 3, 2)}
    norms = log_norms(state)
    whole = np.concatenate([leaf.reshape(1, 3, -1) for leaf in state.values()], axis=-1)
    np.testing.assert_allclose(norms, np.log(np.linalg.norm(whole, axis=-1)))


@pytest.mark.parametrize("batch_axes", [0, 1, 2])
def test_log_norms_over_any_number_of_batch_axes(batch_axes, x64):
    g = cases.normal(5, 2, 3, 4)
    norms = log_norms([g], batch_axes=batch_axes)
    shape = g.shape[: 1 + batch_axes]
    assert norms.shape == shape
    flat = np.linalg.norm(g.reshape(*shape, -1), axis=-1)
    np.testing.assert_allclose(norms, np.log(flat))


@pytest.mark.parametrize("batch", [(), (3,), (2, 3)], ids=str)
def test_decay_rate_is_a_least_squares_slope(batch, x64):
    norms = cases.normal(7, *batch) + 0.3 * jnp.arange(7.0).reshape(
        7, *(1 for _ in batch)
    )
    slopes = np.polyfit(np.arange(7), norms.reshape(7, -1), deg=1)[0]
    np.testing.assert_allclose(decay_rate(norms), slopes.reshape(batch), rtol=1e-9)


def test_decay_rate_leaves_out_steps_without_gradient(x64):
    norms = cases.normal(8, 2).at[jnp.array([0, 1, 4]), 0].set(-jnp.inf)
    known = np.array([2, 3, 5, 6, 7])
    one = np.polyfit(known, norms[known, 0], deg=1)[0]
    other = np.polyfit(np.arange(8), norms[:, 1], deg=1)[0]
    np.testing.assert_allclose(decay_rate(norms), [one, other], rtol=1e-9)


@pytest.mark.parametrize("finite", [0, 1])
def test_a_rate_of_fewer_than_two_steps_is_unknown(finite):
    norms = jnp.full((5, 2), -jnp.inf).at[:finite, 0].set(-3.0).at[:2, 1].set(-3.0)
    rates = decay_rate(norms)
    assert jnp.isnan(rates[0]) and rates[1] == 0


def test_the_rate_of_a_known_decay(x64):
    """An LSTM of constant gates decays by sigmoid(b) a step, so at ln sigmoid(b)."""
    _, gradients = state_gradients(
        nets.lstm(),
        gates_only(0.0, 1.0),
        cases.normal(30, 2, INPUTS),
        lambda state, ys: state.cell.sum(),
    )
    rate = decay_rate(log_norms(gradients))
    np.testing.assert_allclose(rate, np.log1p(np.exp(-1.0)), rtol=1e-10)
    halves = np.exp(-np.asarray(rate) * half_life(rate))
    np.testing.assert_allclose(halves, 0.5, rtol=1e-10)


@pytest.mark.parametrize(
    "rate, steps", [(np.log(2), 1.0), (-np.log(2), 1.0), (0.0, np.inf), (0.01, 69.3147)]
)
def test_half_life(rate, steps):
    np.testing.assert_allclose(half_life(jnp.array(rate)), steps, rtol=1e-6)


def test_log_norms_want_to_know_what_is_batch():
    with pytest.raises(ValueError, match="give another batch_axes"):
        log_norms([jnp.ones((5, 3))])
    assert log_norms([jnp.ones((5, 3))], batch_axes=0).shape == (5,)


def test_log_norms_of_what_has_overflowed_are_infinite():
    assert log_norms([jnp.array([[[jnp.inf, 1.0]]])]).item() == np.inf


def test_the_norm_of_a_complex_gradient_counts_both_parts():
    """|3 + 4i|^2 + |5|^2 = 50."""
    gradients = jnp.array([[3 + 4j, 5]], jnp.complex64)
    norms = log_norms(gradients, batch_axes=0)
    np.testing.assert_allclose(norms, [np.log(50) / 2], rtol=1e-6)
