"""The same numbers and gradients as other JAX libraries, with the same weights."""

from functools import partial

import cases
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import FEATURES, INPUTS, TIME
from peers import BIDIRECTIONAL_PEERS, PADDING_PEERS, PEERS

import nets
from nets import BidirectionalParams

LENGTHS = jnp.array([3, TIME, 1, 4])  # no 0: some peers are wrong on it
REAL = jnp.arange(TIME)[:, None, None] < LENGTHS[None, :, None]
close = partial(chex.assert_trees_all_close, rtol=1e-5, atol=1e-5)


def evaluate(run, params, xs):
    """(final state, outputs), and the gradients by all weights and inputs."""

    def loss(params, xs):
        state, ys = run(params, xs)
        return cases.total(state, ys), (state, ys)

    with jax.numpy_rank_promotion("allow"):  # peers broadcast freely
        grads, out = jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))(params, xs)
    return out, grads


def mask(run):
    """Flax leaves garbage in padded outputs."""

    def masked(params, xs):
        state, ys = run(params, xs)
        return state, jnp.where(REAL, ys, 0)

    return masked


@pytest.mark.parametrize("peer", PEERS.values(), ids=PEERS)
def test_equal_to_a_peer(peer):
    params, xs, _ = cases.example(peer.cell, 4)
    params = peer.expressible(params)

    def ours(params, xs):
        return nets.unroll(peer.cell, peer.expressible(params), xs)

    (mine, my_grads), (its, its_grads) = (
        evaluate(run, params, xs) for run in (ours, peer.run)
    )
    close(mine, its)
    close(my_grads, its_grads)
    assert (my_grads[0].w_h != 0).all() or peer.cell == nets.elman(jax.nn.relu)


@pytest.mark.parametrize("peer", PADDING_PEERS.values(), ids=PADDING_PEERS)
def test_padded_sequences_equal_a_peers(peer):
    params, xs, _ = cases.example(peer.cell, 4)
    mine = evaluate(partial(nets.unroll, peer.cell, lengths=LENGTHS), params, xs)
    theirs = mask(partial(peer.run, lengths=LENGTHS))
    close(mine, evaluate(theirs, params, xs))


@pytest.mark.parametrize("peer", BIDIRECTIONAL_PEERS.values(), ids=BIDIRECTIONAL_PEERS)
def test_padded_bidirectional_equals_a_peers(peer):
    """Here too a sequence is full, and the backward cell is one in reverse."""
    params, xs, _ = cases.example(peer.cell, 4)
    params = BidirectionalParams(params, cases.draw_params(peer.cell, seed=5))
    layer = nets.bidirectional(peer.cell)
    mine = evaluate(partial(layer.apply, lengths=LENGTHS), params, xs)
    theirs = mask(partial(peer.run, lengths=LENGTHS))
    close(mine, evaluate(theirs, params, xs))


OURS = {"elman": (nets.elman(), 1), "lstm": (nets.lstm(), 4), "gru": (nets.gru(), 3)}
each = pytest.mark.parametrize("cell, gates", OURS.values(), ids=OURS)


@each
def test_every_recurrent_gate_starts_orthogonal(cell, gates):
    params = cell.init(jax.random.key(0), 4, 8)
    for block in jnp.split(params.w_h, gates, axis=-1):
        np.testing.assert_allclose(block.T @ block, np.eye(8), atol=1e-5)


@each
def test_gates_start_differently(cell, gates):
    params = cell.init(jax.random.key(0), 4, 8)
    for name in ("w_i", "w_h"):
        blocks = np.split(np.asarray(getattr(params, name)), gates, axis=-1)
        assert len({block.tobytes() for block in blocks}) == gates


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
