"""Decay of the gradient in one network, and comparisons of two networks."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from experiments.harness.claims import REFUTED, positive
from experiments.harness.intervals import Interval, interval
from experiments.harness.probing import decay_rates

LEARNED = 0.2  # smallest accuracy of a network that learned digits: twice chance


class NetResult(NamedTuple):
    """Gradients of one network, before or after training.

    Attributes:
        net: Name of the network.
        init: Name of the initializer of its matrices.
        width: Units of a layer, or of the state.
        when: "before" or "after" training.
        log_norms: ln of the norm of the gradient of each layer or state; the layer next
            to the loss is last.
        accuracy: Accuracy on held-out digits after training, from 0 to 1; None before
            training.
        least: Smallest accuracy of a network that learned.
    """

    net: str
    init: str
    width: int
    when: str
    log_norms: Float[np.ndarray, "seeds depth"]
    accuracy: Float[np.ndarray, " seeds"] | None = None
    least: float = LEARNED

    @property
    def rates(self) -> Float[np.ndarray, " seeds"]:
        """Decay rates in nats per layer or step, positive if the gradient vanishes."""
        return decay_rates(self.log_norms)

    @property
    def learned(self) -> bool:
        """False if training from some seed left the accuracy near chance."""
        return self.accuracy is None or bool(self.accuracy.min() > self.least)

    @property
    def case(self) -> str:
        """Text such as "LSTM from he, trained"."""
        return f"{self.net} from {self.init}" + ", trained" * (self.when == "after")


class NetComparison(NamedTuple):
    """Two networks that differ in one respect and have the same initializer and width.

    Attributes:
        first: Network whose gradient vanishes faster, according to the claim.
        second: Network whose gradient vanishes more slowly, according to the claim.
        cases: Number of comparisons that support the same claim; the interval is
            widened for as many.
    """

    first: NetResult
    second: NetResult
    cases: int = 1

    @property
    def case(self) -> str:
        """The case of the first network."""
        return self.first.case

    @property
    def width(self) -> int:
        """Units of both networks."""
        return self.first.width

    @property
    def difference(self) -> Interval:
        """Difference of the decay rates, seed by seed, nats per layer or step."""
        return interval(self.first.rates - self.second.rates, self.cases)

    @property
    def text(self) -> str:
        """Both decay rates, and the interval of their difference."""
        if not np.isfinite(self.difference.mean):
            return "no gradient"
        rates = (f"{net.rates.mean():.3f}" for net in (self.first, self.second))
        return f"{' - '.join(rates)} = {self.difference.text('{:+.3f}')}"

    @property
    def outcome(self) -> str:
        """Outcome of the claim; refuted if the first gradient does not vanish."""
        if interval(self.first.rates, self.cases).high <= 0:
            return REFUTED
        return positive(self.difference)


def compare_nets(
    results: Sequence[NetResult], when: str, names: Sequence[tuple[str, str]]
) -> list[NetComparison]:
    """Compare networks that have the same initializer and width.

    Args:
        results: Results of all networks.
        when: "before" or "after" training.
        names: Pairs of names; the claim is that the first gradient vanishes faster.

    Returns:
        Comparisons, sorted by names, with intervals that hold simultaneously. Networks
        that did not learn are left out, because training did not change their gradient.
    """
    by_setting = {
        (result.net, result.init, result.width): result
        for result in results
        if result.when == when and result.learned
    }
    comparisons = [
        NetComparison(result, by_setting[second, init, width])
        for first, second in names
        for (net, init, width), result in by_setting.items()
        if net == first and (second, init, width) in by_setting
    ]
    return [pair._replace(cases=len(comparisons)) for pair in comparisons]


def log_deviation_ratio(pair: NetComparison) -> float:
    """ln of the ratio of both standard deviations of the decay rate over seeds."""
    first, second = (np.std(net.rates, ddof=1) for net in (pair.first, pair.second))
    return float(np.log(first / second))


def relative_log_norms(result: NetResult) -> Float[np.ndarray, "seeds distance"]:
    """ln of the norms relative to the layer next to the loss, by distance from it."""
    backward = result.log_norms[:, ::-1]
    with np.errstate(invalid="ignore"):
        relative = backward - backward[:, :1]
    return np.where(np.isfinite(relative), relative, np.nan)


def smallest_norm(results: Sequence[NetResult]) -> float | None:
    """Lower limit of the y axis, just below the networks that learned.

    Networks that did not learn would take most of the axis. None if all learned.
    """
    learned = [relative_log_norms(result) for result in results if result.learned]
    if not learned or len(learned) == len(results):
        return None
    return float(np.exp(min(np.nanmin(norms, initial=0.0) for norms in learned))) / 3
