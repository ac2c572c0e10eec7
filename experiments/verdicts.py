"""What is said of a claim, from numbers over seeds."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

HOLDS = "holds"
IN_PART = "holds in part"
OPEN = "stays open"
FAILS = "does not hold"


class Interval(NamedTuple):
    """A mean over seeds, and between which numbers the mean of all seeds lies.

    Attributes:
        mean: Over the seeds at hand.
        low: The lower end; minus infinity for one seed, which says nothing of others.
        high: The upper end, likewise.
    """

    mean: float
    low: float
    high: float

    def text(self, form: str = "{:.2f}") -> str:
        """The mean, and the ends in brackets if they are finite.

        Args:
            form: A format for each of the numbers.

        Returns:
            Such as "0.42 [0.40, 0.44]".
        """
        mean, low, high = map(form.format, self)
        return f"{mean} [{low}, {high}]" if np.isfinite(self.low) else mean


def interval(
    values: Float[np.ndarray, " seeds"] | Sequence[float], level: float = 0.95
) -> Interval:
    """The confidence interval of a mean over seeds, by Student's t.

        mean ± t_{n-1} s / sqrt(n)

    For whether two things differ, which the same seeds have measured, take the interval
    of the differences, seed by seed.

    Args:
        values: One number a seed.
        level: How often such intervals hold the true mean.

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
    t = stats.t.ppf((1 + level) / 2, count - 1)
    half = float(t * values.std(ddof=1) / np.sqrt(count))
    return Interval(mean, mean - half, mean + half)


def positive(difference: Interval) -> str:
    """Whether a difference that a claim says is positive is so.

    Args:
        difference: Its interval.

    Returns:
        `HOLDS` if all of the interval is above zero, `FAILS` if all of it is below,
        `OPEN` if zero is within.

    Example:
        >>> positive(interval([1.0, 1.1, 1.2])), positive(interval([1.0]))
        ('holds', 'stays open')
    """
    if difference.low > 0:
        return HOLDS
    return FAILS if difference.high < 0 else OPEN


def together(parts: Sequence[str]) -> str:
    """What is said of a claim whose parts are judged one by one.

    Args:
        parts: What is said of each.

    Returns:
        What is said of all, if that is the same; else that the claim holds in part.

    Example:
        >>> together([HOLDS, HOLDS]), together([HOLDS, OPEN]), together([FAILS, OPEN])
        ('holds', 'holds in part', 'stays open')
    """
    kinds = set(parts)
    if len(kinds) == 1:
        return parts[0]
    return IN_PART if kinds & {HOLDS, IN_PART} else OPEN


class Verdict(NamedTuple):
    """A claim, what is said of it, and why.

    Attributes:
        claim: One sentence without its full stop.
        said: One of `HOLDS`, `IN_PART`, `OPEN`, `FAILS`.
        why: The numbers, in a sentence or two.
    """

    claim: str
    said: str
    why: str

    def text(self) -> str:
        """All in one.

        Returns:
            Such as "Large is better: holds. Large 2.0, small 1.0."
        """
        return f"{self.claim}: {self.said}. {self.why}"
