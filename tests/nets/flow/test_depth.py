"""The gradient at every layer: depth in the place of time."""

import cases
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from side_by_side import optimized_jit
from tolerances import assert_close_float64

import nets
from nets import blocks, flow
from nets.flow import depth_gradients, depth_log_norms

DEPTH, WIDTH = 6, 4
gradients_of = jax.jit(depth_gradients, static_argnames=("layers", "loss"))
norms_of = jax.jit(depth_log_norms, static_argnames="batch_axis")
saliency_of = jax.jit(flow.input_saliency, static_argnames=("layer", "loss"))


def loss(ys):
    return jnp.sin(ys).sum()


def of_outputs(state, ys):
    return loss(ys)


def half_square(ys):
    return (ys**2).sum() / 2


def dense(activation):
    """Dense layers of one width, and their parameters."""
    layer = blocks.dense(WIDTH, activation=activation)
    params = [
        nets.convolutional.DenseParams(
            cases.normal(WIDTH, WIDTH, seed=2 * i), cases.normal(WIDTH, seed=2 * i + 1)
        )
        for i in range(DEPTH)
    ]
    return (layer,) * DEPTH, params


def test_orthogonal_linear_layers_keep_the_norm(x64):
    layers, params = dense(None)
    params = [
        p._replace(w=jnp.asarray(scipy.stats.ortho_group.rvs(WIDTH, random_state=i)))
        for i, p in enumerate(params)
    ]
    xs = cases.normal(3, WIDTH, seed=9)
    _, gradients = gradients_of(layers, params, xs, half_square)
    norms = norms_of(gradients)
    assert norms.shape == (DEPTH + 1, 3)
    top = jnp.log(jnp.linalg.norm(gradients[-1], axis=-1))
    np.testing.assert_allclose(norms, np.tile(top, (DEPTH + 1, 1)), atol=1e-10)
    np.testing.assert_allclose(flow.decay_rate(norms), 0, atol=1e-10)
    # Half the orthogonal map halves the gradient at each layer.
    half = [p._replace(w=p.w / 2) for p in params]
    _, gradients = gradients_of(layers, half, xs, half_square)
    rate = flow.decay_rate(norms_of(gradients))
    np.testing.assert_allclose(rate, np.log(2), atol=1e-10)
    np.testing.assert_allclose(flow.half_life(rate), 1, atol=1e-6)


def test_tanh_layers_equal_numpy(x64):
    layers, params = dense(jnp.tanh)
    xs = cases.normal(3, WIDTH, seed=9)
    value, gradients = gradients_of(layers, params, xs, loss)
    outputs = [np.asarray(xs)]
    for w, b in params:
        outputs.append(np.tanh(outputs[-1] @ np.asarray(w) + np.asarray(b)))
    expected = [np.cos(outputs[-1])]
    for (w, _), a in zip(params[::-1], outputs[:0:-1], strict=True):
        expected.insert(0, (expected[0] * (1 - a**2)) @ np.asarray(w).T)
    np.testing.assert_allclose(value, np.sin(outputs[-1]).sum(), rtol=1e-12)
    assert_close_float64(gradients, tuple(map(jnp.asarray, expected)))


@pytest.mark.peers
def test_tanh_layers_equal_torch(x64):
    torch = pytest.importorskip("torch", reason="pip install -e '.[peers]'")
    layers, params = dense(jnp.tanh)
    a = torch.tensor(np.asarray(cases.normal(3, WIDTH, seed=9)), requires_grad=True)
    outputs = [a]
    for w, b in params:
        a = torch.tanh(a @ torch.tensor(np.asarray(w)) + torch.tensor(np.asarray(b)))
        a.retain_grad()
        outputs.append(a)
    torch.sin(a).sum().backward()
    xs = jnp.asarray(outputs[0].detach().numpy())
    gradients_as_users = optimized_jit(
        depth_gradients, static_argnames=("layers", "loss")
    )
    _, gradients = gradients_as_users(layers, params, xs, loss)
    assert_close_float64(gradients, tuple(jnp.asarray(a.grad.numpy()) for a in outputs))


def test_layers_that_share_weights_are_a_recurrence(x64):
    """a_{t+1} is s_t of an Elman cell without inputs: one curve for both."""
    layers, _ = dense(jnp.tanh)
    w, b = cases.normal(WIDTH, WIDTH), cases.normal(WIDTH, seed=1)
    first = cases.normal(3, WIDTH, seed=9)
    _, by_depth = gradients_of(
        layers, [nets.convolutional.DenseParams(w, b)] * DEPTH, first, loss
    )
    _, by_time = flow.state_gradients(
        nets.elman(),
        nets.cells.ElmanParams(jnp.zeros((1, WIDTH)), w, b),
        jnp.zeros((DEPTH, 3, 1)),
        lambda state, ys: loss(ys[-1]),
        nets.cells.ElmanState(first),
    )
    assert_close_float64(jnp.stack(by_depth[1:]), by_time.hidden)
    assert_close_float64(norms_of(by_depth)[1:], flow.log_norms(by_time))


RECURRENT = {
    "cells": (nets.gru(), cases.FAST_WEIGHTS, nets.lstm()),
    "both directions": (nets.bidirectional(nets.gru()), nets.as_layer(nets.elman())),
}


