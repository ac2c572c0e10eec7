"""MNIST-1D is the published data set, number by number."""

import numpy as np
import pytest

from train.data import mnist1d

# What `make_dataset(get_dataset_args())` of the package mnist1d 0.0.2.post1 gives under
# numpy 2.4.6 and scipy 1.17.1: the first numbers of "x" and "x_test", the first of "y"
# and "y_test", how often each digit is in "y", and two sums over training and test set
# in which every number and every label has a weight of its own.
ROWS = {
    0: [-0.3320056673693902, -0.4719103656557236, -0.778697076293495],
    4000: [-0.07877078047732886, -0.21073170588642925, -0.09175138109239452],
}
LABELS = [2, 6, 4, 5, 6, 6, 6, 0, 3, 1, 6, 9, 4, 3, 4, 5, 1, 9, 0, 3]
TEST_LABELS = [2, 6, 3, 9, 4, 3, 1, 9, 5, 2, 0, 7, 7, 1, 4, 6, 1, 4, 3, 9]
COUNTS = [398, 396, 411, 394, 394, 402, 401, 404, 402, 398]
COSINE_SUM = 445.7184519659724  # of the k-th number times cos(k)
PLACE_SUM = 56565641  # of the k-th label times k


@pytest.fixture(scope="module")
def made():
    return mnist1d.make()


@pytest.fixture
def global_state():
    """The state of numpy's global generator, put back afterwards."""
    state = np.random.get_state()  # noqa: NPY002
    yield state
    np.random.set_state(state)  # noqa: NPY002


def test_the_data_is_the_published_one(made):
    for row, numbers in ROWS.items():
        np.testing.assert_allclose(made.sequences[row, :3], numbers, rtol=0, atol=9e-16)
    x = made.sequences.ravel()
    assert x @ np.cos(np.arange(len(x))) == pytest.approx(COSINE_SUM, abs=1e-9)
    assert made.labels @ np.arange(5000) == PLACE_SUM
    assert made.labels[:20].tolist() == LABELS
    assert made.labels[4000:4020].tolist() == TEST_LABELS
    assert np.bincount(made.labels[:4000]).tolist() == COUNTS
    assert np.bincount(made.labels).tolist() == [500] * 10


def test_load_splits_what_make_makes(made):
    assert made.sequences.dtype == np.float64
    train, test = mnist1d.load()
    assert train.sequences.shape == (4000, 40)
    assert test.sequences.shape == (1000, 40)
    for part, of in ((train, slice(4000)), (test, slice(4000, None))):
        assert part.sequences.dtype == np.float32
        assert part.labels.dtype == np.int32
        np.testing.assert_array_equal(part.labels, made.labels[of])
        np.testing.assert_array_equal(
            part.sequences, made.sequences[of].astype(np.float32)
        )


@pytest.mark.usefixtures("global_state")  # which the package seeds
def test_all_numbers_are_those_of_the_package(made):
    package = pytest.importorskip("mnist1d.data")
    published = package.make_dataset(package.get_dataset_args())
    x = np.concatenate([published["x"], published["x_test"]])
    y = np.concatenate([published["y"], published["y_test"]])
    np.testing.assert_array_equal(made.labels, y)
    np.testing.assert_allclose(made.sequences, x, rtol=0, atol=9e-16)


@pytest.mark.parametrize("seed", [42, 0])
def test_over_the_set_the_numbers_are_normal(seed):
    made = mnist1d.make(seed, examples=500)
    assert made.sequences.mean() == pytest.approx(0, abs=1e-12)
    assert made.sequences.std() == pytest.approx(1)
    assert np.bincount(made.labels).tolist() == [50] * 10
    assert (made.labels[:-1] > made.labels[1:]).any()  # in random order


def test_examples_depend_only_on_the_seed(global_state):
    first = mnist1d.make(examples=20)
    np.testing.assert_equal(np.random.get_state(), global_state)  # noqa: NPY002
    np.random.seed(2)  # noqa: NPY002
    second = mnist1d.make(examples=20)
    np.testing.assert_array_equal(first.sequences, second.sequences)
    np.testing.assert_array_equal(first.labels, second.labels)
    other = mnist1d.make(seed=43, examples=20)
    assert not np.allclose(first.sequences, other.sequences)


@pytest.mark.parametrize("examples", [0, 15, -10])
def test_each_digit_is_as_frequent(examples):
    with pytest.raises(ValueError, match="expected a positive multiple of 10 examples"):
        mnist1d.make(examples=examples)
