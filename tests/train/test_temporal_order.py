"""The temporal order problem: its symbols, their places, and its classes."""

import jax
import numpy as np
import pytest

from train.data import temporal_order

COUNT = 5000


@pytest.fixture(scope="module")
def many():
    keys = jax.random.split(jax.random.key(0), COUNT)
    drawn = jax.jit(jax.vmap(temporal_order.example))(keys)
    return jax.tree.map(np.asarray, drawn)


def symbols(many):
    """One letter per step, and "-" for padding."""
    index = np.where(many.sequence.any(axis=-1), many.sequence.argmax(axis=-1), -1)
    return np.array(list("EBabcdXY-"))[index]


def test_sequences_are_those_of_the_paper(many):
    assert many.sequence.dtype == np.float32
    assert set(many.length) == set(range(100, 111))
    for row, label, steps in zip(symbols(many), many.target, many.length, strict=True):
        text = "".join(row)
        assert text[0] == "E" and text[steps - 1] == "B"
        assert text[steps:] == "-" * (110 - steps)
        ordered = [i for i, letter in enumerate(text) if letter in "XY"]
        assert len(ordered) == 2
        assert 10 <= ordered[0] <= 20 and 50 <= ordered[1] <= 60
        pair = "".join(text[i] for i in ordered)
        assert pair == ("XX", "XY", "YX", "YY")[label]
        assert not set(text[1 : steps - 1]) - set("abcdXY")


def test_all_draws_are_uniform(many):
    text = symbols(many)
    places = np.argwhere((text == "X") | (text == "Y"))[:, 1].reshape(-1, 2)
    fillers = np.concatenate([(text == letter).sum(axis=1) for letter in "abcd"])
    for counts, kinds in (
        (np.bincount(many.target), 4),
        (np.bincount(places[:, 0])[10:], 11),
        (np.bincount(places[:, 1])[50:], 11),
        (np.bincount(many.length)[100:], 11),
        (fillers.reshape(4, -1).sum(axis=1), 4),
    ):
        assert len(counts) == kinds
        share, error = 1 / kinds, (1 / kinds / counts.sum()) ** 0.5
        np.testing.assert_allclose(counts / counts.sum(), share, atol=5 * error)


def test_shorter_sequences_are_in_proportion():
    keys = jax.random.split(jax.random.key(1), 200)
    few = jax.vmap(lambda key: temporal_order.example(key, 22))(keys)
    assert set(np.asarray(few.length).tolist()) == {20, 21, 22}
    places = np.argwhere(np.asarray(few.sequence[..., 6:].any(axis=-1)))[:, 1]
    assert set(places[::2]) == {2, 3, 4} and set(places[1::2]) == {10, 11, 12}


@pytest.mark.parametrize("length", [0, 10, 100])
def test_a_length_in_no_proportion_is_refused(length):
    with pytest.raises(ValueError, match="a multiple of 11; got"):
        temporal_order.example(jax.random.key(0), length)
