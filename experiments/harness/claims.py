"""What is said of a claim, from numbers over seeds."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

SUPPORTED = "holds"
PARTLY_SUPPORTED = "holds in part"
INCONCLUSIVE = "stays open"
REFUTED = "does not hold"
LEVEL = 0.95  # how often all intervals of a claim hold their true means


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
    values: Float[np.ndarray, " seeds"] | Sequence[float], cases: int = 1
) -> Interval:
    """The confidence interval of a mean over seeds, by Student's t.

        mean ± t_{n-1} s / sqrt(n)

    For whether two things differ, which the same seeds have measured, take the interval
    of the differences, seed by seed.

    Args:
        values: One number a seed.
        cases: How many intervals there are of which nothing may be said wrongly: so
            wide that all of them hold their true means 95 times of 100, by
            Bonferroni's bound.

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
    t = stats.t.ppf(1 - (1 - LEVEL) / 2 / cases, count - 1)
    half = float(t * values.std(ddof=1) / np.sqrt(count))
    return Interval(mean, mean - half, mean + half)


def positive(difference: Interval, least: float = 0.0) -> str:
    """Whether a difference that a claim says is positive is so.

    Args:
        difference: Its interval.
        least: What it has to be above, if not zero: minus what it may lack.

    Returns:
        `HOLDS` if all of the interval is above that, `FAILS` if all of it is below,
        `OPEN` if that is within.

    Example:
        >>> positive(interval([1.0, 1.1, 1.2])), positive(interval([1.0]))
        ('holds', 'stays open')
    """
    if difference.low > least:
        return SUPPORTED
    return REFUTED if difference.high < least else INCONCLUSIVE


def within(difference: Interval, tolerance: float) -> str:
    """Whether a difference is nothing, but for a tolerance of either sign.

    Args:
        difference: Its interval.
        tolerance: Above zero.

    Returns:
        `HOLDS` if all of the interval is within, `FAILS` if all of it is without.

    Example:
        >>> within(Interval(0, -0.1, 0.1), 0.2), within(Interval(1, 0.9, 1.1), 0.2)
        ('holds', 'does not hold')
    """
    if -tolerance < difference.low and difference.high < tolerance:
        return SUPPORTED
    outside = difference.low > tolerance or difference.high < -tolerance
    return REFUTED if outside else INCONCLUSIVE


def together(parts: Sequence[str]) -> str:
    """What is said of a claim that is one on several cases, judged one by one.

    Args:
        parts: What is said of each.

    Returns:
        That it holds if it does in all, and in part if in some; that it does not hold
        if it does in none, and not so in some; else that it stays open.

    Example:
        >>> together([HOLDS, HOLDS]), together([HOLDS, OPEN]), together([FAILS, OPEN])
        ('holds', 'holds in part', 'does not hold')
    """
    kinds = set(parts)
    if len(kinds) == 1:
        return parts[0]
    if kinds & {SUPPORTED, PARTLY_SUPPORTED}:
        return PARTLY_SUPPORTED
    return REFUTED if REFUTED in kinds else INCONCLUSIVE


class Judged(NamedTuple):
    """What is said of several cases.

    Attributes:
        parts: Of each, `HOLDS`, `OPEN` or `FAILS`.
        intervals: From which that is seen.
    """

    parts: list[str]
    intervals: list[Interval]

    def text(self, names: Iterable[str], form: str = "{:+.2f}") -> str:
        """The intervals, each behind its name.

        Args:
            names: Of the cases.
            form: Of the numbers.

        Returns:
            Such as "lstm +1.00 [+0.50, +1.50], gru +0.10 [-0.20, +0.40]".
        """
        return ", ".join(
            f"{name} {one.text(form)}"
            for name, one in zip(names, self.intervals, strict=True)
        )

    def verdict(self, claim: str, why: str) -> "Claim":
        """On a claim that says that it is so in all cases.

        Args:
            claim: One sentence without its full stop.
            why: The numbers, in a sentence or two.

        Returns:
            A `Claim`.
        """
        return judged(claim, self.parts, why)


def judge(
    cases: Sequence[Float[np.ndarray, " seeds"]],
    say: Callable[[Interval], str] = positive,
) -> Judged:
    """Judge a claim of which each case is a number that the seeds have measured.

    Where every case holds by its own 95 % interval, all are said to: for that to be
    wrong one of them must be. Else, that it is so in some of many cases may be chance,
    and the intervals are widened until all of them hold together.

    Args:
        cases: One number a seed, of every case.
        say: What is said of a case, by its interval.

    Returns:
        What is said, and the intervals it is seen from.

    Example:
        >>> judge([np.array([1.0, 1.1, 1.2]), np.array([0.1, 0.2, 0.3])]).parts
        ['holds', 'stays open']

    References:
        Berger 1982, Multiparameter hypothesis testing and acceptance sampling,
        https://doi.org/10.1080/00401706.1982.10487790
    """
    for count in (1, len(cases)):
        intervals = [interval(values, count) for values in cases]
        parts = [say(one) for one in intervals]
        if set(parts) == {SUPPORTED}:
            break
    return Judged(parts, intervals)


def judged(claim: str, parts: Sequence[str], why: str) -> "Claim":
    """The verdict on a claim from what is said of its cases.

    Args:
        claim: One sentence without its full stop.
        parts: What is said of each case.
        why: The numbers, in a sentence or two.

    Returns:
        A `Claim`, which counts the cases where it holds in part.

    Example:
        >>> judged("Large is better", [HOLDS, OPEN, FAILS], "Twice as good.").text()
        'Large is better: holds in part (1 of 3 cases). Twice as good.'
    """
    said = together(parts)
    cases = (
        f"{parts.count(SUPPORTED)} of {len(parts)} cases"
        if said == PARTLY_SUPPORTED
        else ""
    )
    return Claim(claim, said, why, cases)


class Claim(NamedTuple):
    """A claim, what is said of it, and why.

    Attributes:
        claim: One sentence without its full stop.
        said: One of `HOLDS`, `IN_PART`, `OPEN`, `FAILS`.
        why: The numbers, in a sentence or two.
        cases: In how many cases it holds, if in part and if that was counted.
    """

    claim: str
    said: str
    why: str
    cases: str = ""

    @property
    def all_said(self) -> str:
        """What is said of it, with the cases."""
        return f"{self.said} ({self.cases})" if self.cases else self.said

    def text(self) -> str:
        """All in one.

        Returns:
            Such as "Large is better: holds. Large 2.0, small 1.0."
        """
        return f"{self.claim}: {self.all_said}. {self.why}"
