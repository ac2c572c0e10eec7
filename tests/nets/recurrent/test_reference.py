"""The same numbers and gradients as other JAX libraries, with the same weights."""

from functools import partial

import cases
import jax
import jax.numpy as jnp
import pytest
from cases import TIME
from peers import BIDIRECTIONAL_PEERS, PEERS
from side_by_side import optimized_jit
from tolerances import assert_close_to_peers as assert_close

import nets
from nets.recurrent import BidirectionalParams

LENGTHS = jnp.array([3, TIME, 1, 4])  # no 0: some peers are wrong on it
REAL = jnp.arange(TIME)[:, None, None] < LENGTHS[None, :, None]


def with_grads(run, params, xs):
    """(final state, outputs), and the gradients by all weights and inputs."""

    def loss(params, xs):
        state, ys = run(params, xs)
        return cases.total(state, ys), (state, ys)

    grads, out = jax.grad(loss, argnums=(0, 1), has_aux=True)(params, xs)
    return out, grads


@partial(optimized_jit, static_argnames="layer")
def ours(layer, params, xs, lengths=None):
    """Of our layer: one program for all its peers."""
    return with_grads(partial(layer.apply, lengths=lengths), params, xs)


@jax.numpy_rank_promotion("allow")  # peers broadcast freely
def theirs(run, params, xs):
    return jax.jit(partial(with_grads, run))(params, xs)


def mask(run):
    """Flax leaves garbage in padded outputs."""

    def masked(params, xs):
        state, ys = run(params, xs)
        return state, jnp.where(REAL, ys, 0)

    return masked


@pytest.mark.peers
@pytest.mark.parametrize("peer", PEERS.values(), ids=PEERS)
def test_states_equal_a_peers(peer):
    """Of an LSTM, whose state is not its output alone.

    test_interop.py compares the outputs of all cells, and the gradients of the outputs.
    """
    params, xs, _ = cases.example(peer.cell, 4)
    result, (by_params, by_xs) = ours(nets.as_layer(peer.cell), params, xs)
    assert_close((result, (by_params, by_xs)), theirs(peer.run, params, xs))
    assert (by_params.w_h != 0).all()


@pytest.mark.peers
@pytest.mark.parametrize("peer", BIDIRECTIONAL_PEERS.values(), ids=BIDIRECTIONAL_PEERS)
def test_padded_bidirectional_equals_a_peers(peer):
    """One sequence is full; the forward cell is that of one direction alone."""
    params, xs, _ = cases.example(peer.cell, 4)
    params = BidirectionalParams(params, cases.draw_params(peer.cell, seed=5))
    result = ours(nets.bidirectional(peer.cell), params, xs, LENGTHS)
    assert_close(result, theirs(mask(partial(peer.run, lengths=LENGTHS)), params, xs))
