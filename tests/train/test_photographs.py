"""The photographs."""

import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from train.data import photographs


@pytest.mark.parametrize("name", photographs.PHOTOGRAPHS)
def test_a_photograph_is_the_luminance_of_its_colors(name):
    image = photographs.load(name)
    assert image.shape == (427, 640)
    assert image.dtype == np.float32
    assert image.min() >= 0
    assert image.max() <= 1
    for y, x in ((0, 0), (200, 300), (426, 639)):
        red, green, blue = load_sample_image(f"{name}.jpg")[y, x].tolist()
        gray = (0.299 * red + 0.587 * green + 0.114 * blue) / 255
        assert image[y, x] == pytest.approx(gray, abs=1e-7)


def test_the_two_are_not_the_same():
    # A sky is bright, and most of the flower's picture is dark leaves.
    assert photographs.load("china").mean() > 0.5 > photographs.load("flower").mean()


def test_white_is_one_and_black_is_zero():
    # china.jpg has pixels of both.
    image = photographs.load("china")
    assert image.min() == 0
    assert image.max() == 1


def test_an_unknown_photograph_is_refused():
    with pytest.raises(ValueError, match="expected a photograph of china, flower; got"):
        photographs.load("china.jpg")
