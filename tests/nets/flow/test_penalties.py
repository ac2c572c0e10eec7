"""Penalties on gradient flow, and h-detach."""

from functools import partial

import cases
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import FEATURES, INPUTS, TIME, example
from tolerances import assert_close_float64

import nets
from nets.flow import (
    flossing_penalty,
    lyapunov_spectrum,
    pascanu_penalty,
    state_gradients,
    step_jacobians,
)
from nets.recurrent.state_vectors import as_vector

LENGTHS = (0, 3, TIME)
LINEAR = nets.elman(lambda x: x)
omega = jax.jit(
    partial(pascanu_penalty, loss=cases.total), static_argnames=("cell", "reverse")
)


def formula(gradients, jacobians):
    """The sum over t of (|g_t J_t| / |g_t| - 1)^2, the mean over filled sequences."""
    g = np.asarray(as_vector(jax.tree.map(jnp.conj, gradients), 2))
    norms = np.linalg.norm(g, axis=-1)
    carried = np.linalg.norm(np.einsum("tbi,tbij->tbj", g, jacobians), axis=-1)
    ratio = np.divide(carried, norms, out=np.ones_like(norms), where=norms > 0)
    return ((ratio - 1) ** 2).sum() / (norms > 0).any(axis=0).sum()


@cases.both_ways
@pytest.mark.parametrize("name", ["elman", "lstm", "fast weights", "lru"])
def test_pascanus_omega_is_the_formula(name, reverse, x64):
    cell = cases.CASES[name].cell
    params, xs, state = example(cell, 3)
    xs = cases.fill_padding(xs, LENGTHS, np.nan)
    how = {"lengths": jnp.array(LENGTHS), "reverse": reverse}
    slopes = partial(state_gradients, cell, loss=cases.total, reverse=reverse)
    _, g = jax.jit(slopes)(params, xs, state=state, lengths=how["lengths"])
    j = jax.jit(partial(step_jacobians, cell, reverse=reverse))(
        params, xs, state, lengths=how["lengths"]
    )
    result = omega(cell, params, xs, state=state, **how)
    np.testing.assert_allclose(result, formula(g, j), rtol=1e-10)
    assert result > 0.01


@pytest.mark.slow
def test_without_a_batch_and_without_jit(x64):
    params, xs, state = example(nets.gru(), 1)
    one = jax.tree.map(lambda s: s[0], state)
    alone = pascanu_penalty(nets.gru(), params, xs[:, 0], cases.total, one)
    assert_close_float64(alone, omega(nets.gru(), params, xs, state=state))


@pytest.mark.slow
def test_the_cells_of_a_layer_are_summed(x64):
    both = nets.bidirectional(nets.gru())
    layer = nets.stack(both, nets.elman())
    like = jax.eval_shape(lambda k: layer.init(k, INPUTS, FEATURES), jax.random.key(0))
    params = cases.draw(like, dtype=jnp.float64)
    xs, how = cases.normal(TIME, 3, INPUTS), {"lengths": jnp.array(LENGTHS)}
    slopes = jax.jit(partial(state_gradients, layer, loss=cases.total))
    _, g = slopes(params, xs, **how)
    j = jax.jit(partial(step_jacobians, layer))(params, xs, **how)
    expected = (
        formula(g[0].forward, j[0].forward)
        + formula(g[0].backward, j[0].backward)
        + formula(g[1], j[1])
    )
    np.testing.assert_allclose(omega(layer, params, xs, **how), expected, rtol=1e-10)


def test_its_gradient_is_the_immediate_one(x64):
    """By the parameters in J_t alone: g_t and s_t are held."""
    cell = nets.elman()
    params, xs, state = example(cell, 2)
    _, g = state_gradients(cell, params, xs, cases.total, state)
    states, _ = nets.unroll(cell, params, xs, state, all_states=True)
    before = np.concatenate([state.hidden[None], states.hidden[:-1]])
    g = np.asarray(g.hidden)

    def by_hand(params):
        slope = 1 - np.tanh(xs @ params.w_i + before @ params.w_h + params.b) ** 2
        norms = np.linalg.norm((g * slope) @ params.w_h.T, axis=-1)
        return ((norms / np.linalg.norm(g, axis=-1) - 1) ** 2).sum(axis=0).mean()

    params, xs = jax.tree.map(np.asarray, params), np.asarray(xs)
    result = jax.jit(jax.grad(lambda p: omega(cell, p, xs, state=state)))(params)
    np.testing.assert_allclose(omega(cell, params, xs, state=state), by_hand(params))
    for i, (leaf, slope) in enumerate(zip(params, result, strict=True)):
        for place in np.ndindex(leaf.shape):
            step = np.zeros_like(leaf)
            step[place] = 1e-6
            there, back = (
                by_hand(params._replace(**{params._fields[i]: leaf + s}))
                for s in (step, -step)
            )
            np.testing.assert_allclose(slope[place], (there - back) / 2e-6, atol=1e-8)


