"""The strokes, by their rule and by other measures of direction."""

import numpy as np
import pytest

from train.data import digits, strokes
from train.data.strokes import Strokes


@pytest.fixture(scope="module")
def halves():
    return strokes.load()


def windows(images):
    return np.lib.stride_tricks.sliding_window_view(images, (4, 4), (1, 2))


def explained(piece, design):
    """R^2 of the least squares that knows of a pixel what is in `design`."""
    y = piece.ravel() - piece.mean()
    rest = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    return 1 - (rest @ rest) / (y @ y)


def bar(degrees, width=1.5):
    """A bar through the middle of 4x4 pixels, so many degrees off the horizontal."""
    fine = (np.arange(200) + 0.5) / 50 - 2
    x, y = np.meshgrid(fine, fine)
    angle = np.radians(degrees)
    inside = np.abs(np.cos(angle) * y + np.sin(angle) * x) < width / 2
    return inside.reshape(4, 50, 4, 50).mean(axis=(1, 3))[None]


def test_both_directions_are_equally_frequent(halves):
    for half, count in zip(halves, (220, 314), strict=True):
        assert half.images.shape == (2 * count, 4, 4)
        assert half.images.dtype == np.float32
        assert half.labels.dtype == np.int32
        assert half.labels.tolist() == [0] * count + [1] * count
        assert half.images.min() >= 0
        assert half.images.max() <= 1


def test_each_half_is_cut_out_of_its_own_writers_digits(halves):
    for half, source in zip(halves, digits.load(), strict=True):
        known = {piece.tobytes() for piece in windows(source.images).reshape(-1, 4, 4)}
        assert all(piece.tobytes() in known for piece in half.images)


def test_every_stroke_obeys_the_rule(halves):
    rows, columns = np.eye(4).repeat(4, axis=0), np.tile(np.eye(4), (4, 1))
    for half in halves:
        for piece, label in zip(half.images, half.labels, strict=True):
            assert piece.std() >= 0.2
            assert explained(piece, columns if label else rows) >= 0.6 - 1e-5
            assert explained(piece, rows if label else columns) <= 0.4 + 1e-5


def test_no_horizontal_stroke_is_missed(halves):
    for half, source in zip(halves, digits.load(), strict=True):
        found = windows(source.images)
        share = found.mean(axis=-1).var(axis=-1) / (found.var(axis=(-2, -1)) + 1e-12)
        count = ((share >= 0.6) & (found.std(axis=(-2, -1)) >= 0.2)).sum()
        assert (half.labels == 0).sum() == count


def test_image_gradients_give_the_same_directions_as_the_rule(halves):
    for half in halves:
        down, right = np.gradient(half.images, axis=(1, 2))
        yy, xx, xy = (
            (a * b).sum(axis=(1, 2))
            for a, b in ((down, down), (right, right), (down, right))
        )
        off = np.abs(np.degrees(np.arctan2(2 * xy, yy - xx) / 2))  # 0: horizontal
        off = np.where(half.labels == 0, off, 90 - off)
        assert np.median(off) < 13
        assert (
            off < 45
        ).mean() > 0.97  # what is short and thick has gradients all round


@pytest.mark.parametrize(
    ("degrees", "labels"),
    [(0, [0]), (20, [0]), (-20, [0]), (25, []), (45, []), (70, [1]), (90, [1])],
)
def test_a_bar_is_a_stroke_if_it_lies_along_an_axis(degrees, labels):
    assert strokes.find(bar(degrees)).labels.tolist() == labels


def test_faint_patches_are_not_strokes():
    assert strokes.find(0.6 * bar(0)).labels.tolist() == [0]
    assert strokes.find(0.5 * bar(0)).labels.tolist() == []


def test_a_transposed_image_has_the_other_strokes():
    images = digits.load()[0].images[:50]
    found, turned = strokes.find(images), strokes.find(images.swapaxes(1, 2))
    for label in (0, 1):
        pieces = found.images[found.labels == label].swapaxes(1, 2)
        others = turned.images[turned.labels == 1 - label]
        assert sorted(p.tobytes() for p in pieces) == sorted(
            p.tobytes() for p in others
        )


def test_shares_and_residual_add_up_to_the_variance():
    rng = np.random.default_rng(0)
    rows, columns = strokes.shares(rng.normal(size=(100, 4, 4)))
    assert (rows + columns < 1).all()
    additive = rng.normal(size=(100, 4, 1)) + rng.normal(size=(100, 1, 4))
    np.testing.assert_allclose(sum(strokes.shares(additive)), 1)


@pytest.mark.parametrize(
    ("labels", "kept"), [([0, 0, 1, 1, 1, 1], [0, 1, 2, 4]), ([0, 0], []), ([], [])]
)
def test_balanced_keeps_evenly_spaced_strokes(labels, kept):
    numbers = np.arange(len(labels), dtype=np.float32)[:, None, None]
    images = np.broadcast_to(numbers, (len(labels), 4, 4))
    even = strokes.balanced(Strokes(images, np.array(labels, np.int32)))
    assert even.images[:, 0, 0].tolist() == kept
    assert even.labels.tolist() == [labels[i] for i in kept]
