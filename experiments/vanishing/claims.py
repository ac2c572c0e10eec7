"""What is said of gradients that vanish over depth and over time."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from experiments.harness import decay
from experiments.harness.claims import (
    INCONCLUSIVE,
    PARTLY_SUPPORTED,
    REFUTED,
    SUPPORTED,
    Claim,
    claim_of_cases,
    positive,
)
from experiments.harness.intervals import Interval, interval
from experiments.vanishing.networks import (
    ELMAN,
    FEED_FORWARD,
    GRU,
    LSTM,
    ONE_MATRIX,
    OWN_MATRICES,
)

TANH = "tanh"
LEARNT = 0.2  # of held-out digits, twice what chance tells right
IN_TURN = ((ELMAN[TANH], ONE_MATRIX), (OWN_MATRICES, FEED_FORWARD[TANH]))
SHARED = ((ONE_MATRIX, FEED_FORWARD[TANH]), (ELMAN[TANH], OWN_MATRICES))


class Decay(NamedTuple):
    """What was found of one net.

    Attributes:
        net: Its name.
        scheme: How its matrices are drawn.
        width: Units of a layer, or of the state.
        when: "before" training or "after".
        log_norms: ln of the gradient's norm by layer or step, the one next to the loss
            last.
        accuracy: On held-out digits after training, from 0 to 1.
    """

    net: str
    scheme: str
    width: int
    when: str
    log_norms: Float[np.ndarray, "seeds depth"]
    accuracy: Float[np.ndarray, " seeds"] | None = None

    @property
    def rates(self) -> Float[np.ndarray, " seeds"]:
        """Nats a layer or step, positive where the gradient vanishes."""
        return decay.rate(self.log_norms)

    @property
    def learnt(self) -> bool:
        """Whether training has taught it anything, from every seed."""
        return self.accuracy is None or bool(self.accuracy.min() > LEARNT)


class Pair(NamedTuple):
    """Two nets that differ in one thing, and are drawn alike.

    Attributes:
        case: The first net, its scheme, and whether it is trained.
        width: Units of both.
        first: Of which a claim says that its gradient vanishes faster.
        second: Of which it says that it vanishes more slowly.
        cases: How many pairs a claim is on; so wide are the intervals.
    """

    case: str
    width: int
    first: Decay
    second: Decay
    cases: int = 1

    @property
    def difference(self) -> Interval:
        """Of the decay rates, nats a step, seed by seed."""
        return interval(self.first.rates - self.second.rates, self.cases)

    @property
    def text(self) -> str:
        """Both rates, and the interval of their difference."""
        if not np.isfinite(self.difference.mean):
            return "no gradient"
        rates = (f"{one.rates.mean():.3f}" for one in (self.first, self.second))
        return f"{' against '.join(rates)}, {self.difference.text('{:+.3f}')} apart"

    @property
    def outcome(self) -> str:
        """Whether the first vanishes faster; not so if it does not vanish at all."""
        if interval(self.first.rates, self.cases).high <= 0:
            return REFUTED
        return positive(self.difference)


def shares(one: Decay) -> Float[np.ndarray, "seeds distance"]:
    """ln of the norms by their distance from the loss, less that next to the loss."""
    back = one.log_norms[:, ::-1]
    with np.errstate(invalid="ignore"):
        share = back - back[:, :1]
    return np.where(np.isfinite(share), share, np.nan)


def lowest(drawn: Sequence[Decay]) -> float | None:
    """Lower end of the scale: just below the nets that learned, if some did not.

    Nets that learned nothing would take most of the scale.
    """
    kept = [shares(one) for one in drawn if one.learnt]
    if not kept or len(kept) == len(drawn):
        return None
    return float(np.exp(min(np.nanmin(one, initial=0.0) for one in kept))) / 3


def pairs(
    found: Sequence[Decay], when: str, names: Sequence[tuple[str, str]]
) -> list[Pair]:
    """All pairs of nets of these names that were drawn alike.

    Args:
        found: What was found.
        when: "before" or "after".
        names: Two nets each, of which the claim is that the first vanishes faster.

    Returns:
        Pairs, by the names, then as they were found; their intervals are so wide that
        all of them hold what they say as often as one would. A net that training has
        taught nothing is in no pair: its gradient is as it was before.
    """
    by_place = {
        (one.net, one.scheme, one.width): one
        for one in found
        if one.when == when and one.learnt
    }
    alike = [
        Pair(case(one), width, one, by_place[second, scheme, width])
        for first, second in names
        for (net, scheme, width), one in by_place.items()
        if net == first and (second, scheme, width) in by_place
    ]
    return [pair._replace(cases=len(alike)) for pair in alike]


def case(one: Decay) -> str:
    """A net and its scheme, in words."""
    return f"{one.net} from {one.scheme}" + ", trained" * (one.when == "after")


ANSWERS = {  # by the outcome of the first claim
    SUPPORTED: "Yes: before training, gradients vanish faster in a recurrent net than "
    "in a feed-forward one.",
    PARTLY_SUPPORTED: "Partly: before training, gradients vanish faster in a recurrent "
    "net than in a feed-forward one for some activations, widths and initializers.",
    INCONCLUSIVE: "The seeds do not decide whether gradients vanish faster in a "
    "recurrent net than in a feed-forward one.",
    REFUTED: "No: before training, gradients do not vanish faster in a recurrent net "
    "than in a feed-forward one.",
}


def evaluate_claims(found: Sequence[Decay]) -> list[Claim]:
    """The claims that were tested.

    Args:
        found: What was found.

    Returns:
        One a claim that was tested.
    """
    matched = [(ELMAN[kind], FEED_FORWARD[kind]) for kind in ELMAN]
    claims = [
        (
            f"{time}, vanishing gradients are worse in a recurrent net than in a "
            f"feed-forward one{learnt}",
            pairs(found, when, matched),
        )
        for time, when, learnt in (
            ("Before training", "before", ""),
            ("After training", "after", ", where both have learnt anything"),
        )
    ]
    claims.append(
        (
            "They are worse because one matrix is multiplied by itself, as a matrix of "
            "its own in each layer or step would vanish more slowly",
            pairs(found, "before", SHARED),
        )
    )
    claims.append(
        (
            "They are worse because pixels are read in turn, as they vanish faster so "
            "than where all are read at once, with one matrix as with many",
            pairs(found, "before", IN_TURN),
        )
    )
    claims += [
        (
            f"The {gated} mends it: its gradient vanishes more slowly than Elman's",
            [
                pair
                for when in ("before", "after")
                for pair in pairs(found, when, [(ELMAN[TANH], gated)])
            ],
        )
        for gated in (LSTM, GRU)
    ]
    said = []
    for claim, some in claims:
        some = [pair._replace(cases=len(some)) for pair in some]
        if some:
            said.append(claim_of_cases(claim, [p.outcome for p in some], why(some)))
    return [*said, spread(pairs(found, "before", SHARED))]


def unlearnt(found: Sequence[Decay]) -> list[str]:
    """Which nets training has taught nothing, if there are such.

    Args:
        found: What was found.

    Returns:
        A sentence, or none.
    """
    these = [one for one in found if not one.learnt]
    if not these:
        return []
    names = "; ".join(
        f"{one.net} from {one.scheme} (decay {one.rates.mean():+.3f})" for one in these
    )
    return [
        f"Trained, these tell at most {LEARNT:.0%} of held-out digits right from some "
        f"seed, and so learn next to nothing: {names}."
    ]


def why(some: Sequence[Pair]) -> str:
    """Where a claim holds and where not, and by how much the rates differ most.

    Args:
        some: The pairs that it is about.

    Returns:
        Sentences.
    """
    parts = []
    for said, word in (
        (SUPPORTED, "so in"),
        (REFUTED, "not so in"),
        (INCONCLUSIVE, "open in"),
    ):
        these = [pair for pair in some if pair.outcome == said]
        if not these:
            continue
        most = max(these, key=lambda pair: abs(np.nan_to_num(pair.difference.mean)))
        others = [pair.case for pair in these if pair.case != most.case]
        also = f"; else {', '.join(dict.fromkeys(others))}" if others else ""
        parts.append(
            f"{word} {len(these)} of {len(some)} cases, most in {most.case}, "
            f"{most.width} units: {most.text}{also}"
        )
    text = ". ".join(part[0].upper() + part[1:] for part in parts)
    return f"{text}. Decay rates in nats a layer or step."


def spread(some: Sequence[Pair]) -> Claim:
    """Whether seeds lie further apart where one matrix serves in all steps.

        ln (s_first / s_second),   s the standard deviation of the rates over seeds

    with each case, of draws of its own, as one sample.

    Args:
        some: Pairs of one matrix and many.

    Returns:
        A claim.
    """
    claim = "One matrix for all steps sets seeds further apart than a matrix a step"
    if len(some[0].first.rates) < 2:
        return Claim(claim, INCONCLUSIVE, "One seed says nothing of others.")
    found = interval([log_ratio(pair) for pair in some])
    ratio = Interval(*np.exp(found)).text("{:.1f}")
    text = f"Standard deviations of the decay rates stand as {ratio} to 1 over "
    return Claim(claim, positive(found), f"{text}{len(some)} cases.")


def log_ratio(pair: Pair) -> float:
    """ln of the ratio of the standard deviations of a pair's rates over seeds."""
    first, second = (np.std(one.rates, ddof=1) for one in (pair.first, pair.second))
    return float(np.log(first / second))
