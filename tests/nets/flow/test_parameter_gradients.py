"""Each step's share in the gradient of the parameters."""

from functools import partial

import cases
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import FEATURES, INPUTS, TIME, example
from tolerances import assert_equal_float64

import nets
from nets.flow import cancellation, parameter_gradients_by_time, state_gradients

LENGTHS = (0, 3, TIME)
shares_of = jax.jit(
    partial(parameter_gradients_by_time, loss=cases.total),
    static_argnames=("cell", "reverse"),
)


def summed(shares):
    return jax.tree.map(lambda g: g.sum(axis=0), shares)


@cases.each_kind
def test_they_sum_to_the_gradient(cell, x64):
    params, xs, state = example(cell, 2, time=3)
    loss, shares = shares_of(cell, params, xs, state=state)
    (end, ys), (whole, _, _) = cases.run_and_grad(cell, params, xs, state)
    assert_equal_float64((loss, summed(shares)), (cases.total(end, ys), whole))
    assert all(len(g) == 3 for g in jax.tree.leaves(shares))


@pytest.mark.slow
@cases.both_ways
@pytest.mark.parametrize("name", ["lstm", "fast weights", "conv_gru"])
def test_padded_steps_have_no_share(name, reverse, x64):
    cell = cases.CASES[name].cell
    params, xs, state = example(cell, 3)
    lengths = jnp.array([0, 3, 2])
    xs = cases.fill_padding(xs, lengths, np.nan)
    loss, shares = shares_of(
        cell, params, xs, state=state, lengths=lengths, reverse=reverse
    )
    (end, ys), (whole, _, _) = cases.run_and_grad(
        cell, params, xs, state, lengths=lengths, reverse=reverse
    )
    assert_equal_float64((loss, summed(shares)), (cases.total(end, ys), whole))
    for g in jax.tree.leaves(shares):
        assert (g[3:] == 0).all() and (g[:3] != 0).reshape(3, -1).any(axis=1).all()


@pytest.mark.slow
def test_a_mask(x64):
    params, xs, _ = example(nets.gru(), 2)
    mask = jnp.array([False, True, False, True, True])
    gone = xs.at[jnp.array([0, 2])].set(jnp.nan)
    _, shares = shares_of(nets.gru(), params, gone, mask=mask)
    _, alone = shares_of(nets.gru(), params, xs[mask])
    assert_equal_float64(jax.tree.map(lambda g: g[mask], shares), alone)
    assert all((g[~mask] == 0).all() for g in jax.tree.leaves(shares))


def test_reverse_is_the_flip(x64):
    params, xs, state = example(nets.lstm(), 2)
    _, there = shares_of(nets.lstm(), params, xs[::-1], state=state)
    _, back = shares_of(nets.lstm(), params, xs, state=state, reverse=True)
    # The loss sums over all outputs, in whichever order.
    assert_equal_float64(back, jax.tree.map(lambda g: g[::-1], there))


@cases.both_ways
@pytest.mark.parametrize("name", ["elman", "lstm"])
def test_a_share_is_one_steps_pull_of_the_state_gradient(name, reverse, x64):
    """G_t = (d+ s_t / d theta)^T g_t, as the output is in the state."""
    cell = cases.CASES[name].cell
    params, xs, state = example(cell, 2)
    _, shares = shares_of(cell, params, xs, state=state, reverse=reverse)
    how = {"reverse": reverse}
    _, g = state_gradients(cell, params, xs, cases.total, state, **how)
    states, _ = nets.unroll(cell, params, xs, state, all_states=True, **how)
    for t in range(TIME):
        past = t + 1 if reverse else t - 1
        before = state
        if 0 <= past < TIME:
            before = jax.tree.map(lambda s, p=past: s[p], states)
        _, pull = jax.vjp(lambda p, b=before, x=xs[t]: cell.step(p, b, x)[0], params)
        (expected,) = pull(jax.tree.map(lambda leaf, t=t: leaf[t], g))
        assert_equal_float64(jax.tree.map(lambda leaf, t=t: leaf[t], shares), expected)


