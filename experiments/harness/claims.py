"""Claims, and their outcomes: what measurements over seeds show."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from experiments.harness.intervals import Interval, interval
from experiments.harness.tables import Table

SUPPORTED = "supported"
PARTLY_SUPPORTED = "partly supported"
INCONCLUSIVE = "inconclusive"
REFUTED = "refuted"


class Case(NamedTuple):
    """One comparison on which a claim is judged.

    Attributes:
        name: Name of the case, such as that of a cell.
        value: Measured value, usually with its interval, as text.
        outcome: `SUPPORTED`, `PARTLY_SUPPORTED`, `INCONCLUSIVE` or `REFUTED`.
    """

    name: str
    value: str
    outcome: str


class Claim(NamedTuple):
    """A claim, its outcome, and the cases that it is judged on.

    Attributes:
        text: One sentence without its full stop.
        outcome: `SUPPORTED`, `PARTLY_SUPPORTED`, `INCONCLUSIVE` or `REFUTED`.
        evidence: The quantity that the cases measure, in a plain sentence.
        cases: The cases, with all numbers.
    """

    text: str
    outcome: str
    evidence: str
    cases: Sequence[Case] = ()

    @property
    def counted_outcome(self) -> str:
        """The outcome, with the number of supporting cases if only some support it."""
        count = sum(case.outcome == SUPPORTED for case in self.cases)
        if self.outcome != PARTLY_SUPPORTED or not count:
            return self.outcome
        return f"{self.outcome} ({count} of {len(self.cases)} cases)"

    @property
    def table(self) -> Table:
        """The cases, one row each."""
        return Table(["case", "value", "outcome"], self.cases)

    def sentence(self) -> str:
        """The claim, its outcome and its evidence in one text.

        Returns:
            Text such as "Large is better: supported. Accuracy, large minus small."
        """
        return f"{self.text}: {self.counted_outcome}. {self.evidence}"


def positive(difference: Interval, threshold: float = 0.0) -> str:
    """Outcome of the claim that a difference is positive.

    Args:
        difference: Interval of the difference.
        threshold: Value that the difference must exceed.

    Returns:
        `SUPPORTED` if the whole interval is above the threshold, `REFUTED` if the whole
        interval is below, `INCONCLUSIVE` otherwise.

    Example:
        >>> positive(interval([1.0, 1.1, 1.2])), positive(interval([1.0]))
        ('supported', 'inconclusive')
    """
    if difference.low > threshold:
        return SUPPORTED
    return REFUTED if difference.high < threshold else INCONCLUSIVE


def nonzero(difference: Interval) -> str:
    """Outcome of the claim that a difference is not zero.

    Args:
        difference: Interval of the difference.

    Returns:
        `SUPPORTED` if the interval excludes zero, `INCONCLUSIVE` otherwise.

    Example:
        >>> nonzero(interval([-1.0, -1.1, -1.2])), nonzero(interval([-0.1, 0.1]))
        ('supported', 'inconclusive')
    """
    excluded = difference.low > 0 or difference.high < 0
    return SUPPORTED if excluded else INCONCLUSIVE


def within(difference: Interval, tolerance: float) -> str:
    """Outcome of the claim that the size of a difference is below a tolerance.

    Args:
        difference: Interval of the difference.
        tolerance: A positive number.

    Returns:
        `SUPPORTED` if the whole interval is within the tolerance, `REFUTED` if the
        whole interval is outside, `INCONCLUSIVE` otherwise.

    Example:
        >>> within(Interval(0, -0.1, 0.1), 0.2), within(Interval(1, 0.9, 1.1), 0.2)
        ('supported', 'refuted')
    """
    if -tolerance < difference.low and difference.high < tolerance:
        return SUPPORTED
    outside = difference.low > tolerance or difference.high < -tolerance
    return REFUTED if outside else INCONCLUSIVE


def combine_outcomes(outcomes: Sequence[str]) -> str:
    """Outcome of a claim about several cases, from the outcome of each case.

    Args:
        outcomes: One outcome per case.

    Returns:
        The common outcome if all are equal; `PARTLY_SUPPORTED` if some case is
        supported; else `REFUTED` if some case is refuted.

    Example:
        >>> combine_outcomes([SUPPORTED, INCONCLUSIVE])
        'partly supported'
        >>> combine_outcomes([REFUTED, INCONCLUSIVE])
        'refuted'
    """
    kinds = set(outcomes)
    if len(kinds) == 1:
        return outcomes[0]
    if kinds & {SUPPORTED, PARTLY_SUPPORTED}:
        return PARTLY_SUPPORTED
    return REFUTED if REFUTED in kinds else INCONCLUSIVE


class Judgment(NamedTuple):
    """Outcomes of several cases, and the intervals that they follow from.

    Attributes:
        outcomes: `SUPPORTED`, `INCONCLUSIVE` or `REFUTED`, one per case.
        intervals: One interval per case.
    """

    outcomes: list[str]
    intervals: list[Interval]

    def claim(
        self, text: str, evidence: str, names: Iterable[str], form: str = "{:+.2f}"
    ) -> Claim:
        """The claim that all cases support.

        Args:
            text: One sentence without its full stop.
            evidence: The quantity that the intervals bound, in a plain sentence.
            names: Names of the cases.
            form: Format of the numbers.

        Returns:
            A `Claim`.
        """
        cases = [
            Case(name, bounds.text(form), outcome)
            for name, bounds, outcome in zip(
                names, self.intervals, self.outcomes, strict=True
            )
        ]
        return claim_of_cases(text, evidence, cases)


def judge(
    cases: Sequence[Any],
    criterion: Callable[[Interval], str] = positive,
    estimate: Callable[[Any, int], Interval] = interval,
) -> Judgment:
    """Judge every case of a claim by the confidence interval of its mean.

    If the 95 % interval of every case supports the claim, all cases are supported: for
    that to be wrong, one of them must be wrong. Otherwise support in some of many cases
    may be chance, and the intervals are widened until all hold simultaneously.

    Args:
        cases: One number per seed, for every case; or what `estimate` takes.
        criterion: Outcome of a case, as a function of its interval.
        estimate: Interval of a case, as a function of the case and of the number of
            simultaneous intervals.

    Returns:
        A `Judgment`.

    Example:
        >>> judge([[1.0, 1.1, 1.2], [0.1, 0.2, 0.3]]).outcomes
        ['supported', 'inconclusive']

    References:
        Berger 1982, Multiparameter hypothesis testing and acceptance sampling,
        https://doi.org/10.1080/00401706.1982.10487790
    """
    for count in (1, len(cases)):
        intervals = [estimate(values, count) for values in cases]
        outcomes = [criterion(bounds) for bounds in intervals]
        if set(outcomes) == {SUPPORTED}:
            break
    return Judgment(outcomes, intervals)


def claim_of_cases(text: str, evidence: str, cases: Sequence[Case]) -> Claim:
    """A claim about several cases, from the outcome of each case.

    Args:
        text: One sentence without its full stop.
        evidence: The quantity that the cases measure, in a plain sentence.
        cases: The cases.

    Returns:
        A `Claim`.

    Example:
        >>> cases = [Case("lstm", "+0.2", SUPPORTED), Case("gru", "-0.1", REFUTED)]
        >>> claim_of_cases("Large is better", "Gain in accuracy.", cases).sentence()
        'Large is better: partly supported (1 of 2 cases). Gain in accuracy.'
    """
    outcome = combine_outcomes([case.outcome for case in cases])
    return Claim(text, outcome, evidence, cases)
