"""A cell unlike any of ours, through every instrument, stacked and both ways."""

from functools import partial
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nets
from nets import flow, probes

TIME, BATCH, INPUTS, FEATURES = 6, 3, 2, 4


class Params(NamedTuple):
    write: jax.Array
    turn: jax.Array
    read: jax.Array


def init(key, inputs, features):
    draw = partial(jax.random.normal, shape=(inputs, features))
    write, turn, read = map(draw, jax.random.split(key, 3))
    return Params(write, turn, read)


def initial_state(params, x):
    zeros = jnp.zeros((*x.shape[:-1], params.write.shape[-1]))
    return {
        "matrix": zeros[..., None] * zeros[..., None, :],
        "phase": jnp.ones_like(zeros) + 0j,
        "count": jnp.zeros(x.shape[:-1], int),
    }


def step(params, state, x):
    """A gated matrix, a phase that turns, and a counter; what is read is in none."""
    written = jnp.tanh(x @ params.write)
    keep = nets.tag_gate(
        jax.nn.sigmoid(state["matrix"].sum(axis=-1)), "keep", retains=True
    )
    outer = nets.tag_candidate(
        written[..., :, None] * state["phase"].real[..., None, :]
    )
    matrix = keep[..., None] * state["matrix"] + outer
    angle = 0.1 * (x @ params.turn)
    state = {
        "matrix": matrix,
        "phase": 0.99 * state["phase"] * jnp.exp(1j * angle),
        "count": state["count"] + 1,
    }
    shown = jnp.einsum("...ij,...j->...i", state["matrix"], jnp.cos(x @ params.read))
    return state, shown + state["phase"].imag


OWN = nets.Cell(init, initial_state, step)
SIZE = FEATURES**2 + 2 * FEATURES  # real coordinates
STACK = nets.stack(nets.bidirectional(OWN), OWN)  # three cells


def last(state, ys):
    return (ys[-1] ** 2).sum()


def losses(ys):
    return (ys**2).sum(axis=-1)


INSTRUMENTS = {
    "state gradients": lambda cell, p, xs: flow.state_gradients(cell, p, xs, last),
    "lags": lambda cell, p, xs: flow.lag_matrix(cell, p, xs, losses),
    "shares": lambda cell, p, xs: flow.parameter_gradients_by_time(cell, p, xs, last),
    "jacobians": flow.step_jacobians,
    "log_singular_values": partial(flow.log_singular_values, count=3),
    "lyapunov": partial(flow.lyapunov_spectrum, count=3),
    "gates": flow.gates,
    "paths": lambda cell, p, xs: flow.split_by_path(cell, p, xs, last),
    "saliency": lambda cell, p, xs: flow.input_saliency(cell, p, xs, last),
    "attributions": lambda cell, p, xs: flow.integrated_gradients(cell, p, xs, last),
    "memory": partial(probes.memory_capacity, folds=2),
    "pascanu": lambda cell, p, xs: flow.pascanu_penalty(cell, p, xs, last),
    "flossing": flow.flossing_penalty,
    "depth": lambda cell, p, xs: flow.depth_gradients(
        [cell], [p], xs, lambda y: last(0, y)
    ),
}


# Instruments of a stack of three cells, and of the cell alone, as their programs are
# large; all other instruments have the cells of two directions.
IN_A_STACK = "state gradients", "jacobians", "gates", "paths", "saliency"
ALONE = "log_singular_values", "lyapunov", "flossing", "attributions", "memory"


def example(layer, batch=BATCH):
    params = layer.init(jax.random.key(0), INPUTS, FEATURES)
    return params, jax.random.normal(jax.random.key(1), (TIME, batch, INPUTS))


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_every_instrument_measures_the_cell(name):
    """Also under jit, where nothing may hang on values."""
    layer = STACK if name in IN_A_STACK else nets.bidirectional(OWN)
    layer = nets.as_layer(OWN) if name in ALONE else layer
    params, xs = example(layer)
    measure = partial(INSTRUMENTS[name], layer)
    if name == "flossing":
        measure = jax.value_and_grad(measure)
    result = jax.tree.map(np.asarray, jax.jit(measure)(params, xs))
    leaves = jax.tree.leaves(result)
    if name == "lyapunov":  # so few steps give no errors, which come second
        leaves = leaves[::2]
    assert leaves
    for leaf in leaves:
        assert not np.isnan(leaf).all(), name
    if name == "jacobians":
        shapes = {leaf.shape for leaf in leaves}
        assert shapes == {(TIME, BATCH, SIZE, SIZE)}
        assert len(leaves) == 3
    if name == "flossing":  # its gradient too
        assert all(np.isfinite(leaf).all() for leaf in leaves)


@pytest.mark.slow
def test_seeds_in_one_vmap():
    layer = nets.bidirectional(OWN)
    _, xs = example(layer)
    keys = jax.random.split(jax.random.key(3), 2)
    params = jax.vmap(lambda key: layer.init(key, INPUTS, FEATURES))(keys)
    measure = partial(flow.lyapunov_spectrum, layer, count=2)
    together = jax.vmap(measure, in_axes=(0, None))(params, xs)
    for i in range(2):
        one = measure(jax.tree.map(lambda p, i=i: p[i], params), xs)
        mine = jax.tree.map(lambda s, i=i: s[i], together)
        chex.assert_trees_all_close(
            mine.forward.exponents, one.forward.exponents, atol=1e-4
        )
        chex.assert_trees_all_close(
            mine.backward.exponents, one.backward.exponents, atol=1e-4
        )


@pytest.mark.slow
def test_the_instruments_agree_with_each_other(x64):
    """g_{t-1} = J_t^T g_t + what is read at t - 1; the sum rule; shares sum up."""
    params, xs = example(nets.as_layer(OWN))
    params = jax.tree.map(lambda p: p.astype(float), params)
    jacobians = flow.step_jacobians(OWN, params, xs)

    def loss(state, ys):  # of the last state alone
        return (state["matrix"] ** 2).sum() + (state["phase"].imag ** 3).sum()

    _, gradients = flow.state_gradients(OWN, params, xs, loss)
    vectors = jnp.concatenate(
        [
            gradients["matrix"].reshape(TIME, BATCH, -1),
            gradients["phase"].real,
            -gradients["phase"].imag,  # JAX has dL/da - i dL/db
        ],
        axis=-1,
    )
    # Leaves are in the order of their names: count, matrix, phase.
    carried = jnp.einsum("tbi,tbij->tbj", vectors[1:], jacobians[1:])
    chex.assert_trees_all_close(carried, vectors[:-1], rtol=1e-10, atol=1e-12)
    spectrum = flow.lyapunov_spectrum(OWN, params, xs)
    volume = jnp.linalg.slogdet(jacobians)[1].mean(axis=0)
    np.testing.assert_allclose(spectrum.exponents.sum(axis=-1), volume, rtol=1e-8)
    _, shares = flow.parameter_gradients_by_time(OWN, params, xs, last)
    whole = jax.grad(lambda p: last(*nets.unroll(OWN, p, xs)))(params)
    chex.assert_trees_all_close(
        jax.tree.map(lambda g: g.sum(axis=0), shares), whole, rtol=1e-10, atol=1e-12
    )