@cases.both_ways
def test_a_learned_state_counts_at_the_step_that_is_read_first(reverse, x64):
    cell = nets.learned_state(nets.gru())
    params, xs, _ = example(cell, 2)
    loss, shares = shares_of(cell, params, xs, reverse=reverse)

    def whole(params):
        return cases.total(*nets.unroll(cell, params, xs, reverse=reverse))

    assert_equal_float64(
        (loss, summed(shares)), jax.jit(jax.value_and_grad(whole))(params)
    )
    first = shares.state.hidden[::-1] if reverse else shares.state.hidden
    assert (first[0] != 0).all() and (first[1:] == 0).all()


def test_layers(x64):
    layer = nets.stack(nets.bidirectional(nets.gru()), nets.lstm(), residual=True)
    like = jax.eval_shape(lambda k: layer.init(k, INPUTS, FEATURES), jax.random.key(0))
    params = cases.draw(like, dtype=jnp.float64)
    xs, lengths = cases.normal(TIME, 3, INPUTS), jnp.array(LENGTHS)

    def whole(params):
        return cases.total(*layer.apply(params, xs, lengths=lengths))

    loss, shares = shares_of(layer, params, xs, lengths=lengths)
    assert_equal_float64(
        (loss, summed(shares)), jax.jit(jax.value_and_grad(whole))(params)
    )


def test_without_a_batch_and_without_jit(x64):
    params, xs, state = example(nets.elman(), 1)
    one = jax.tree.map(lambda s: s[0], state)
    alone = parameter_gradients_by_time(
        nets.elman(), params, xs[:, 0], cases.total, one
    )
    assert_equal_float64(alone, shares_of(nets.elman(), params, xs, state=state))


def test_refusals():
    params, xs, _ = example(nets.gru(), 2)
    with pytest.raises(ValueError, match="a loss of one number"):
        parameter_gradients_by_time(nets.gru(), params, xs, lambda state, ys: ys)
    with pytest.raises(ValueError, match="neither a key nor perturbations"):
        key = jax.random.key(0)
        parameter_gradients_by_time(nets.gru(), params, xs, cases.total, key=key)
    layer = nets.stack(nets.gru())
    with pytest.raises(ValueError, match="no `reverse` for a layer"):
        parameter_gradients_by_time(layer, (params,), xs, cases.total, reverse=True)


def test_shares_that_are_equal_do_not_cancel(x64):
    shares = {"w": jnp.full((6, 2, 3), 2.0), "b": jnp.full((6, 3), -1.0)}
    result = cancellation(shares)
    assert_equal_float64(result.index, jnp.array(1.0))
    assert_equal_float64(result.log_norms, jnp.full(6, np.log(6 * 4 + 3) / 2))


def test_shares_that_cancel():
    g = cases.normal(1, 4, 3).astype(jnp.float32)
    assert cancellation({"w": jnp.concatenate([g, -g])}).index == 0


def test_the_index_is_the_formula(x64):
    shares = {"w": cases.normal(7, 2, 3), "b": cases.normal(7, 3, seed=1)}
    flat = np.concatenate([shares["b"], shares["w"].reshape(7, -1)], axis=1)
    norms = np.linalg.norm(flat, axis=1)
    result = cancellation(shares)
    assert_equal_float64(result.log_norms, jnp.log(norms))
    expected = np.linalg.norm(flat.sum(axis=0)) / norms.sum()
    assert 0.05 < expected < 0.95
    assert_equal_float64(result.index, jnp.asarray(expected))


def test_the_index_of_nothing_is_unknown():
    result = cancellation(jnp.zeros((4, 3)))
    assert jnp.isnan(result.index) and jnp.isneginf(result.log_norms).all()


@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30], ids=str)
def test_sizes_that_squares_do_not_hold(size):
    result = cancellation(size * jnp.array([[3.0, 4.0], [-3.0, 4.0], [0.0, 0.0]]))
    expected = np.array([np.log(5 * size)] * 2 + [-np.inf])
    np.testing.assert_allclose(result.log_norms, expected, rtol=1e-6)
    np.testing.assert_allclose(result.index, 0.8, rtol=1e-5)
