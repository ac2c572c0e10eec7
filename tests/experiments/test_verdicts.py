"""Intervals against what Student's t is for, and what is said of a claim."""

import numpy as np
import pytest
from scipy import stats

from experiments.verdicts import (
    FAILS,
    HOLDS,
    IN_PART,
    OPEN,
    Interval,
    Verdict,
    interval,
    positive,
    together,
)


def test_an_interval_is_scipys():
    values = np.array([0.3, 0.5, 0.1, 0.7])
    found = interval(values, level=0.9)
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    np.testing.assert_allclose(found, [values.mean(), low, high])


def test_intervals_hold_the_true_mean_as_often_as_they_say():
    draws = np.random.default_rng(0).normal(2, 3, (2000, 3))
    found = np.array([interval(row) for row in draws])
    share = ((found[:, 1] < 2) & (found[:, 2] > 2)).mean()
    assert abs(share - 0.95) < 0.02  # four deviations


def test_one_seed_says_nothing_of_others():
    found = interval([0.4])
    assert found == (0.4, -np.inf, np.inf)
    assert found.text() == "0.40" and positive(found) == OPEN


@pytest.mark.parametrize(
    ("low", "high", "said"), [(0.1, 1, HOLDS), (-1, -0.1, FAILS), (-1, 0.1, OPEN)]
)
def test_a_difference_is_positive_if_its_interval_is(low, high, said):
    assert positive(Interval(0, low, high)) == said


PARTS = [
    ([HOLDS, HOLDS], HOLDS),
    ([FAILS, FAILS], FAILS),
    ([HOLDS, FAILS], IN_PART),
    ([HOLDS, OPEN], IN_PART),
    ([IN_PART, FAILS], IN_PART),
    ([FAILS, OPEN], OPEN),
]


@pytest.mark.parametrize(("parts", "said"), PARTS)
def test_parts_together(parts, said):
    assert together(parts) == said == together(parts[::-1])


def test_a_verdict_in_one_sentence():
    verdict = Verdict("Large is better", IN_PART, "Large 2.0, small 1.0.")
    assert verdict.text() == "Large is better: holds in part. Large 2.0, small 1.0."
