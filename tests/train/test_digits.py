"""The handwritten digits, by their published facts."""

import numpy as np
import pytest

from train.data import digits


def test_the_data_is_the_published_one():
    train, test = digits.load()
    assert len(train.images) == len(train.labels) == 898
    assert len(test.images) == len(test.labels) == 899
    total = 16 * (train.images.astype(float).sum() + test.images.astype(float).sum())
    assert total == 561718
    assert train.images.min() == 0
    assert train.images.max() == 1
    assert set(test.labels.tolist()) == set(range(10))


def test_the_split_is_in_order():
    from sklearn.datasets import load_digits

    data, labels = load_digits(return_X_y=True)
    train, test = digits.load()
    np.testing.assert_array_equal(train.labels, labels[:898])
    np.testing.assert_array_equal(test.images.reshape(899, 64), data[898:] / 16)


def test_sequences_run_from_top_to_bottom_and_left_to_right():
    image = np.arange(64.0).reshape(1, 8, 8)
    pixels = digits.as_sequences(image, "pixels")
    assert pixels.shape == (1, 64, 1)
    assert pixels[0, :, 0].tolist() == list(range(64))
    rows = digits.as_sequences(image, "rows")
    assert rows[0, 3].tolist() == list(range(24, 32))
    with pytest.raises(ValueError, match="expected an order of pixels, rows"):
        digits.as_sequences(image, "columns")
