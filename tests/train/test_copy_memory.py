"""The copy memory problem: symbols at the start, and the same as the last labels."""

import jax
import numpy as np
import pytest

from train.data import copy_memory

COUNT, BLANKS = 4000, 6


@pytest.fixture(scope="module")
def many():
    keys = jax.random.split(jax.random.key(0), COUNT)
    drawn = jax.jit(jax.vmap(lambda key: copy_memory.example(key, BLANKS)))(keys)
    return jax.tree.map(np.asarray, drawn)


def test_the_labels_are_blank_and_then_the_symbols(many):
    xs, labels = many
    assert xs.shape == (COUNT, BLANKS + 20, 10) and labels.shape == (COUNT, BLANKS + 20)
    assert xs.dtype == np.float32 and (xs.sum(axis=-1) == 1).all()
    read = xs.argmax(axis=-1)
    symbols = read[:, :10]
    assert symbols.min() == 1 and symbols.max() == 8
    rest = [0] * (BLANKS - 1) + [9] + [0] * 10  # blanks, the delimiter, blanks
    assert (read[:, 10:] == rest).all()
    assert (labels[:, :-10] == 0).all() and (labels[:, -10:] == symbols).all()


def test_all_symbols_are_equally_frequent(many):
    share = np.bincount(many.target[:, -10:].ravel(), minlength=9)[1:] / (10 * COUNT)
    np.testing.assert_allclose(share, 1 / 8, atol=5 * (7 / 64 / 10 / COUNT) ** 0.5)


def test_the_baseline_is_the_loss_of_a_prediction_without_memory(many):
    probabilities = np.zeros((BLANKS + 20, 9))
    probabilities[:-10, 0] = 1
    probabilities[-10:, 1:] = 1 / 8
    losses = -np.log(probabilities[np.arange(BLANKS + 20), many.target])
    np.testing.assert_allclose(losses.mean(axis=1), copy_memory.baseline(BLANKS))


@pytest.mark.parametrize(
    ("length", "published"), [(30, 0.41589), (100, 0.17329), (1000, 0.020387)]
)
def test_the_baseline_of_published_lengths(length, published):
    assert copy_memory.baseline(length) == pytest.approx(published, rel=3e-5)


def test_a_length_without_a_blank_is_refused():
    with pytest.raises(ValueError, match="a length of at least 1; got 0"):
        copy_memory.example(jax.random.key(0), 0)