@pytest.mark.slow
@pytest.mark.parametrize("layers", RECURRENT.values(), ids=RECURRENT)
def test_recurrent_layers(layers, x64):
    """A layer's output is the input of the layers above, and this its saliency."""
    stack = nets.stack(*layers)
    params = cases.draw(jax.eval_shape(lambda: stack.init(jax.random.key(0), 2, 3)))
    xs = cases.normal(4, 3, 2)
    value, gradients = gradients_of(layers, params, xs, loss)
    assert len(gradients) == len(layers) + 1
    _, ys = stack.apply(params, xs)
    assert_close_float64(value, loss(ys))
    assert_close_float64(gradients[-1], jnp.cos(ys))
    below = xs
    for i, layer in enumerate(layers):
        above = nets.stack(*layers[i:])
        _, expected = saliency_of(above, params[i:], below, of_outputs)
        assert_close_float64(gradients[i], expected)
        _, below = nets.stack(layer).apply(params[i : i + 1], below)
    norms = norms_of(gradients, batch_axis=1)
    expected = [np.linalg.norm(np.asarray(g), axis=(0, 2)) for g in gradients]
    assert_close_float64(norms, jnp.log(jnp.asarray(expected)))


def test_images_and_a_batch_that_moves():
    layers = blocks.conv(3, (2, 2)), blocks.max_pool((2, 2)), blocks.flatten(axes=2)
    params = [
        nets.convolutional.ConvParams(cases.normal(2, 2, 1, 3), jnp.zeros(3)),
        (),
        (),
    ]
    _, gradients = gradients_of(layers, params, cases.normal(2, 5, 5, 1), loss)
    shapes = [g.shape for g in gradients]
    assert shapes == [(2, 5, 5, 1), (2, 4, 4, 3), (2, 2, 2, 3), (2, 12)]
    assert norms_of(gradients).shape == (4, 2)

    last = blocks.ImageLayer(lambda key, shape: (), lambda params, ys: ys[-1])
    layers = nets.gru(), last, blocks.dense(2)
    head = nets.convolutional.DenseParams(cases.normal(3, 2), jnp.zeros(2))
    params = [cases.draw_params(nets.gru()), (), head]
    _, gradients = gradients_of(layers, params, cases.normal(4, 5, 2), loss)
    norms = norms_of(gradients, batch_axis=(1, 1, 0, 0))
    assert norms.shape == (4, 5)
    # All that comes down reaches the last step, and nothing the others.
    np.testing.assert_allclose(norms[1], norms[2], rtol=1e-6)
    assert not gradients[1][:-1].any()


def test_a_residual_that_adds_nothing_passes_the_gradient():
    layers, params = dense(jnp.tanh)
    params = [jax.tree.map(jnp.zeros_like, p) for p in params]
    xs = cases.normal(3, WIDTH)
    passing = tuple(blocks.residual(layer) for layer in layers)
    _, kept = gradients_of(passing, [(p,) for p in params], xs, loss)
    assert all((g == kept[-1]).all() for g in kept)
    _, lost = gradients_of(layers, params, xs, loss)
    assert lost[-1].all() and not any(g.any() for g in lost[:-1])


def test_jit_and_vmap_over_seeds():
    layers = (blocks.dense(WIDTH, activation=jnp.tanh),) * 3
    xs = cases.normal(3, WIDTH)

    @jax.jit
    def one(key):
        params = blocks.sequential(*layers).init(key, (WIDTH,))
        value, gradients = depth_gradients(layers, params, xs, loss)
        return value, gradients, depth_log_norms(gradients)

    keys = jax.random.split(jax.random.key(0), 2)
    together = jax.vmap(one)(keys)
    chex.assert_trees_all_close(
        jax.tree.map(lambda a: a[1], together), one(keys[1]), rtol=1e-5, atol=1e-6
    )


def test_tokens_have_no_gradient_but_what_is_above_has():
    embed = blocks.ImageLayer(lambda key, shape: (), lambda params, xs: params[xs])
    table = cases.normal(5, WIDTH)
    _, (of_tokens, of_vectors) = gradients_of(
        (embed,), [table], jnp.array([3, 1]), loss
    )
    assert not of_tokens.any()
    np.testing.assert_allclose(of_vectors, jnp.cos(table[jnp.array([3, 1])]))


def test_what_does_not_fit_is_refused():
    layers, params = dense(jnp.tanh)
    xs = cases.normal(3, WIDTH)
    with pytest.raises(ValueError, match=r"parameters of 6 layers.* of 5"):
        depth_gradients(layers, params[1:], xs, loss)
    with pytest.raises(ValueError, match="expected a loss of one number"):
        depth_gradients(layers, params, xs, jnp.sin)
    with pytest.raises(ValueError, match=r"batch on axis 1; got .* \[3\]"):
        depth_log_norms([jnp.ones(3)], batch_axis=1)
    with pytest.raises(ValueError, match=r"one for each of 1 gradients.* got 2"):
        depth_log_norms([jnp.ones(3)], batch_axis=(0, 0))
    with pytest.raises(ValueError, match=r"of one batch .* \[4, 5\]"):
        depth_log_norms([jnp.ones((4, 5, 3)), jnp.ones((5, 2))])
