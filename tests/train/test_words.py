"""Words run together, and cut again."""

import re

import numpy as np
import pytest

from train.data import words
from train.data.text import documentation


def test_the_text_comes_back():
    train, test = words.load(length=50)
    letters = np.concatenate([train.letters, test.letters]).ravel()
    starts = np.concatenate([train.starts, test.starts]).ravel()
    text = " ".join(re.findall("[a-z]+", documentation().lower()))
    cut = words.cut(letters, starts)
    assert text.startswith(cut) and len(text) - len(cut) < 100
    assert 0.08 < len(test.letters) / (len(train.letters) + len(test.letters)) <= 0.1


def test_held_out_text_is_not_in_the_training_set():
    train, test = (
        "".join(words.LETTERS[letter] for letter in half.letters.ravel())
        for half in words.load(length=64)
    )
    seen = {train[i : i + 64] for i in range(len(train) - 63)}
    assert seen.isdisjoint(test[i : i + 64] for i in range(len(test) - 63))


def test_starts_are_the_beginnings_of_words():
    letters, starts = words.of(["a", "ab", "z"])
    assert letters.tolist() == [0, 0, 1, 25] and starts.tolist() == [1, 1, 0, 1]


@pytest.mark.parametrize("length", [0, -1, 10**6])
def test_a_length_out_of_range_is_refused(length):
    with pytest.raises(ValueError, match=rf"expected windows of 1 .*; got {length}$"):
        words.load(length)
