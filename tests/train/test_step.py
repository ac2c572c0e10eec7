"""One step of training."""

import chex
import jax
import jax.numpy as jnp
import optax
import pytest

from train import OPTIMIZERS, init_state, make_optimizer, make_step


def loss_fn(params, batch, key):
    return ((batch @ params["w"] - 1) ** 2).mean()


def test_a_step_is_what_optax_does():
    optimizer = optax.adam(0.1)
    params = {"w": jnp.arange(3.0)}
    batch = jnp.array([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]])
    state = init_state(optimizer, params, jax.random.key(0))
    state, metrics = jax.jit(make_step(loss_fn, optimizer))(state, batch)

    loss, gradient = jax.value_and_grad(loss_fn)(params, batch, None)
    updates, _ = optimizer.update(gradient, optimizer.init(params), params)
    chex.assert_trees_all_close(state.params, optax.apply_updates(params, updates))
    chex.assert_trees_all_close(metrics.loss, loss)
    chex.assert_trees_all_close(
        metrics.gradient_norm, jnp.linalg.norm(gradient["w"]), rtol=1e-6
    )
    assert state.step == 1


def test_each_step_has_a_new_key():
    def stochastic_step(params, batch, key):
        return jax.random.normal(key) + 0 * params

    optimizer = optax.sgd(0.1)
    step = make_step(stochastic_step, optimizer)
    state = init_state(optimizer, jnp.zeros(()), jax.random.key(0))
    state, first = step(state, None)
    state, second = step(state, None)
    assert first.loss != second.loss


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_reduces_the_loss(name):
    optimizer = make_optimizer(name, learning_rate=1e-2, clip_norm=1.0)
    state = init_state(optimizer, {"w": jnp.zeros(3)}, jax.random.key(0))
    batch = jnp.eye(3)
    state, metrics = jax.lax.scan(
        make_step(loss_fn, optimizer), state, jnp.stack([batch] * 20)
    )
    assert metrics.loss[-1] < metrics.loss[0]


def test_clipping_bounds_the_update_and_zero_clips_nothing():
    gradient = jnp.array([30.0, 40.0])
    limits = (5.0, 5.0), (100.0, 50.0), (0.0, 50.0), (jnp.array(0.0), 50.0)
    for clip, expected in limits:
        optimizer = make_optimizer("sgd", 1.0, clip)
        updates, _ = optimizer.update(gradient, optimizer.init(gradient))
        chex.assert_trees_all_close(jnp.linalg.norm(updates), expected, rtol=1e-6)


def test_an_unknown_optimizer_is_named():
    with pytest.raises(ValueError, match=r"expected an optimizer of adam.*got 'adams'"):
        make_optimizer("adams", 0.1)
