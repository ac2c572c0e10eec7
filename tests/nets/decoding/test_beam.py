"""Beam search: against all sequences there are, and against greedy."""

import functools
import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.decoding import beam_search

CLASSES, LENGTH, START = 3, 4, 0


def tables(*batch, seed=0):
    """ln p of a symbol by the two before it: [*batch, before, last, symbol]."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.standard_normal((*batch, CLASSES, CLASSES, CLASSES))
    return jax.nn.log_softmax(jnp.asarray(logits))


def step(state, symbol):
    """A Markov chain of second order; its own table travels in the state."""
    table, before = state
    places = (before, symbol)
    for place in places:  # of [*batch, classes, ...]
        index = place.reshape(*place.shape, *(1,) * (table.ndim - place.ndim))
        table = jnp.take_along_axis(table, index, place.ndim).squeeze(place.ndim)
    return (state[0], symbol), table


@functools.partial(jax.jit, static_argnames=("width", "batch"))
def search(table, width, batch=()):
    start = jnp.full(batch, START)
    return beam_search(step, (table, start), start, LENGTH, width)


def log_probability(table, sequence):
    table = np.asarray(table)
    written = [START, START, *np.asarray(sequence).tolist()]
    steps = zip(written, written[1:], written[2:], strict=False)
    return sum(float(table[before, last, new]) for before, last, new in steps)


def ranked(table):
    """Every sequence, the most probable first."""
    result = itertools.product(range(CLASSES), repeat=LENGTH)
    return sorted(result, key=lambda sequence: -log_probability(table, sequence))


@pytest.mark.parametrize("seed", range(5))
def test_a_wide_beam_finds_the_best_of_all(seed):
    table = tables(seed=seed)
    best = ranked(table)
    beam = search(table, CLASSES**LENGTH)
    expected = [log_probability(table, sequence) for sequence in best]
    np.testing.assert_allclose(beam.log_probabilities, expected, rtol=1e-5)
    assert beam.sequences[:5].tolist() == [list(sequence) for sequence in best[:5]]
    # As wide as there are beginnings, it still has missed none.
    narrower = search(table, CLASSES ** (LENGTH - 1))
    assert narrower.sequences[0].tolist() == list(best[0])


def greedy(table):
    table = np.asarray(table)
    before, last, written = START, START, []
    for _ in range(LENGTH):
        before, last = last, int(table[before, last].argmax())
        written.append(last)
    return written


def test_a_beam_of_one_is_greedy_and_greedy_may_miss_the_best():
    missed = 0
    for seed in range(10):
        table = tables(seed=seed)
        beam = search(table, 1)
        assert beam.sequences.tolist() == [greedy(table)]
        missed += tuple(greedy(table)) != ranked(table)[0]
    assert 0 < missed < 10


def test_a_beam_holds_different_sequences_the_likeliest_first():
    table = tables(seed=1)
    beam = search(table, 5)
    assert len({tuple(row) for row in beam.sequences.tolist()}) == 5
    own = [log_probability(table, row) for row in beam.sequences]
    np.testing.assert_allclose(beam.log_probabilities, own, rtol=1e-5)
    assert own == sorted(own, reverse=True)


def test_a_batch_is_its_members_one_by_one():
    batch = 2, 3
    table = np.asarray(tables(*batch, seed=2))
    beam = search(table, 4, batch)
    chex.assert_shape(beam.sequences, (*batch, 4, LENGTH))
    for place in np.ndindex(batch):
        one = search(table[place], 4)
        assert beam.sequences[place].tolist() == one.sequences.tolist()
        np.testing.assert_allclose(
            beam.log_probabilities[place], one.log_probabilities, rtol=1e-5
        )


def test_where_there_are_fewer_sequences_the_rest_is_impossible():
    width = CLASSES**LENGTH + 3
    result = search(tables(), width).log_probabilities
    assert np.isneginf(result[-3:]).all() and np.isfinite(result[:-3]).all()


def test_probabilities_are_of_logits_whatever_their_sum():
    table = tables(seed=3)
    one, other = search(table, 2), search(table + 7, 2)
    chex.assert_trees_all_close(one, other, rtol=1e-4)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_long_sum_of_log_probabilities_is_of_float32(dtype):
    logits = jnp.array([0.0, -0.125], dtype)

    def step(state, symbol):
        return state, jnp.broadcast_to(logits, (*symbol.shape, 2))

    result = beam_search(step, (), jnp.array(0), 600, 2).log_probabilities
    wanted = -600 * np.log1p(np.exp(-0.125))
    np.testing.assert_allclose(result, [wanted, wanted - 0.125], rtol=1e-4)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint32", "int64"])
def test_a_start_is_of_any_integers_and_symbols_do_not_overflow(dtype, x64):
    """Of 300 symbols the last is the likeliest: no uint8 holds it."""

    def step(state, symbol):
        return state, jnp.broadcast_to(jnp.arange(300.0), (*symbol.shape, 300))

    result = beam_search(step, (), jnp.array([0, 1], dtype), 3, 2)
    assert (result.sequences[:, 0] == 299).all()


@pytest.mark.parametrize(("length", "width"), [(0, 1), (1, 0)])
def test_sizes_are_checked(length, width):
    start = jnp.array(START)
    with pytest.raises(ValueError, match=f"at least 1; got {length} and {width}"):
        beam_search(step, (tables(), start), start, length, width)
