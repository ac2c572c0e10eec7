"""The adding problem: two marks a sequence, and targets that are what they mark."""

import jax
import numpy as np
import pytest

from train.data import adding


def drawn(seed, examples, length):
    """Examples of the function of a key, as `load` has them."""
    keys = jax.random.split(jax.random.key(seed), examples)
    several = jax.jit(jax.vmap(lambda key: adding.example(key, length)))(keys)
    return adding.Adding(*map(np.asarray, several))


@pytest.fixture(scope="module", params=[adding.load, drawn])
def many(request):
    return request.param(seed=0, examples=20_000, length=20)


@pytest.mark.parametrize("make", [adding.load, drawn])
@pytest.mark.parametrize("length", [2, 3, 20, 51])
def test_one_mark_in_each_half_and_the_target_is_their_sum(length, make):
    xs, targets = make(seed=1, examples=500, length=length)
    assert xs.dtype == targets.dtype == np.float32
    numbers, marks = xs[..., 0], xs[..., 1]
    assert set(np.unique(marks)) <= {0, 1}
    assert (marks[:, : length // 2].sum(axis=1) == 1).all()
    assert (marks[:, length // 2 :].sum(axis=1) == 1).all()
    for row, mark, target in zip(numbers, marks, targets, strict=True):
        first, second = row[mark == 1]
        assert target == np.float32(first + second)


def test_predicting_1_has_an_error_of_a_sixth(many):
    squares = (many.targets.astype(float) - 1) ** 2
    error = squares.std() / len(squares) ** 0.5
    assert squares.mean() == pytest.approx(adding.BASELINE, abs=4 * error)
    assert error < 0.002  # or the test above shows little


def test_numbers_and_places_are_uniform(many):
    numbers, marks = many.sequences[..., 0], many.sequences[..., 1]
    assert numbers.min() >= 0 and numbers.max() < 1
    decile, _ = np.histogram(numbers, bins=10, range=(0, 1))
    np.testing.assert_allclose(decile / numbers.size, 0.1, atol=0.004)
    # Each place of a half is as likely, 1 in 10: sqrt(0.09 / 20,000) = 0.002 is one sd.
    np.testing.assert_allclose(marks.mean(axis=0), 0.1, atol=0.01)


def test_examples_depend_only_on_the_seed():
    first, again, other = (adding.load(seed, 8, 10) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.sequences, again.sequences)
    np.testing.assert_array_equal(first.targets, again.targets)
    assert not np.allclose(first.sequences, other.sequences)


@pytest.mark.parametrize(
    ("examples", "length", "sentence"),
    [(0, 10, "at least 1 example; got 0"), (5, 1, "a length of at least 2")],
)
def test_sizes_that_are_too_small_are_refused(examples, length, sentence):
    with pytest.raises(ValueError, match=sentence):
        adding.load(0, examples, length)


def test_a_single_example_that_is_too_short_is_refused():
    with pytest.raises(ValueError, match="a length of at least 2"):
        adding.example(jax.random.key(0), 1)
