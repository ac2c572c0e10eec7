"""Intervals compared with Student's t, and the outcomes of claims."""

import numpy as np
import pytest
from scipy import stats

from experiments.harness.claims import (
    INCONCLUSIVE,
    PARTLY_SUPPORTED,
    REFUTED,
    SUPPORTED,
    Case,
    Claim,
    combine_outcomes,
    judge,
    positive,
)
from experiments.harness.intervals import Interval, interval


@pytest.mark.parametrize(("cases", "level"), [(1, 0.95), (5, 0.99)])
def test_an_interval_is_scipys(cases, level):
    values = np.array([0.3, 0.5, 0.1, 0.7])
    result = interval(values, cases)
    low, high = stats.ttest_1samp(values, 0).confidence_interval(level)
    np.testing.assert_allclose(result, [values.mean(), low, high])


@pytest.mark.slow
def test_intervals_cover_the_true_mean_at_their_rate():
    draws = np.random.default_rng(0).normal(2, 3, (2000, 3))
    intervals = np.array([interval(row) for row in draws])
    share = ((intervals[:, 1] < 2) & (intervals[:, 2] > 2)).mean()
    assert abs(share - 0.95) < 0.02  # four deviations


def test_one_seed_has_an_infinite_interval():
    result = interval([0.4])
    assert result == (0.4, -np.inf, np.inf)
    assert result.text() == "0.40" and positive(result) == INCONCLUSIVE


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [(0.1, 1, SUPPORTED), (-1, -0.1, REFUTED), (-1, 0.1, INCONCLUSIVE)],
)
def test_a_difference_is_positive_if_its_interval_is(low, high, outcome):
    assert positive(Interval(0, low, high)) == outcome


PARTS = [
    ([SUPPORTED, SUPPORTED], SUPPORTED),
    ([REFUTED, REFUTED], REFUTED),
    ([SUPPORTED, REFUTED], PARTLY_SUPPORTED),
    ([SUPPORTED, INCONCLUSIVE], PARTLY_SUPPORTED),
    ([PARTLY_SUPPORTED, REFUTED], PARTLY_SUPPORTED),
    ([REFUTED, INCONCLUSIVE], REFUTED),
    ([INCONCLUSIVE, INCONCLUSIVE], INCONCLUSIVE),
]


@pytest.mark.parametrize(("parts", "outcome"), PARTS)
def test_parts_together(parts, outcome):
    assert combine_outcomes(parts) == outcome == combine_outcomes(parts[::-1])


def test_a_claim_in_one_sentence():
    claim = Claim("Large is better", PARTLY_SUPPORTED, "Large 2.0, small 1.0.")
    assert (
        claim.sentence() == "Large is better: partly supported. Large 2.0, small 1.0."
    )


def test_what_some_cases_show_must_hold_together():
    sure, near = np.array([1.0, 1.1, 1.2]), np.array([0.1, 0.3, 0.4])
    alone = [interval(near).low > 0, interval(near, 2).low > 0]
    assert alone == [False, False] and judge([sure, near]).outcomes == [
        SUPPORTED,
        INCONCLUSIVE,
    ]
    likely = np.array([0.2, 0.3, 0.4])
    assert [interval(likely).low > 0, interval(likely, 2).low > 0] == [True, False]
    assert judge([sure, likely]).outcomes == [SUPPORTED, SUPPORTED]  # all, by their own
    assert judge([sure, likely, near]).outcomes == [
        SUPPORTED,
        INCONCLUSIVE,
        INCONCLUSIVE,
    ]
    assert judge([-sure, -likely]).outcomes == [REFUTED, INCONCLUSIVE]


@pytest.mark.slow
def test_false_claims_that_hold_in_part_are_as_rare_as_they_should_be():
    draws = np.random.default_rng(0).normal(0, 1, (2000, 4, 3))
    supported = [SUPPORTED in judge(list(cases)).outcomes for cases in draws]
    assert np.mean(supported) < 0.05 + 0.015  # three deviations


def test_a_claim_counts_the_cases_that_it_holds_in():
    judgment = judge([np.array([1.0, 1.01]), np.array([-1.0, 1])])
    claim = judgment.claim("A", "B.", "xy", "{:.0f}")
    assert claim.sentence() == "A: partly supported (1 of 2 cases). B."
    assert claim.cases == [
        Case("x", "1 [1, 1]", SUPPORTED),
        Case("y", "0 [-25, 25]", INCONCLUSIVE),
    ]
    assert claim.table.rows == claim.cases
    both = judge([np.array([1.0, 1.01])] * 2).claim("A", "B.", "xy")
    assert both.counted_outcome == SUPPORTED
