"""Confidence intervals of means over seeds, and of other statistics."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

LEVEL = 0.95  # probability that all intervals of a claim cover their true means


class Interval(NamedTuple):
    """A mean over seeds, or another statistic, and its confidence interval.

    Attributes:
        mean: Mean over the seeds that were run, or the statistic.
        low: Lower end; minus infinity for a single seed.
        high: Upper end; infinity for a single seed.
    """

    mean: float
    low: float
    high: float

    def text(self, form: str = "{:.2f}") -> str:
        """The mean, followed by the ends in brackets if they are finite.

        Args:
            form: Format of each number.

        Returns:
            Text such as "0.42 [0.40, 0.44]".
        """
        mean, low, high = map(form.format, self)
        return f"{mean} [{low}, {high}]" if np.isfinite(self.low) else mean


def interval(
    values: Float[np.ndarray, " seeds"] | Sequence[float], cases: int = 1
) -> Interval:
    """Confidence interval of a mean over seeds, by Student's t.

        mean ± t_{n-1} s / sqrt(n)

    To compare two quantities that the same seeds have measured, take the interval of
    their differences, seed by seed.

    Args:
        values: One number per seed.
        cases: Number of simultaneous intervals; each is widened (Bonferroni) so that
            all cover their true means with 95 % probability.

    Returns:
        An `Interval`.

    Example:
        >>> interval(np.array([1.0, 2.0, 3.0])).text("{:.2f}")
        '2.00 [-0.48, 4.48]'
    """
    values = np.asarray(values, float)
    count, mean = len(values), float(values.mean())
    if count < 2:
        return Interval(mean, -np.inf, np.inf)
    # Not ttest_1samp, which warns if all values are equal.
    low, high = stats.t.interval(1 - (1 - LEVEL) / cases, count - 1)
    error = float(stats.sem(values))
    return Interval(mean, mean + float(low) * error, mean + float(high) * error)


def interval_of_difference(
    first: Float[np.ndarray, " seeds"] | Sequence[float],
    second: Float[np.ndarray, " others"] | Sequence[float],
    cases: int = 1,
) -> Interval:
    """Confidence interval of the difference of two means, by Welch's t.

        mean(second) - mean(first) ± t_f sqrt(e_1 + e_2),   e_i = s_i^2 / n_i
        f = (e_1 + e_2)^2 / (e_1^2 / (n_1 - 1) + e_2^2 / (n_2 - 1))

    For quantities that were measured from different seeds. Where the seeds are the
    same, the interval of their differences is narrower.

    Args:
        first: One number per seed.
        second: One number per seed.
        cases: As in `interval`.

    Returns:
        An `Interval`.

    Example:
        >>> interval_of_difference([1.0, 1.2, 1.1], [2.0, 2.2]).text()
        '1.00 [0.40, 1.60]'

    References:
        Welch 1947, The generalization of "Student's" problem when several different
        population variances are involved, https://doi.org/10.1093/biomet/34.1-2.28
    """
    first, second = np.asarray(first, float), np.asarray(second, float)
    mean = float(second.mean() - first.mean())
    if min(len(first), len(second)) < 2:
        return Interval(mean, -np.inf, np.inf)
    errors = np.array([stats.sem(first) ** 2, stats.sem(second) ** 2])
    total, counts = errors.sum(), np.array([len(first), len(second)])
    if total == 0:
        return Interval(mean, mean, mean)
    freedom = total**2 / (errors**2 / (counts - 1)).sum()
    _, high = stats.t.interval(1 - (1 - LEVEL) / cases, freedom)
    width = float(high * np.sqrt(total))
    return Interval(mean, mean - width, mean + width)


def bootstrap(
    statistic: Callable[[list[Any]], float],
    groups: Sequence[Sequence[Any]],
    cases: int = 1,
    draws: int = 1000,
) -> Interval:
    """Confidence interval of any statistic, by the percentile bootstrap.

    Whole groups are drawn with replacement, as measurements of one group, such as one
    network, depend on each other. Draws for which the statistic is nan are left out.

    Args:
        statistic: Function of a list of measurements.
        groups: Measurements by group.
        cases: As in `interval`.
        draws: Number of draws.

    Returns:
        An `Interval`, infinite if there is only one group.

    Example:
        >>> groups = [[0.0, 1.0], [1.0], [2.0, 2.0], [1.0, 3.0]]
        >>> bootstrap(lambda values: sum(values) / len(values), groups).text()
        '1.43 [0.67, 2.00]'

    References:
        Efron 1979, Bootstrap methods: another look at the jackknife, The Annals of
        Statistics 7.
    """
    value = statistic([item for group in groups for item in group])
    if len(groups) < 2:
        return Interval(value, -np.inf, np.inf)
    rng = np.random.default_rng(0)
    drawn = [
        statistic(
            [
                item
                for i in rng.integers(0, len(groups), len(groups))
                for item in groups[i]
            ]
        )
        for _ in range(draws)
    ]
    known = np.array(drawn)[np.isfinite(drawn)]
    if not len(known):
        return Interval(value, -np.inf, np.inf)
    low, high = np.quantile(
        known, [(1 - LEVEL) / cases / 2, 1 - (1 - LEVEL) / cases / 2]
    )
    return Interval(value, float(low), float(high))
