"""Confidence intervals of means over seeds."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

LEVEL = 0.95  # probability that all intervals of a claim cover their true means


class Interval(NamedTuple):
    """A mean over seeds and its confidence interval.

    Attributes:
        mean: Mean over the seeds that were run.
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
