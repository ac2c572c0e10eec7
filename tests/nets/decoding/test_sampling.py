"""Sampling: its probabilities, and what greedy does."""

import functools
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.special import softmax

import nets
from nets.decoding import sample
from nets.models import SequenceTagger

KEY = jax.random.key(0)
LOGITS = jnp.array([[0.0, 1.0, -1.0], [2.0, 0.0, 0.5], [-0.5, 0.3, 0.0]])


def chain(state, token):
    """A Markov chain, which counts its steps."""
    return state + 1, LOGITS[token]


@functools.partial(jax.jit, static_argnames="length")
def drawn(token, length, key, temperature):
    return sample(chain, jnp.array(0), token, length, key, temperature)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_symbols_are_as_frequent_as_softmax_predicts(temperature):
    count = 20_000
    tokens = drawn(jnp.zeros(count, int), 1, KEY, temperature)[1][:, 0]
    seen = np.bincount(tokens, minlength=3)
    expected = count * softmax(np.array([0.0, 1.0, -1.0]) / temperature)
    # A right sampler fails with one key in 10,000.
    assert stats.chisquare(seen, expected).pvalue > 1e-4


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_many_equal_logits_of_any_dtype_are_drawn_alike(dtype):
    classes, count = 1000, 4000
    row = jnp.zeros((count, classes), dtype)
    start = jnp.zeros(count, jnp.uint8)
    _, tokens = sample(lambda state, token: (state, row), (), start, 1, KEY)
    shares = np.bincount(tokens[:, 0] // 100, minlength=10)
    assert stats.chisquare(shares).pvalue > 1e-4


def test_a_chain_follows_its_matrix():
    count = 40_000
    steps, tokens = drawn(jnp.array(1), count, KEY, 1.0)
    assert steps == count and tokens.shape == (count,)
    before = np.concatenate([[1], tokens[:-1]])
    seen = np.zeros((3, 3))
    np.add.at(seen, (before, np.asarray(tokens)), 1)
    times = seen.sum(axis=1, keepdims=True)
    assert times.min() > 6000  # the standard error of a share is below 0.0065
    np.testing.assert_allclose(seen / times, softmax(LOGITS, axis=1), atol=0.03)


def test_at_temperature_0_it_is_greedy():
    for first in range(3):
        _, tokens = drawn(jnp.array(first), 6, KEY, 0)
        expected, token = [], first
        for _ in range(6):
            token = int(LOGITS[token].argmax())
            expected.append(token)
        assert tokens.tolist() == expected


def test_cold_is_nearly_greedy_and_hot_nearly_uniform():
    tokens = jnp.zeros(3000, int)
    for cold in (1e-2, 1e-30):  # logits / 1e-30 are more than float32 can say
        chex.assert_trees_all_equal(
            drawn(tokens, 3, KEY, cold)[1], drawn(tokens, 3, KEY, 0)[1]
        )
    shares = np.bincount(drawn(tokens, 1, KEY, 1e6)[1][:, 0]) / 3000
    np.testing.assert_allclose(shares, 1 / 3, atol=0.04)  # 4.6 standard errors


def test_a_longer_sample_begins_like_a_shorter_one():
    _, short = drawn(jnp.zeros(4, int), 5, KEY, 1.0)
    _, long = drawn(jnp.zeros(4, int), 9, KEY, 1.0)
    chex.assert_trees_all_equal(long[:, :5], short)
    assert len({tuple(row) for row in long.tolist()}) > 1  # each draws for itself
    _, other = drawn(jnp.zeros(4, int), 9, jax.random.key(1), 1.0)
    assert (other != long).any()


def test_temperatures_are_mapped_over():
    temperatures = jnp.array([0.0, 0.7, 1.5])
    each = jax.vmap(lambda t: drawn(jnp.array(0), 8, KEY, t)[1])(temperatures)
    alone = [drawn(jnp.array(0), 8, KEY, float(t))[1] for t in temperatures]
    chex.assert_trees_all_equal(each, jnp.stack(alone))


@pytest.mark.slow
def test_a_net_reads_its_own_samples():
    """Read back, a greedy sample is the likeliest symbol at every place."""
    model: Any = SequenceTagger(nets.gru(), 6, classes=5, vocabulary=5)
    start = jnp.zeros((2, 1), int)
    variables = model.init(jax.random.key(3), start)

    def step(state, token):
        state, logits = model.apply(variables, token[:, None], state)
        return state, 5 * logits[:, 0]

    state = nets.gru().initial_state(
        variables["params"]["recurrent"]["cell"], jnp.zeros((2, 6))
    )
    after, tokens = sample(step, state, start[:, 0], 12, KEY, temperature=0)
    read = jnp.concatenate([start, tokens[:, :-1]], axis=1)
    expected, logits = model.apply(variables, read)
    chex.assert_trees_all_equal(tokens, logits.argmax(axis=-1).astype(jnp.int32))
    chex.assert_trees_all_close(after, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("length", "temperature", "sentence"),
    [
        (0, 1.0, "a length of at least 1; got 0"),
        (3, -0.5, "a temperature of at least 0; got -0.5"),
        (3, float("nan"), "a temperature of at least 0; got nan"),
    ],
)
def test_out_of_range_is_refused(length, temperature, sentence):
    with pytest.raises(ValueError, match=sentence):
        sample(chain, jnp.array(0), jnp.array(0), length, KEY, temperature)