def test_a_linear_orthogonal_network_keeps_the_norm(x64):
    params, xs, _ = example(LINEAR, 2)
    q, _ = np.linalg.qr(params.w_h)
    params = params._replace(w_h=jnp.asarray(q))
    loss, slopes = jax.value_and_grad(lambda p: omega(LINEAR, p, xs))(params)
    assert_close_float64(loss, jnp.array(0.0))
    assert_close_float64(slopes, jax.tree.map(jnp.zeros_like, params))


def test_gradients_whose_squares_float32_does_not_hold():
    """g_t = 0.1^(T - 1 - t), down to 1e-29: each step is as far from 1."""
    params = nets.cells.ElmanParams(jnp.zeros((1, 3)), 0.1 * jnp.eye(3), jnp.zeros(3))
    result = pascanu_penalty(
        LINEAR, params, jnp.zeros((30, 2, 1)), lambda state, ys: ys[-1].sum()
    )
    np.testing.assert_allclose(result, 30 * 0.9**2, rtol=1e-5)


@pytest.mark.slow
def test_where_nothing_comes_through_the_ratio_is_zero():
    params = nets.cells.ElmanParams(jnp.zeros((1, 3)), jnp.zeros((3, 3)), jnp.ones(3))
    xs = jnp.zeros((4, 2, 1))

    def penalty(params):
        return pascanu_penalty(LINEAR, params, xs, lambda state, ys: ys.sum())

    result, slopes = jax.value_and_grad(penalty)(params)
    assert result == 4.0
    assert all(jnp.isfinite(slope).all() for slope in slopes)


def test_steps_without_a_gradient_do_not_count(x64):
    params, xs, _ = example(nets.gru(), 2)
    early = partial(pascanu_penalty, loss=lambda state, ys: jnp.sin(ys[2]).sum())
    early = jax.jit(partial(early, nets.gru()))
    assert_close_float64(early(params, xs), early(params, xs[:3]))


def test_pascanus_omega_has_no_noise():
    params, xs, _ = example(nets.gru(), 2)
    with pytest.raises(ValueError, match="expected no key"):
        omega(nets.gru(), params, xs, key=jax.random.key(0))


@pytest.mark.slow
def test_flossing_is_the_formula(x64):
    layer = nets.stack(nets.bidirectional(nets.gru()), nets.elman())
    like = jax.eval_shape(lambda k: layer.init(k, INPUTS, FEATURES), jax.random.key(0))
    params = cases.draw(like, dtype=jnp.float64)
    xs, how = cases.normal(30, 2, INPUTS), {"count": 2, "warmup": 5}
    spectrum = jax.jit(partial(lyapunov_spectrum, layer, **how))
    (forward, backward), above = spectrum(params, xs)
    every = np.stack([forward.exponents, backward.exponents, above.exponents])
    penalty = jax.jit(partial(flossing_penalty, layer, target=-0.3, **how))
    expected = ((every + 0.3) ** 2).mean()
    np.testing.assert_allclose(penalty(params, xs), expected, rtol=1e-10)


@pytest.mark.slow
def test_flossing_leaves_out_empty_sequences(x64):
    params, xs, _ = example(nets.elman(), 3, time=30)

    def penalty(params, xs, lengths):
        return flossing_penalty(nets.elman(), params, xs, count=3, lengths=lengths)

    both = jax.jit(jax.value_and_grad(penalty))
    result = both(params, xs, jnp.array([30, 20, 0]))
    assert_close_float64(result, both(params, xs[:, :2], jnp.array([30, 20])))
    assert result[0] > 0


@pytest.mark.slow
def test_flossing_moves_the_exponents_to_their_target(x64):
    cell = nets.elman()
    params, xs, _ = example(cell, 2, time=40)

    @jax.jit
    def step(params):
        def penalty(params):
            return flossing_penalty(cell, params, xs, count=2, target=-0.2, warmup=5)

        value, slopes = jax.value_and_grad(penalty)(params)
        return value, jax.tree.map(lambda p, g: p - 0.1 * g, params, slopes)

    values = []
    for _ in range(50):
        value, params = step(params)
        values.append(value)
    assert values[0] > 0.1 and values[-1] < 0.01
    exponents = lyapunov_spectrum(cell, params, xs, count=2, warmup=5).exponents
    np.testing.assert_allclose(exponents.mean(), -0.2, atol=0.05)


