"""The same numbers and gradients as other JAX libraries, with the same weights."""

from functools import partial

import cases
import jax
import jax.numpy as jnp
import pytest
from cases import TIME
from peers import BIDIRECTIONAL_PEERS, PADDING_PEERS, PEERS
from tolerances import close_to_peers as close

import nets
from nets.recurrent import BidirectionalParams

LENGTHS = jnp.array([3, TIME, 1, 4])  # no 0: some peers are wrong on it
REAL = jnp.arange(TIME)[:, None, None] < LENGTHS[None, :, None]


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


@pytest.mark.peers
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


@pytest.mark.peers
@pytest.mark.parametrize("peer", PADDING_PEERS.values(), ids=PADDING_PEERS)
def test_padded_sequences_equal_a_peers(peer):
    params, xs, _ = cases.example(peer.cell, 4)
    mine = evaluate(partial(nets.unroll, peer.cell, lengths=LENGTHS), params, xs)
    theirs = mask(partial(peer.run, lengths=LENGTHS))
    close(mine, evaluate(theirs, params, xs))


@pytest.mark.peers
@pytest.mark.parametrize("peer", BIDIRECTIONAL_PEERS.values(), ids=BIDIRECTIONAL_PEERS)
def test_padded_bidirectional_equals_a_peers(peer):
    """Here too a sequence is full, and the backward cell is one in reverse."""
    params, xs, _ = cases.example(peer.cell, 4)
    params = BidirectionalParams(params, cases.draw_params(peer.cell, seed=5))
    layer = nets.bidirectional(peer.cell)
    mine = evaluate(partial(layer.apply, lengths=LENGTHS), params, xs)
    theirs = mask(partial(peer.run, lengths=LENGTHS))
    close(mine, evaluate(theirs, params, xs))