def stopping(cell):
    """The same cell, of whose h the recurrent weights stop the gradient always."""
    return cell._replace(step=partial(cell.step, drop=jax.lax.stop_gradient))


def run(cell, params, xs, state, key):
    def loss(params, state):
        ys = nets.unroll(cell, params, xs, state, key=key)
        return cases.total(*ys), ys

    return jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))(
        params, state
    )


@pytest.mark.parametrize("name", ["elman", "lstm", "gru", "peephole_lstm"])
def test_h_detach_changes_no_number(name, x64):
    cell = cases.CASES[name].cell
    params, xs, state = example(cell, 2)
    key = jax.random.key(1)
    (loss, out), slopes = run(nets.h_detach(cell, 0.5), params, xs, state, key)
    (plain, expected), whole = run(cell, params, xs, state, None)
    assert_close_float64((loss, out), (plain, expected))
    assert any(cases.differ(slopes, whole))


def test_h_detach_at_nearly_every_step_leaves_the_highway(x64):
    cell = nets.lstm()
    params, xs, state = example(cell, 2)
    key = jax.random.key(1)
    _, result = run(nets.h_detach(cell, 1 - 1e-9), params, xs, state, key)
    _, expected = run(stopping(cell), params, xs, state, None)
    assert_close_float64(result, expected)


def test_without_a_key_or_at_rate_zero_nothing_is_stopped(x64):
    cell = nets.lstm()
    params, xs, state = example(cell, 2)
    _, whole = run(cell, params, xs, state, None)
    _, result = run(nets.h_detach(cell, 0.9), params, xs, state, None)
    assert_close_float64(result, whole)
    _, result = run(nets.h_detach(cell, 0.0), params, xs, state, jax.random.key(1))
    assert_close_float64(result, whole)


@pytest.mark.parametrize("rate", [0.25, 0.5])
def test_h_detach_stops_so_many_steps_each_for_itself(rate):
    """h' = h: what y_t adds to g_t is 1, and what comes later is stopped or not."""
    params = nets.cells.ElmanParams(jnp.zeros((1, 1)), jnp.eye(1), jnp.zeros(1))
    cell = nets.h_detach(LINEAR, rate)

    def stopped(key):
        _, g = state_gradients(
            cell, params, jnp.zeros((50, 1)), lambda state, ys: ys.sum(), key=key
        )
        return g.hidden[:-1, 0] == 1

    result = jax.jit(jax.vmap(stopped))(jax.random.split(jax.random.key(0), 40))
    assert abs(result.mean() - rate) < 4 * (rate * (1 - rate) / result.size) ** 0.5
    assert result.mean(axis=0).min() > 0 and result.mean(axis=0).max() < 1


def test_the_same_steps_of_all_sequences_are_detached(x64):
    """As in the paper: one draw a step."""
    cell = nets.h_detach(nets.lstm(), 0.5)
    params, xs, state = example(nets.lstm(), 1)
    twice = jnp.repeat(xs, 2, axis=1), jax.tree.map(lambda s: s.repeat(2, 0), state)
    _, (_, slopes) = run(cell, params, *twice, jax.random.key(1))
    assert_close_float64(*(jax.tree.map(lambda s, i=i: s[i], slopes) for i in (0, 1)))


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5])
def test_h_detach_wants_a_rate(rate):
    with pytest.raises(ValueError, match="rate"):
        nets.h_detach(nets.lstm(), rate)


@pytest.mark.parametrize(
    "cell", [cases.FAST_WEIGHTS, nets.lru(), nets.zoneout(nets.lstm())]
)
def test_h_detach_wants_a_cell_that_drops(cell):
    with pytest.raises(ValueError, match="calls drop on the h"):
        nets.h_detach(cell)


def test_an_empty_sequence_is_not_in_the_mean():
    cell = nets.gru()
    params, xs, _ = example(cell, 3)

    def omega(xs, lengths):
        return nets.flow.pascanu_penalty(
            cell, params, xs, lambda _, ys: ys.sum(), lengths=jnp.array(lengths)
        )

    both = omega(xs[:, :2], [5, 3])
    np.testing.assert_allclose(omega(xs, [5, 3, 0]), both, rtol=1e-5)
    assert both > 0
